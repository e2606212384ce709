#!/usr/bin/python3
"""What versions differ in, what goes where, what is taken away again: packages on the way to DPs."""
import sqlite3

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


def sample(t, size=300_000):
    source = t.dir / "source"
    put(source, "data", noise(1, size))
    put(source, "text", b"some text\n" * 2000)
    return source


def tree_bytes(folder):
    return {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}


@case("what rots in the library reaches no client, and what is damaged on a DP is replaced")
def _(t):
    site = t.site()
    dp = site.folder_dp("dp1")
    package = site.json("package", "create", "tool", "--source", sample(t))["id"]
    pack = next((site.dir / "library" / package / "packs").glob("*.pack"))
    sound = pack.read_bytes()
    there = dp / package / "packs" / pack.name
    # Somebody's copy of it went wrong there, and the library has another fault.
    put(there.parent, pack.name, sound[:-1] + bytes([sound[-1] ^ 1]))
    pack.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
    site("package", "distribute", package, "--dp", "dp1", "--no-patches", check=False)
    row = site.json("dp", "status")[0]
    equal(row["state"], "failed", "with a damaged library")
    need("not those that its name stands for" in row["reason"], "why", row)
    pack.write_bytes(sound)
    site("package", "distribute", package, "--dp", "dp1", "--no-patches")
    equal(site.json("dp", "status")[0]["state"], "valid", "with a sound library")
    need(there.read_bytes() == sound, "the damaged copy was kept")


