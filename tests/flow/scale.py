#!/usr/bin/python3
"""A client to which ten thousand advertisements in five hundred collections apply."""
import resource

from flow import *

COLLECTIONS, ADVERTISEMENTS = 500, 10000
UNCHANGED_CPU_S = 0.050  # of the whole command with its helpers, in a build for release
CHANGE_BYTES = 100_000


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


main()
