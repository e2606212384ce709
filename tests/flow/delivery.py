#!/usr/bin/python3
"""Delivery on four kinds of DP at once: a large tree with odd names reaches three clients whole."""
from flow import *

LARGE = os.environ.get("PACKWAY_TEST_LARGE") == "1"
FILES, BYTES = (5000, 300 << 20) if LARGE else (1000, 60 << 20)
ODD_NAMES = ["a b", "Grüße", "日本語", "it's", 'the "best"', "-rf", "--help", "new\nline", "tab\there", "$HOME",
             "*", "back\\slash", "#", "%41", ".hidden", "...", "x" * 200, "é", "e\u0301", " lead", "trail "]
MODES = [0o755, 0o644, 0o600, 0o555]


def make_big_tree(folder, rng, files=FILES, size=BYTES):
    """Files of a few bytes to some hundred kilobytes, in folders and under names of every kind."""
    folders = [folder]
    for i in range(files // 50):
        folders.append(rng.choice(folders[:20]) / f"{rng.choice(ODD_NAMES)} {i}")
    for path in folders:
        path.mkdir(parents=True, exist_ok=True)
    mean = size // files
    for i in range(files):
        name = ODD_NAMES[i] if i < len(ODD_NAMES) else f"{rng.choice(ODD_NAMES)[:30]}{i}.dat"
        path = (folder if i < len(ODD_NAMES) else rng.choice(folders)) / name
        length = 0 if i % 40 == 0 else int(rng.uniform(0, 2) * mean)
        # Half of it is text that compresses, half does not.
        path.write_bytes(rng.randbytes(length) if i % 2 else rng.randbytes(length // 2).hex().encode())
        path.chmod(MODES[i % len(MODES)])
    for name in ("empty", "-empty dir", "leer ü"):
        (folder / name / "deeper").mkdir(parents=True)
    (folder / "link").symlink_to("a b")
    (folder / "empty" / "up").symlink_to("../Grüße")
    (folder / "to folder").symlink_to("empty/deeper")
    program = folder / "install"
    program.write_text("#!/bin/sh\ntest -f ./-rf && test -d ./'-empty dir'/deeper\n")
    program.chmod(0o755)
    return folder


def change_a_little(folder, rng, part=100):
    """Write anew one file in `part`, remove one, add one."""
    files = sorted(p for p in folder.rglob("*.dat") if p.is_file() and not p.is_symlink())
    for path in rng.sample(files, len(files) // part):
        mode, length = path.stat().st_mode & 0o777, path.stat().st_size
        path.chmod(0o600)
        path.write_bytes(rng.randbytes(length))
        path.chmod(mode)
    files[0].unlink()
    (folder / "added later").write_bytes(rng.randbytes(3000))


def four_dps(t):
    """serve (also a CAP with its inbox), nginx that takes uploads, two folders."""
    site = t.site()
    port, _ = site.serve()
    here = f"http://127.0.0.1:{port}"
    web = t.new_dir("web")
    web.chmod(0o777)  # nginx started as root writes as nobody
    nginx = t.nginx(web, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;")
    site("cap", "add", "cap1", f"{here}/cap1")
    site.folder_cap("cap2")
    site("dp", "add", "own", f"{here}/own")
    site("dp", "add", "web", nginx.url)
    site.folder_dp("disk1")
    site.folder_dp("disk2")
    return site, nginx, here


def diff_is_clean(source, copy):
    done = subprocess.run(["diff", "-r", "--no-dereference", source, copy], capture_output=True, text=True)
    need(done.returncode == 0, "diff -r differs", done.stdout[:2000], done.stderr[:1000])
    same_tree(source, copy)


def distribute(site, package):
    site("package", "distribute", package, "--all", "--no-patches", timeout=300)
    site("publish")


def fetched(site, client, package, version):
    """What the one record of a fetch says, as the site has it."""
    rows = [m for m in site.json("messages", "--client", client.id)
            if m["id"] == 11003 and m["package"] == package and m["version"] == version]
    equal(len(rows), 1, f"records of the fetch of version {version}")
    return rows[0]["data"]


@case("three clients get the whole tree from serve, nginx and a folder, and an update moves little")
def _(t):
    site, nginx, cap = four_dps(t)
    source = make_big_tree(t.dir / "source", t.rng)
    package = site.package("big", source)
    site("program", "add", package, "install", "--command", "./install")
    site("publish")
    wanted = {"client1": "own", "client2": "web", "client3": "disk1"}
    clients = {}
    for number, (name, dp) in enumerate(wanted.items(), 1):
        clients[name] = t.client(name, f"10.1.0.{number}").enroll(site, f"{cap}/cap1")
        clients[name]("prefer", dp, "--dp")
    adv = site("advertise", package, "install", "--collection", "all", "--mandatory", "now").out.strip()
    site("publish")
    for client in clients.values():
        equal(client.json("sync", timeout=300)["ran"], 1, "programs that ran")
    site("intake")
    row = site.json("status", adv)[0]
    equal((row["targeted"], row["received"], row["succeeded"], row["failed"]), (3, 3, 3, 0), "status")

    for name, client in clients.items():
        equal(fetched(site, client, package, 1)["server"], wanted[name], f"{name}: server")
        out = t.dir / f"out-{name}"
        again = client.json("fetch", package, "-o", out)
        equal((again["how"], again["bytes_network"]), ("none", 0), f"{name}: a second fetch")
        diff_is_clean(source, out)
        shutil.rmtree(out)
    need(sum(int(l[5]) for l in nginx.lines() if l[2] == "GET") > BYTES // 4, "nginx gave little", nginx.lines()[:5])

    change_a_little(source, t.rng)
    equal(site.json("package", "update", package, timeout=300)["version"], 2, "version")
    distribute(site, package)
    for name, client in clients.items():
        equal(client.json("sync", timeout=300)["ran"], 1, f"{name}: runs of the new version")
        site("intake")
        got = fetched(site, client, package, 2)
        equal(got["server"], wanted[name], f"{name}: server")
        need(got["bytes_network"] < BYTES // 20, f"{name}: an update of 1 % moved much", got)
        need(got["bytes_seed"] > BYTES // 2, f"{name}: little came from what was here", got)
        client("fetch", package, "-o", t.dir / f"out-{name}")
        diff_is_clean(source, t.dir / f"out-{name}")
        shutil.rmtree(t.dir / f"out-{name}")

    site("package", "rollback", package, "--to", "1")
    distribute(site, package)
    for name, client in clients.items():
        client("sync", timeout=300)
        site("intake")
        got = fetched(site, client, package, 3)
        equal((got["how"], got["bytes_network"]), ("none", 0), f"{name}: the rollback moved {got}")


main()
