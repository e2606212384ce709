#!/usr/bin/python3
"""A client to which ten thousand advertisements in five hundred collections apply, and one of a site with many packages."""
import resource
import sqlite3

from flow import *
from tufwalk import walk

COLLECTIONS, ADVERTISEMENTS = 500, 10000
UNCHANGED_CPU_S = 0.050  # of the whole command with its helpers, in a build for release
CHANGE_BYTES = 100_000
PACKAGES = int(os.environ.get("PACKWAY_TEST_PACKAGES", "520"))  # above 500 a list becomes bins


def options():
    rows = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    return {row["name"]: row["value"] for row in rows}


def cpu_of(action):
    """User and system seconds of the processes that `action` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def crowded_site(t):
    """The site, whose CAP is `serve` behind an nginx that counts, and its one package."""
    site = t.site()
    port, _ = site.serve()
    nginx = t.nginx(t.new_dir("empty"), server=f"location / {{ proxy_pass http://127.0.0.1:{port}; }}")
    site("cap", "add", "cap1", f"{nginx.url}/cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=3))
    site("program", "add", package, "install", "--command", "./install")
    run(program("manyoffers"), site.dir, package, "install", COLLECTIONS, ADVERTISEMENTS,
        timeout=300)
    site("publish")
    return site, nginx


def bytes_served(nginx, since):
    return sum(int(line[5]) for line in nginx.lines()[since:] if line[2] == "GET")


@case("ten thousand offers: an unchanged sync is cheap, a changed one small")
def _(t):
    site, nginx = crowded_site(t)
    client = t.client()
    client("enroll", "--cap", f"{nginx.url}/cap1", "--root", site.root, "--token", site.token())
    for _ in range(3):
        site("intake")
        client("sync", timeout=300)
    offered = client.json("list")
    equal(len(offered), ADVERTISEMENTS, "offers")
    equal({o["state"] for o in offered}, {"offered"}, "their states")
    received = site.json("query", "SELECT count(*) AS n FROM message WHERE id = 10002")
    equal(received[0]["n"], ADVERTISEMENTS, "messages 10002")

    cpu = min(cpu_of(lambda: client("sync")) for _ in range(7))
    print(f"# an unchanged sync: {cpu * 1000:.0f} ms of CPU")
    if options()["b_sanitize"] == "none":
        need(cpu <= UNCHANGED_CPU_S, f"an unchanged sync costs {cpu * 1000:.0f} ms of CPU")

    site("advertisement", "stop", offered[1234]["advertisement"])
    site("publish")
    begin = len(nginx.lines())
    client("sync")
    moved = bytes_served(nginx, begin)
    print(f"# one changed advertisement: {moved} bytes in {len(nginx.lines()) - begin} requests")
    need(0 < moved <= CHANGE_BYTES, f"one changed advertisement moved {moved} bytes")
    states = [o["state"] for o in client.json("list")]
    equal(states.count("stopped"), 1, "stopped offers")


def metadata_served(nginx, since):
    """Bytes of role files: what a change costs beside the documents that changed."""
    return sum(int(line[5]) for line in nginx.lines()[since:] if line[2] == "GET" and "/metadata/" in line[3])


def crowd(site, package):
    """Copies of the one package, as rows and files: a command for each would take an hour."""
    db = sqlite3.connect(site.dir / "site.db")
    manifest = site.dir / "library" / package / "manifest"
    for number in range(2, PACKAGES + 1):
        copy = f"{package[:3]}{number:05X}"
        for table, key in (("package", "id"), ("package_version", "package"), ("program", "package")):
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            columns = ",".join(f"'{copy}'" if name == key else name for name in names)
            db.execute(f"INSERT INTO {table} SELECT {columns} FROM {table} WHERE {key} = ?", (package,))
        folder = site.dir / "library" / copy / "manifest"
        folder.mkdir(parents=True)
        for file in manifest.iterdir():
            os.link(file, folder / file.name)
    db.commit()
    db.close()


@case("many packages: lists become bins, a client follows, and one change costs it little")
def _(t):
    site = t.site()
    port, _ = site.serve()
    nginx = t.nginx(t.new_dir("empty"), server=f"location / {{ proxy_pass http://127.0.0.1:{port}; }}")
    site("cap", "add", "cap1", f"{nginx.url}/cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=3))
    site("program", "add", package, "install", "--command", "./install")
    site("advertise", package, "install", "--collection", "all")
    site("publish")
    client = t.client()
    client("enroll", "--cap", f"{nginx.url}/cap1", "--root", site.root, "--token", site.token())
    site("intake")
    client("sync")
    client("fetch", package, "-o", t.dir / "before")
    held = client.state / "metadata"
    equal(len(list(held.glob("packages-*"))), 0, "bins while the site is small")

    # The site grows: the client, whose trusted state knows no bins, follows.
    crowd(site, package)
    site("publish", timeout=600)
    rows = {row["role"]: row["bins"] for row in site.json("keys")}
    equal((rows["packages"], rows["locations"], rows["site"]), (256, 64, 0), "bins")
    begin = len(nginx.lines())
    client("sync", timeout=300)
    print(f"# {PACKAGES} packages: the way into bins {metadata_served(nginx, begin)} bytes of metadata")
    bins = len(list(held.glob("packages-*")))
    need(1 <= bins <= 4, f"{bins} of 256 bins of packages are held")
    equal([o["state"] for o in client.json("list")], ["offered"], "the offer")

    # A new version with another program, then something that is not this client's at all.
    site("package", "update", package, "--source", make_tree(t.dir / "newer", files=4, seed=2))
    site("package", "distribute", package, "--all", timeout=300)
    site("program", "add", package, "repair", "--command", "./install")
    site("publish", timeout=600)
    begin = len(nginx.lines())
    client("sync", timeout=300)
    equal(client.json("fetch", package, "-o", t.dir / "after")["version"], 2, "fetched")
    moved = metadata_served(nginx, begin)
    print(f"# {PACKAGES} packages: one changed {moved} bytes of metadata")
    need(0 < moved <= CHANGE_BYTES, f"one changed package moved {moved} bytes of metadata")

    other = f"{package[:3]}{PACKAGES:05X}"
    site("program", "add", other, "repair", "--command", "./install")
    site("publish", timeout=600)
    begin = len(nginx.lines())
    client("sync", timeout=300)
    moved = metadata_served(nginx, begin)
    print(f"# {PACKAGES} packages: another changed {moved} bytes of metadata")
    need(0 < moved <= CHANGE_BYTES, f"another package moved {moved} bytes of metadata")

    # A package that this client never had to do with: its bin comes when it is asked for.
    site("advertise", other, "repair", "--collection", "all")
    site("publish", timeout=600)
    client("sync", timeout=300)
    equal(sorted(o["package"] for o in client.json("list")), [package, other], "offers")

    # Others that know TUF read the bins as well.
    found = walk(site.dir / "published", site.root)
    equal(sum(len(found[f"locations-{i:02x}"]["targets"]) for i in range(64)), PACKAGES, "packages with a place")
    trusted, got = t.new_dir("trusted"), t.dir / "got"
    run(program("packway-tuf"), "--metadata-dir", trusted, "init", site.root)
    run(program("packway-tuf"), "--metadata-url", f"{nginx.url}/cap1/metadata", "--metadata-dir", trusted, "--target-name",
        f"package/{other}.json", "--target-dir", got, "--target-base-url", f"{nginx.url}/cap1/targets", "download")
    need("repair" in next(got.iterdir()).read_text(), "not the newest document")


main()
