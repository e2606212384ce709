"""Keys of a site: replaced, made many, moved to another machine; a client follows, and so does an independent verifier."""
import shutil

from flow import *

try:
    from tufwalk import encode_canonical, walk
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ImportError:
    print("1..0 # SKIP python3-securesystemslib is not installed")
    raise SystemExit(0)


# -- a site with a client -------------------------------------------------------------------------

def settled(t):
    site = t.site()
    cap = site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=3))
    site("program", "add", package, "install", "--command", "./install")
    site("publish")
    client = t.client()
    client("enroll", "--cap", f"file://{cap}", "--root", site.root, "--token", site.token())
    site("intake")
    client("sync")
    return site, cap, client, package


def roles(site):
    return {row["role"]: row for row in site.json("keys")}


def secrets_of(folder):
    """The private halves of every key file there."""
    return [line.split()[1] for file in pathlib.Path(folder).glob("*.key") for line in file.read_text().splitlines()
            if line.startswith("secret ")]


def need_no_secret(secrets, *folders):
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                need(not any(s.encode() in content or bytes.fromhex(s) in content for s in secrets), f"a secret in {path}")


@case("what a site publishes is TUF to a verifier that is not ours")
def _(t):
    site, cap, _, package = settled(t)
    found = walk(cap, site.root)
    need(f"package/{package}.json" in found["packages"]["targets"], "the package is not listed")
    need_no_secret(secrets_of(site.dir / "keys"), cap, site.dir / "published")


for role in ("root", "targets", "packages", "site", "locations", "assignments", "snapshot", "timestamp"):
    @case(f"the keys of {role} are replaced, and the client follows")
    def _(t, role=role):
        site, cap, client, package = settled(t)
        before = set((site.dir / "keys").glob(f"{role}*.key"))
        old = walk(cap, site.root)
        site("keys", "rotate", role)
        after = set((site.dir / "keys").glob(f"{role}*.key"))
        equal((len(after), before & after), (1, set()), "key files")
        site("package", "update", package, "--source", make_tree(t.dir / "newer", files=4, seed=2))
        site("package", "distribute", package, "--all")
        site("publish")
        new = walk(cap, site.root)
        delegated = role not in ("root", "targets", "snapshot", "timestamp")
        equal(new["root"]["version"], old["root"]["version"] + (not delegated), "root's version")
        client("sync")
        equal(client.json("fetch", package, "-o", t.dir / "got")["version"], 2, "fetched")


@case("a threshold of two: new keys are made, and both have to sign")
def _(t):
    site, cap, client, package = settled(t)
    for role in ("root", "packages"):
        site("keys", "threshold", role, "2")
        row = roles(site)[role]
        equal((row["keys"], row["threshold"], row["here"], row["where"]), (2, 2, 2, "here"), role)
    site("publish")
    walk(cap, site.root)
    client("sync")
    # One of the two goes: the role cannot be signed here any more.
    extra = next((site.dir / "keys").glob("packages-*.key"))
    extra.unlink()
    equal(roles(site)["packages"]["where"], "elsewhere")
    site("keys", "threshold", "packages", "0", check=False).want(2)
    site("keys", "threshold", "nobody", "1", check=False).want(3)
    site("keys", "rotate", "nobody", check=False).want(3)