@case("a dry run tells what would go where, and changes nothing")
def _(t):
    site = t.site()
    site("group", "add", "branch")
    dp1 = site.folder_dp("dp1", "--group", "branch", "--max-rate", "100kB/s")
    dp2 = site.folder_dp("dp2", "--group", "branch")
    site.folder_dp("dp3")
    package = site.json("package", "create", "tool", "--source", sample(t))["id"]
    plan = site.json("package", "distribute", package, "--dp", "dp1", "dp2", "--dry-run")
    rows = {r["dp"]: r for r in plan["dps"]}
    equal(sorted(rows), ["dp1", "dp2"])
    need(rows["dp1"]["bytes"] == rows["dp2"]["bytes"] > 300_000, "bytes", plan)
    equal((rows["dp1"]["seconds"], rows["dp2"]["seconds"]), (-(-2 * rows["dp1"]["bytes"] // 100_000), None), "time, reading back included")
    equal(plan["links"], [{"group": "branch", "dps": 2, "bytes": 2 * rows["dp1"]["bytes"],
                           "seconds": rows["dp1"]["seconds"]}], "by link")
    equal((plan["patches_to_make"], site.json("dp", "status")), (1, []), "what it left")
    equal((tree_bytes(dp1), tree_bytes(dp2)), ({}, {}), "what it wrote")
    need("by group" in site("package", "distribute", package, "--all", "--dry-run").out, "the table")
    site("package", "distribute", package, "--dp", "dp2", "--no-patches")
    wrote = sum(v for k, v in tree_bytes(dp2).items() if k != "packway-dp.json")
    equal(wrote, rows["dp2"]["bytes"], "what it said and what it wrote")
    after = site.json("package", "distribute", package, "--dp", "dp2", "--dry-run")
    equal([(r["state"], r["objects"], r["bytes"]) for r in after["dps"]], [("valid", 0, 0)], "once it is there")
    site("package", "distribute", package, "--dp", "none", "--dry-run", check=False).want(3)


@case("an external DP is looked into and never written to")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    nas = t.dir / "nas"
    nas.mkdir()
    web = t.nginx(nas)  # which takes no writes at all
    site("dp", "add", "nas", web.url, "--external")
    package = site.json("package", "create", "tool", "--source", sample(t))["id"]
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")

    first = site("package", "distribute", package, "--all", check=False).want(4)
    need("marker" in first.out, "it does not say what is missing", first.out)
    equal(tree_bytes(nas), {}, "what the site wrote")
    # A stick carries it; half of it first.
    stick = t.dir / "stick"
    done = site.json("dp", "export", "nas", stick)
    need(done["copied"] == done["objects"] >= 2, "what was exported", done)
    equal(site.json("dp", "export", "nas", stick)["copied"], 0, "an export that goes on")
    (nas / "packway-dp.json").write_bytes((stick / "packway-dp.json").read_bytes())
    half = site("package", "distribute", package, "--all", check=False).want(4)
    need("nas" in half.out and "failed" in half.out, "half of it", half.out)
    site("publish")
    need(client("fetch", package, check=False).code in (3, 4), "a DP that holds half of it is used")
    before = tree_bytes(stick)
    shutil.copytree(stick, nas, dirs_exist_ok=True)
    site("package", "distribute", package, "--all")
    equal(tree_bytes(nas), before, "what stands there")
    site("publish")
    client("sync")
    equal(client.json("fetch", package, "-o", t.dir / "out")["server"], "nas")
    same_tree(t.dir / "source", t.dir / "out")
    # Its owner may fill it from the library as well, with a damaged file among them.
    put(t.dir / "source", "more", noise(9, 100_000))
    site("package", "update", package)
    site("package", "distribute", package, "--all", check=False).want(4)
    run("cp", "-r", *(site.dir / "library" / package).glob("[!.m]*"), nas / package)
    new = next(p for p in (nas / package / "packs").iterdir() if str(p.relative_to(nas)) not in before)
    sound = new.read_bytes()
    new.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    site("package", "distribute", package, "--all", check=False).want(4)
    equal(new.read_bytes()[:-1], sound[:-1], "the damaged file was not written to")
    new.write_bytes(sound)
    site("package", "distribute", package, "--all")
    site("dp", "add", "other", web.url + "/x", "--external", "--max-rate", "1MB/s", check=False).want(2)
    site("dp", "remove", "nas")
    site("package", "distribute", package, "--all", check=False)
    equal(new.read_bytes(), sound, "what stands there once it was removed")


def packs_of(folder, package):
    return {p.name: p.stat().st_size for p in (folder / package / "packs").glob("*.pack")}


def aging_site(t, versions, keep="0s"):
    """Versions of which the first one's pack is needed less and less; a client that has the policy."""
    site = t.site()
    (site.dir / "site.conf").write_text(f"keep = {keep}\n")
    site.folder_cap("cap1")
    dp = site.folder_dp("dp1")
    source = t.dir / "source"
    for n in range(8):
        put(source, f"file{n}", noise(n, 600_000))
    package = site.json("package", "create", "tool", "--source", source)["id"]
    site("package", "distribute", package, "--all")
    for version in range(2, versions + 1):
        if version == 2:
            for n in range(1, 8):
                put(source, f"file{n}", noise(100 + n, 50_000))
        put(source, "changing", noise(version, 100_000))
        site("package", "update", package)
        site("package", "distribute", package, "--all")
    site("publish")
    return site, dp, package


@case("old versions leave, and a pack of which little is used is repacked")
def _(t):
    site, dp, package = aging_site(t, 4)
    library = site.dir / "library"
    first = max(packs_of(library, package), key=packs_of(library, package).get)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    put(t.dir / "source", "changing", noise(5, 100_000))
    site("package", "update", package)
    # Version 1 leaves, and only 600,000 bytes of its 4.8 million are still needed.
    site("package", "distribute", package, "--all")
    states = [v["state"] for v in site.json("package", "versions", package)]
    equal(states, ["dropped", "kept", "kept", "kept", "latest"], "versions")
    site("package", "rollback", package, "--to", "1", check=False).want(3)
    # What is not needed any more goes with the next round.
    site("package", "distribute", package, "--all")
    site("package", "distribute", package, "--all")
    for folder in (library, dp):
        need(first not in packs_of(folder, package), f"the old pack is still in {folder.name}", packs_of(folder, package))
        need(sum(packs_of(folder, package).values()) < 2_500_000, "what is left", packs_of(folder, package))
    site("publish")
    client("sync")
    for version in (5, 4, 3):
        got = client.json("fetch", package, "--version", str(version), "-o", t.dir / f"out{version}")
        need(got["how"] in ("stream", "patch", "ranges"), "how", got)
    same_tree(t.dir / "source", t.dir / "out5")
    equal((t.dir / "out3" / "file0").read_bytes(), noise(0, 600_000), "version 3")
    need(all(r["state"] == "valid" for r in site.json("dp", "validate", "dp1")), "the DP after it")
    site("package", "rollback", package, "--to", "2")
    site("package", "distribute", package, "--all")
    before = packs_of(library, package)
    site("package", "distribute", package, "--all")
    equal(packs_of(library, package), before, "it goes on repacking")
    site("publish")
    client("sync")
    client("cache", "--clear")
    client("fetch", package, "-o", t.dir / "out6")
    equal((t.dir / "out6" / "changing").read_bytes(), noise(2, 100_000), "what version 2 had")


@case("the old packs stay on DPs for the keeping time, and a pinned version for good")
def _(t):
    site, dp, package = aging_site(t, 4, "30d")
    put(t.dir / "source", "changing", noise(5, 100_000))
    site("package", "update", package)
    site("package", "distribute", package, "--all")
    equal([v["state"] for v in site.json("package", "versions", package)],
          ["kept"] * 4 + ["latest"], "before their time")
    before = packs_of(dp, package)
    (site.dir / "site.conf").write_text("keep = 0s\n")
    site("program", "add", package, "go", "--command", "true")
    site("advertise", package, "go", "--collection", "all", "--version", "1")
    site("package", "distribute", package, "--all")
    equal([v["state"] for v in site.json("package", "versions", package)],
          ["pinned"] + ["kept"] * 3 + ["latest"], "with an advertisement of version 1")
    equal(packs_of(dp, package), before, "what is needed")
    site("advertisement", "remove", site.json("advertisement", "list")[0]["advertisement"])
    site("package", "distribute", package, "--all")  # the DP lets version 1 go
    (site.dir / "site.conf").write_text("keep = 30d\n")
    with contextlib.closing(sqlite3.connect(site.dir / "site.db")) as db, db:
        db.execute("UPDATE package_version SET created = created - 3000000")
    site("package", "distribute", package, "--all")
    site("package", "distribute", package, "--all")
    equal(site.json("package", "versions", package)[0]["state"], "dropped")
    need(set(before) < set(packs_of(dp, package)), "old packs have left the DP before their time",
         before, packs_of(dp, package))
    need(max(packs_of(site.dir / "library", package).values()) < 2_000_000, "the library keeps the old pack")


@case("a plain copy stands beside the packs, and leaves with its version")
def _(t):
    site = t.site()
    (site.dir / "site.conf").write_text("keep = 0s\n")
    dp, plain = site.folder_dp("dp1"), site.folder_dp("dp2")
    source = sample(t)
    put(source, "a folder/empty", b"")
    put(source, "copy of data", noise(1, 300_000))
    package = site.json("package", "create", "tool", "--source", source)["id"]
    site("package", "distribute", package, "--all", "--no-patches")
    need(not (dp / package / "tree").exists(), "nobody asked for a copy")
    site("package", "distribute", package, "--dp", "dp1", "--tree", "--no-patches")
    equal(tree_bytes(dp / package / "tree" / "1"), tree_bytes(source), "the copy")
    need(not (plain / package / "tree").exists(), "a copy on another DP")
    equal({r["dp"]: r["tree"] for r in site.json("dp", "status")}, {"dp1": "valid", "dp2": None}, "states")
    # Later versions come along; the oldest leaves.
    for version in range(2, 6):
        put(source, "data", noise(version, 10_000))
        site("package", "update", package)
        site("package", "distribute", package, "--all", "--no-patches")
        equal((dp / package / "tree" / str(version) / "data").read_bytes(), noise(version, 10_000), "the copy")
    site("package", "distribute", package, "--all", "--no-patches")
    equal(sorted(p.name for p in (dp / package / "tree").iterdir()), ["3", "4", "5"], "copies that stay")
    # What stands in its way is told.
    shutil.rmtree(dp / package / "tree")
    (dp / package / "tree").write_text("in the way")
    put(source, "data", b"new")
    site("package", "update", package)
    told = site("package", "distribute", package, "--all", "--no-patches", check=False).want(4)
    need("failed: " in told.out, "why", told.out)
    (dp / package / "tree").unlink()
    site("package", "distribute", package, "--all", "--no-patches")
    equal((dp / package / "tree" / "6" / "data").read_bytes(), b"new", "once there is a place")


main()
