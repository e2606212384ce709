#!/usr/bin/python3
"""Disks that fill up in mid-work: of the site while a version is made, of a CAP while it is published to, of a client while a
patch is applied; of DPs, and of the CAP that records go to. A clear error, nothing lost, and it completes when there is room. What a fetch by ranges, copies to DPs,
patch making and repacking do then is in faults and upkeep_kills."""
from flow import *
from smalldisk import SmallDisk


SMALL = "the right to mount a small disk"
FULL = ("PW-DISK-FULL", "PW-DB")


def code_of(result):
    """A person gets three lines, with a code in the last one."""
    lines = [line for line in result.err.rstrip("\n").split("\n") if ": warning: " not in line]
    need(len(lines) == 3 and "[PW-" in lines[2], f"{result.line}: not three lines with a code", result.err)
    return lines[2].rsplit("[", 1)[1][:-1]


def stops_with_a_code(result, what):
    equal(result.code, 5, f"{what}: {result.line}: {result.err}")
    need(code_of(result) in FULL, f"{what}: code", result.err)


def change(source, version, rng):
    """Noise of which every 32nd byte is another one in each version, so that a patch is worth it; and some of its own."""
    source.mkdir(exist_ok=True)
    data = bytearray(random.Random(1).randbytes(600_000))
    for at in range(7, len(data), 32):
        data[at] = (data[at] + version) & 255
    (source / "program").write_bytes(data)
    (source / "new").write_bytes(rng.randbytes(100_000))


def versions(site, package):
    return [row["version"] for row in site.json("package", "versions", package)]


@case("the site's disk is full while versions are made: nothing is lost, and the next run makes them")
def _(t):
    disk = SmallDisk(t, t.dir / "disk", 16 << 10)
    skip_unless(disk.is_mount, SMALL)
    site = t.site(name="disk/site")
    cap, _ = site.folder_cap("cap1"), site.folder_dp("dp1")
    source = t.dir / "source"
    change(source, 1, t.rng)
    disk.leave(200)
    stops_with_a_code(site("package", "create", "tool", "--source", source, check=False), "create")
    disk.free()
    equal(site.json("package", "list"), [], "packages")
    package = site.json("package", "create", "tool", "--source", source)["id"]
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    made, failures = 1, 0
    for kib in (0, 40, 120, 300):
        change(source, kib + 2, t.rng)
        disk.leave(kib)
        done = site("package", "update", package, check=False)
        disk.free()
        if done.code != 0:
            failures += 1
            stops_with_a_code(done, f"{kib} KiB left")
            equal(max(versions(site, package)), made, f"{kib} KiB left: versions")
            site("package", "update", package)
        made += 1
        equal(max(versions(site, package)), made, f"{kib} KiB left: versions with room")
        site("package", "distribute", package, "--all", "--no-patches")
        site("publish")
        client("sync")
        same_tree(source, client.json("fetch", package)["path"])
    print(f"# full {failures} times")
    need(failures >= 3, "the disk was never full", failures)
    left = [str(p) for p in (site.dir / "library").rglob(".new-*")]
    equal(left, [], "temporary files")