@case("packages and root move to another machine: their changes wait, all else goes on, signed requests come in")
def _(t):
    site, cap, client, package = settled(t)
    need("the keys that sign programs are on this machine" in site("keys").err, "no warning before")
    safe = t.new_dir("safe")
    for role in ("packages", "root", "targets"):
        shutil.move(site.dir / "keys" / f"{role}.key", safe / f"{role}.key")
    shown = roles(site)
    equal([shown[r]["where"] for r in ("packages", "root", "targets", "site")], ["elsewhere"] * 3 + ["here"])
    said = site("keys")
    need("no program can be signed on this machine alone" in said.out + said.err, "nothing is said after")

    # A new version waits; a new group goes out.
    site("package", "update", package, "--source", make_tree(t.dir / "newer", files=4, seed=2))
    site("package", "distribute", package, "--all")
    site("group", "add", "north")
    doc = site.json("publish")
    equal((doc["outcome"], doc["waiting"]), ("changed", ["packages"]), "publish")
    found = walk(cap, site.root)
    need("group/north.json" in found["site"]["targets"], "the group is not published")
    client("sync")
    equal(client.json("fetch", package, "-o", t.dir / "got1")["version"], 1, "fetched while it waits")

    # Signed by nobody, by a stranger, then by the right key.
    request = t.dir / "request.json"
    site("keys", "request", request)
    equal([r["role"] for r in json.loads(request.read_text())["roles"]], ["packages"], "asked for")
    site("keys", "import", request, check=False).want(1)
    stranger = t.site("PAR", "other")
    site("keys", "sign", request, "--keys", stranger.dir / "keys", check=False).want(1)
    elsewhere = t.dir / "elsewhere.json"
    shutil.copy(request, elsewhere)
    run(program("packway-site"), "keys", "sign", elsewhere, "--keys", safe)
    for spoil in (lambda r: r["signed"].update(version=r["signed"]["version"] + 1), lambda r: r.update(role="root"),
                  lambda r: r["signed"].pop("targets"), lambda r: r.update(signatures=[1]), lambda r: r.update(role="snapshot"),
                  lambda r: r.pop("signed"), lambda r: r.pop("signatures"), lambda r: r.update(signed=[]), dict.clear,
                  lambda r: r["signed"]["targets"].update({"package/evil.json": {"length": 1, "hashes": {"sha256": "0" * 64}}})):
        forged = json.loads(elsewhere.read_text())
        spoil(forged["roles"][0])
        (t.dir / "forged.json").write_text(json.dumps(forged))
        told = site("keys", "import", t.dir / "forged.json", check=False)
        need(told.code in (1, 3, 5), "a spoiled request is taken, or not refused in words", told.code, told.err)
    site("keys", "import", elsewhere)
    equal(site.json("publish")["waiting"], [], "waiting after the import")
    walk(cap, site.root)
    client("sync")
    equal(client.json("fetch", package, "-o", t.dir / "got2")["version"], 2, "fetched after the import")
    site("keys", "import", elsewhere, check=False).want(1)  # it is published already

    # A change of an online key needs root, which is elsewhere.
    doc = site.json("keys", "rotate", "timestamp")
    equal(doc["waiting"], ["root"], "the rotation waits")
    site("publish")
    equal(walk(cap, site.root)["root"]["version"], 1, "root")
    site("keys", "request", request)
    run(program("packway-site"), "keys", "sign", request, "--keys", safe)
    site("keys", "import", request)
    site("publish")
    equal(walk(cap, site.root)["root"]["version"], 2, "root")
    client("sync")
    equal(json.loads((client.state / "metadata" / "root.json").read_text())["signed"]["version"], 2, "the client's root")
    need_no_secret(secrets_of(site.dir / "keys") + secrets_of(safe), cap, site.dir / "published", request.parent / "elsewhere.json")
    need_no_secret(secrets_of(safe), site.dir)


for role in ("packages", "targets", "root"):
    @case(f"a key of {role} is born on another machine, and takes over with what it signed")
    def _(t, role=role):
        site, cap, client, package = settled(t)
        safe, public, request = t.dir / "safe", t.dir / "public.json", t.dir / "request.json"
        made = run(program("packway-site"), "--json", "keys", "make", role, public, "--keys", safe).json
        equal([made["role"], (safe / made["key"]).stat().st_mode & 0o777], [role, 0o600], "made")
        run(program("packway-site"), "keys", "make", "timestamp", t.dir / "none.json", "--keys", safe, check=False).want(1)
        site("keys", "rotate", "site", "--to", public, check=False).want(1)  # a key for another role

        # Named, but not in force: what it has to sign is not signed, and clients see nothing of it.
        before = walk(cap, site.root)
        delegator = "targets" if role == "packages" else "root"
        equal(site.json("keys", "rotate", role, "--to", public)["waiting"], [delegator], "waiting")
        equal(site.json("publish")["waiting"], [delegator], "waiting")
        equal(walk(cap, site.root)["targets"], before["targets"], "targets")
        client("sync")
        row = roles(site)[delegator]
        need(row["waiting_since"], "since when is not told", row)
        said = site("status")
        need(f"role {delegator} waits since" in said.out + said.err and "expires in" in said.out + said.err, "status", said.out)
        need(any(f"role {delegator} waits since" in line for line in served(t, site)), "serve does not tell")

        site("keys", "request", request)
        equal([r["role"] for r in json.loads(request.read_text())["roles"]], [role], "asked for")
        site("keys", "import", request, check=False).want(1)
        run(program("packway-site"), "keys", "sign", request, "--keys", safe)
        site("keys", "import", request)
        site("publish")
        found = walk(cap, site.root)
        holder = found["targets"]["delegations"] if role == "packages" else found["root"]
        entries = holder["roles"] if role == "packages" else [dict(holder["roles"][role], name=role)]
        (entry,) = [e for e in entries if e["name"] == role]
        key = json.loads(public.read_text())["key"]
        equal([holder["keys"][i] for i in entry["keyids"]], [key], "who signs it now")
        equal((roles(site)[role]["where"], roles(site)[delegator]["waiting_since"]), ("elsewhere", None), "after")
        client("sync")
        equal(client.json("fetch", package, "-o", t.dir / "got")["version"], 1, "fetched")
        equal(client.json("status")["verdict"], "ok", "verdict")
        need_no_secret(secrets_of(safe), site.dir, cap, client.state)


