#!/usr/bin/python3
"""The power is cut while and after a version is fetched, on a file system that is stopped for that: what was not flushed is
looked through and mended, and never shown; what was flushed is not looked at again."""
import collections

from flow import *
from powerdisk import JOURNALED, LOST, PowerDisk

CHUNK_MAX = 256 << 10
CUTS = int(os.environ.get("PACKWAY_TEST_CUTS_OF_POWER", "8"))


@shared
def world(t):
    """A site with one package on an nginx; nothing in it changes."""
    class World:
        pass

    w = World()
    t.dir.chmod(0o755)
    w.source = make_tree(t.dir / "source", files=300, size=40000)
    w.site = t.site()
    w.cap = f"file://{w.site.folder_cap('cap1')}"
    dp = w.site.folder_dp("dp1")
    w.package = w.site.package("tool", w.source)
    w.few = w.site.package("few", make_tree(t.dir / "few", files=5, size=40000))
    w.site("publish")
    w.url = t.nginx(dp).url
    return w


def client_on(t, disk):
    """Enrolled there, and all of that flushed."""
    client = t.client(disk.at.name + "-client")
    shutil.copy(client.state / "packway.conf", disk.at)
    client.state = disk.at
    client.join(world().site, world().cap)("sync")
    subprocess.run(["sync", "-f", disk.at], check=True)
    return client


def fetch(client, package=None):
    return client.json("fetch", package or world().package, "--dp", world().url)


def start_fetch(t, client):
    return t.spawn(program("packway"), "--state", client.state, "fetch", world().package, "--dp", world().url, env=client.env)


def stands(client, w):
    return client.state / "store" / w.package / "1"


def is_listed(client, w):
    return any(row["package"] == w.package and row["complete"] for row in client.json("cache"))


def files_that_are_right(tree, w):
    """How many there are in all, and the sizes of those."""
    files = [p for p in w.source.rglob("*") if p.is_file()]
    twins = [(tree / p.relative_to(w.source), p) for p in files]
    return len(files), [p.stat().st_size for twin, p in twins if twin.is_file() and twin.read_bytes() == p.read_bytes()]


def is_damaged(client, w):
    tree = stands(client, w)
    total, right = files_that_are_right(tree, w) if tree.exists() else (0, ())
    return len(right) < total


def bytes_to_keep(client, w):
    """Of what stands under the final name; a damaged file takes with it what shares its first and last chunk."""
    tree = stands(client, w)
    total, right = files_that_are_right(tree, w) if tree.exists() else (0, ())
    return sum(right) - 2 * CHUNK_MAX * (total - len(right))


def is_mended(client, was_damaged):
    """What was right is not fetched again."""
    w, listed, kept = world(), is_listed(client, world()), bytes_to_keep(client, world())
    need(not (was_damaged and listed), "a damaged version counts")
    got = fetch(client)
    same_tree(w.source, got["path"])
    need(listed or got["bytes_seed"] >= kept, "it was fetched again although it was there", kept, got)
    need(not client.json("verify"), "verify finds something")
    return got


@case("a version is shown at once, and flushed behind: after a power cut it counts if it was, and is mended if not")
def _(t):
    w, seen = world(), collections.Counter()
    for n in range(CUTS):
        disk = PowerDisk(t, t.dir / f"disk{n}")
        client = client_on(t, disk)
        process = start_fetch(t, client)
        while process.poll() is None and not stands(client, w).exists():
            pass
        time.sleep((0, 0, 0.01, 0.03)[n % 4])
        disk.cut((JOURNALED, LOST)[n % 2])
        process.wait(60)
        disk.start()
        damaged = is_damaged(client, w)
        seen["damaged"] += damaged
        seen["moved"] += is_mended(client, damaged)["bytes_network"] > 0
    need(seen["damaged"] and seen["moved"], "no cut came before the flush", seen)


@case("what was flushed counts after a power cut, and moves nothing")
def _(t):
    w = world()
    disk = PowerDisk(t, t.dir / "disk")
    client = client_on(t, disk)
    for package in w.package, w.few:
        fetch(client, package)
        record = client.state / "store" / package / "1.record"
        wait_for("the flush", 20, lambda: "unflushed" not in record.read_text())
    disk.cut(LOST)
    disk.start()
    need(is_listed(client, w) and not is_damaged(client, w), "it does not count, or is not whole")
    need(not client.json("verify"), "verify finds something")
    for package in w.package, w.few:
        got = fetch(client, package)
        need(got["bytes_network"] == 0 and got["bytes_seed"] == 0, "something moved, or was looked at again", got)


@case("the power is cut while a version is fetched: the next run goes on, from whatever is left")
def _(t):
    w = world()
    for n in range(CUTS):
        disk = PowerDisk(t, t.dir / f"disk{n}")
        client = client_on(t, disk)
        process = start_fetch(t, client)
        time.sleep(t.rng.uniform(0, 0.12))
        disk.cut((JOURNALED, LOST)[n % 2])
        process.wait(60)
        disk.start()
        is_mended(client, is_damaged(client, w))


@case("a version whose record names another boot is hashed again: one damaged file is brought, and nothing else")
def _(t):
    w = world()
    skip_unless(os.geteuid() == 0, "a keeper")
    client = t.client().join(w.site, w.cap)
    client("sync")
    whole = fetch(client)["bytes_network"]
    tree = stands(client, w)
    record = tree.with_suffix(".record")
    wait_for("the flush", 20, lambda: "unflushed" not in record.read_text())
    record.write_text(record.read_text() + f"unflushed {'1' * 36}\n")
    victim = next(p for p in sorted(tree.rglob("*")) if p.is_file() and p.stat().st_size > 20000)
    os.truncate(victim, 0)
    need(not is_listed(client, w), "it counts")
    got = fetch(client)
    need(0 < got["bytes_network"] < whole / 4, "all of it was fetched again, or nothing", got)
    same_tree(w.source, got["path"])
    wait_for("the flush", 20, lambda: "unflushed" not in record.read_text())


main()