@case("a CAP's disk is full while it is published to: its clients keep what they have, and get the rest with room")
def _(t):
    site = t.site()
    disk = SmallDisk(t, t.dir / "cap", 4 << 10)
    skip_unless(disk.is_mount, SMALL)
    cap = f"file://{disk.at}/cap1"
    (disk.at / "cap1").mkdir()
    site("cap", "add", "cap1", cap)
    site.folder_cap("cap2")
    site.folder_dp("dp1")
    source = t.dir / "source"
    change(source, 1, t.rng)
    package = site.package("tool", source)
    site("publish")
    client = t.client().join(site, cap)
    client("fetch", package)
    failures = 0
    for step, kib in enumerate((0, 4, 12)):
        before = shutil.copytree(source, t.dir / f"before{step}")
        change(source, step + 2, t.rng)
        site("package", "update", package)
        site("package", "distribute", package, "--all", "--no-patches")
        disk.leave(kib)
        done = site("publish", "--json", check=False)
        if done.code != 0:
            failures += 1
            equal(done.code, 4, f"{kib} KiB left: {done.err}")
            rows = {row["cap"]: row for row in done.json["caps"]}
            equal({name: row["state"] for name, row in rows.items()}, {"cap1": "failed", "cap2": "ok"}, f"{kib} KiB left: CAPs")
            need("space" in rows["cap1"]["reason"], f"{kib} KiB left: it does not say why", rows)
            # What stands there is whole: the old publication. It is read as before.
            client("sync")
            out = client.json("fetch", package)
            need(out["version"] in (step + 1, step + 2), f"{kib} KiB left: version", out)
            same_tree(before if out["version"] == step + 1 else source, out["path"])
        disk.free()
        site("publish")
        client("sync")
        got = client.json("fetch", package)
        equal(got["version"], step + 2, f"{kib} KiB left: version with room")
        same_tree(source, got["path"])
    print(f"# full {failures} times")
    need(failures >= 2, "the CAP was never full", failures)


@case("a client's disk is full while a patch is applied: the old version stays whole, and the patch goes on with room")
def _(t):
    site = t.site()
    cap, _ = site.folder_cap("cap1"), site.folder_dp("dp1")
    source = t.dir / "source"
    change(source, 1, t.rng)
    package = site.json("package", "create", "tool", "--source", source)["id"]
    site("package", "distribute", package, "--all")
    disk = SmallDisk(t, t.dir / "state", 8 << 10)
    skip_unless(disk.is_mount, SMALL)
    client = t.client("small")
    shutil.copy(client.state / "packway.conf", disk.at)
    client.state = disk.at
    site("publish")
    client.join(site, f"file://{cap}")
    client("fetch", package)
    change(source, 2, t.rng)
    site("package", "update", package)
    site("package", "distribute", package, "--all")
    site("publish")
    client("sync")
    kept = shutil.copytree(client.state, t.dir / "kept", symlinks=True)
    failures = 0
    for kib in (40, 120, 400, 700):
        disk.leave(kib)
        done = client("fetch", package, check=False)
        disk.free()
        if done.code != 0:
            failures += 1
            stops_with_a_code(done, f"{kib} KiB left")
            need(not (client.state / "store" / package / "2").exists(), f"{kib} KiB left: a tree stands there")
            equal(client.json("verify", package), [], f"{kib} KiB left: the old version")
        got = client.json("fetch", package)
        same_tree(source, got["path"])
        if done.code != 0 and kib == 40:
            equal(got["how"], "patch", "how it came")
        for path in client.state.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(kept, client.state, symlinks=True, dirs_exist_ok=True)
    print(f"# full {failures} times")
    need(failures >= 3, "the disk was never full", failures)


DAV = "dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;"


def full_dp(t, site, kind):
    """A DP of that kind on a small disk, which it fills when told to; `refuse(True)` says how."""
    disk = SmallDisk(t, t.dir / kind, 8 << 10)
    skip_unless(disk.is_mount, SMALL)
    folder = disk.at / "dp"
    folder.mkdir()
    t.dir.chmod(0o755)
    for path in (disk.at, folder):  # nginx and smbd write as nobody
        path.chmod(0o777)
    if kind == "nginx":
        body = t.dir / "bodies"
        body.mkdir(mode=0o777)
        body.chmod(0o777)
        url = t.nginx(folder, server=DAV + f"client_body_temp_path {body};"
                                          f"if (-f {t.dir}/says-507) {{ set $full $request_method; }} if ($full = PUT) {{ return 507; }}").url
    else:
        url = t.samba(shares={"packway": folder}).url() if kind == "smb" else f"file://{folder}"
    site("dp", "add", kind, url)
    return disk, folder