def served(t, site):
    """What `serve` writes about a publish."""
    port = free_port()
    process = t.spawn(program("packway-site"), "--site", site.dir, "serve", "--listen", f"127.0.0.1:{port}")
    log = t.dir / f"process{len(t.processes) - 1}.log"
    wait_for("serve to speak of the role", 30, lambda: "waits since" in log.read_text())
    process.terminate()
    process.wait(30)
    return log.read_text().splitlines()


@case("roles are renewed before they end, and the countdown is told where nobody here can")
def _(t):
    site, cap, client, package = settled(t)
    days = {r: row["days_left"] for r, row in roles(site).items()}
    need(days["packages"] in (729, 730) and days["root"] in (1824, 1825) and days["timestamp"] in (13, 14), "lives", days)
    (site.dir / "keys" / "packages.key").rename(t.dir / "packages.key")
    site.env = {"PACKWAY_FAKE_TIME": f"+{650 * 86400}"}
    site("publish")
    shown = roles(site)
    need(shown["targets"]["days_left"] > 700 and shown["timestamp"]["days_left"] >= 13, "renewed", shown)
    need(shown["packages"]["days_left"] in (79, 80), "packages", shown["packages"])
    for words in (("keys",), ("status",)):
        said = site(*words)
        need("role packages expires in" in said.out + said.err, f"{words}: no countdown", said.out, said.err)
    request = t.dir / "request.json"
    site("keys", "request", request)
    (t.dir / "safe").mkdir()
    (t.dir / "packages.key").rename(t.dir / "safe" / "packages.key")
    site("keys", "sign", request, "--keys", t.dir / "safe")
    site("keys", "import", request)
    need(roles(site)["packages"]["days_left"] > 700, "not renewed")


def signed_anew(document, secret):
    """By that key alone, as its thief would."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    document["signatures"][0]["sig"] = key.sign(encode_canonical(document["signed"]).encode()).hex()
    return json.dumps(document).encode()


@case("whoever has the key of packages alone makes no client take a program")
def _(t):
    site, cap, client, package = settled(t)
    (secret,) = secrets_of_role(site, "packages")
    role = max(cap.glob("metadata/*.packages.json"), key=lambda p: int(p.name.split(".")[0]))
    document = json.loads(role.read_bytes())
    path = f"package/{package}.json"
    target = document["signed"]["targets"][path]
    (old,) = (cap / "targets" / "package").glob(f"{target['hashes']['sha256']}.{package}.json")
    evil = old.read_bytes().replace(b"./install", b"./evil.sh")
    target["hashes"]["sha256"] = hashlib.sha256(evil).hexdigest()
    old.with_name(f"{target['hashes']['sha256']}.{package}.json").write_bytes(evil)
    role.write_bytes(signed_anew(document, secret))  # under the version that is published
    document["signed"]["version"] += 1
    role.with_name(f"{document['signed']['version']}.packages.json").write_bytes(signed_anew(document, secret))  # and the next
    fresh = t.client("fresh")
    fresh("enroll", "--cap", f"file://{cap}", "--root", site.root, "--token", site.token(), check=False).want(1)
    client("sync")
    for program_of in (client, fresh):
        told = program_of("fetch", package, check=False)
        need(not any(b"evil.sh" in p.read_bytes() for p in program_of.state.rglob("*") if p.is_file()), "it was taken", told.err)
    site("publish")  # says nothing new: what stands on a CAP is the site's own
    client("sync")


def secrets_of_role(site, role):
    return [line.split()[1] for file in (site.dir / "keys").glob(f"{role}*.key") for line in file.read_text().splitlines()
            if line.startswith("secret ")]


main()
