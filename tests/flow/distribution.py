#!/usr/bin/python3
"""What versions differ in, what goes where, what is taken away again: packages on the way to DPs."""
from flow import *


def put(folder, name, data, mode=0o644):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


def noise(seed, size):
    return random.Random(seed).randbytes(size)


@case("a diff tells added, removed, changed and renamed files by their content")
def _(t):
    site = t.site()
    site.folder_dp("dp1")
    source = t.dir / "source"
    put(source, "kept", noise(1, 300_000))
    put(source, "a/moved", noise(2, 200_000))
    put(source, "changed", b"one" + noise(3, 100_000))
    put(source, "same size", noise(4, 70_000))
    put(source, "gone", noise(5, 50_000))
    put(source, "mode", noise(6, 1000))
    put(source, "empty", b"")
    (source / "link").symlink_to("kept")
    package = site.json("package", "create", "tool", "--source", source)["id"]
    shutil.move(source / "a" / "moved", source / "b name")
    (source / "a").rmdir()
    put(source, "changed", b"two!" + noise(3, 100_000))
    put(source, "same size", noise(4, 69_999) + b"!")
    (source / "gone").unlink()
    (source / "mode").chmod(0o755)
    (source / "empty").rename(source / "empty too")
    (source / "link").unlink()
    (source / "link").symlink_to("changed")
    put(source, "new", noise(7, 40_000))
    site("package", "update", package)

    before = site.json("package", "diff", package, "1", "2")
    equal((before["patch"], before["bytes_patch"]), ("not made", None), "before it is made")
    site("package", "distribute", package, "--all")
    got = site.json("package", "diff", package, "1", "2")
    rows = {r["path"]: r for r in got["changes"]}
    equal({p: r["change"] for p, r in rows.items()},
          {"a": "removed", "b name": "renamed", "changed": "changed", "same size": "changed", "gone": "removed",
           "mode": "changed", "empty": "removed", "empty too": "added", "link": "changed", "new": "added"})
    equal(rows["b name"]["was"], "a/moved")
    equal([rows[p]["what"] for p in ("changed", "same size", "mode", "link", "new")],
          ["content", "content", "mode", "target", None])
    equal((got["added"], got["removed"], got["changed"], got["renamed"], got["unchanged"]), (2, 3, 4, 1, 1))
    size = next(p for p in (t.dir / "dp1" / package / "patches").glob("1-2-*")).stat().st_size
    equal((got["patch"], got["bytes_patch"]), ("made", size))
    need(40_000 < got["bytes_ranges"] and got["bytes_patch"] < got["bytes_ranges"], "bytes", got)
    text = site("package", "diff", package, "1", "2").out
    need("a/moved" in text and "1 renamed" in text and "by patch: 4" in text, "the table", text)
    equal(site.json("package", "diff", package, "2", "2")["changes"], [], "with itself")
    back = site.json("package", "diff", package, "2", "1")
    equal((back["added"], back["removed"], back["patch"]), (3, 2, "not made"), "the way back")
    site("package", "diff", package, "1", "3", check=False).want(3)
    site("package", "diff", package, "1", "two", check=False).want(2)


@case("versions are listed with their clients, patches and DPs")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    source = t.dir / "source"
    put(source, "data", noise(1, 200_000))
    put(source, "run", b"#!/bin/sh\nexit 0\n", 0o755)
    package = site.package("tool", source)
    site("program", "add", package, "go", "--command", "./run")
    site("advertise", package, "go", "--collection", "all", "--mandatory", "now")
    site("publish")
    clients = [t.client(f"client{n}").enroll(site, f"file://{t.dir}/cap1") for n in range(3)]
    for client in clients:
        client("sync")
    put(source, "data", noise(1, 200_000) + b"more")
    site("package", "update", package)
    site("package", "distribute", package, "--all")
    site("publish")
    clients[0]("sync")
    clients[1]("fetch", package)
    clients[1]("sync")
    site("intake")
    one, two = site.json("package", "versions", package)
    equal((one["version"], one["state"], two["version"], two["state"]), (1, "kept", 2, "latest"))
    equal([(v["clients"], v["dps"]) for v in (one, two)], [(1, 1), (2, 1)], "clients and DPs")
    equal([p["from"] for p in two["patches"]], [1])
    need(two["patches"][0]["bytes"] < 5000, "the patch's size", two)
    site("client", "remove", clients[2].id)
    equal(site.json("package", "versions", package)[0]["clients"], 0, "a removed client counts")
    need("1 (" in site("package", "versions", package).out, "the table")


main()