@case("a DP without room is told by name, the others get it, and it goes on with room")
def _(t):
    site = t.site()
    cap, _ = site.folder_cap("cap1"), site.folder_dp("other")
    dps = {kind: full_dp(t, site, kind) for kind in ("file", "smb", "nginx")}
    source = t.dir / "source"
    source.mkdir()
    (source / "noise").write_bytes(t.rng.randbytes(2_000_000))
    package = site.json("package", "create", "tool", "--source", source)["id"]
    for disk, _ in dps.values():
        disk.leave(600)
    (t.dir / "says-507").touch()
    done = site("package", "distribute", package, "--all", "--no-patches", "--json", check=False)
    equal(done.code, 4, f"exit code\n{done.out}{done.err}")
    rows = {r["dp"]: r for r in site.json("dp", "status")}
    equal({name: r["state"] for name, r in rows.items()}, {"other": "valid", "file": "failed", "smb": "failed", "nginx": "failed"}, "states")
    for name, word in {"file": "No space left", "smb": "DISK_FULL", "nginx": "507: its disk is full"}.items():
        need(word in rows[name]["reason"], f"{name} does not say why", rows[name])
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    equal(client.json("fetch", package)["server"], "other", "the DP that has it")
    (t.dir / "says-507").unlink()  # nginx finds its disk full itself, and does not say what for
    equal(site("package", "distribute", package, "--all", "--no-patches", check=False).code, 4, "exit code while they are full")
    for disk, _ in dps.values():
        disk.free()
    site("package", "distribute", package, "--all", "--no-patches")
    site("publish")
    client("sync")
    for name, (_, folder) in dps.items():
        client("cache", "--clear")
        equal(client.json("fetch", package, "--dp", name)["server"], name, "the DP that has it now")
        site("dp", "validate", name, package)
        equal([str(q) for q in folder.rglob(".new-*")], [], "temporary objects")


@case("records go to another CAP where one's disk is below its reserve, wait where all are, and come with room")
def _(t):
    disk = SmallDisk(t, t.dir / "disk", 64 << 10)
    skip_unless(disk.is_mount, SMALL)
    site, port = t.site("LON", "disk/site"), free_port()
    smb = t.samba()
    urls = [f"http://127.0.0.1:{port}/cap1", smb.url("cap2")]
    for n, url in enumerate(urls):
        site("cap", "add", f"cap{n + 1}", url)
    (site.dir / "site.conf").write_text("reserve = 8M\n")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=3, size=2000))
    site("program", "add", package, "tool", "--rerun", "always", "--command", "/bin/true")
    site("advertise", package, "tool", "--collection", "all", "--available", "now")
    site.serve(port)
    site("publish")
    client = t.client().join(site, urls[0])
    site("intake")
    client("sync")
    client("prefer", "--cap", "cap1")
    disk.leave(7 << 10)

    def send():
        """Why records wait, and what was learned of cap1's inbox."""
        client("run", package, "tool")
        client("sync")
        learned = json.loads((client.state / "worker" / "nal.json").read_text())["servers"]
        return client.json("status")["outbox_why"], learned.get("cap1/inbox", {}).get("class")
    for _ in range(TRIES):  # on a busy machine an answer may come too late, which is another class
        got = send()
        if got == (None, "full"):
            break
    equal(got, (None, "full"), "why records wait, and what is known of cap1's inbox")
    (note,) = [r for r in site.json("status", "--notes") if r["about"] == "reserve"]
    need("takes no uploads" in note["text"], "the site's note", note)
    site("intake")  # what lies in inboxes is taken in
    client("sync")
    equal(client.json("status")["outbox_records"], 0, "records without receipt")
    share = smb.folder / "cap2" / "inbox"
    share.rename(share.parent / "away")
    share.write_text("nothing can be put here")
    client("run", package, "tool")
    client("sync")
    status = client.json("status")
    need(status["outbox_records"] > 0 and status["outbox_why"], "nothing waits, or nobody says why", status)
    disk.free()
    client("sync")
    site("intake")
    client("sync")
    equal(client.json("status")["outbox_records"], 0, "records once there is room")
    equal([r for r in site.json("status", "--notes") if r["about"] == "reserve"], [], "the note, with room")


main()
