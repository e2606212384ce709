#!/usr/bin/python3
"""Packages of unusual sizes: one empty file; with PACKWAY_TEST_HUGE a sparse file of 5 GiB, and 200,000 files."""
from flow import *

HUGE = "PACKWAY_TEST_HUGE" in os.environ


def delivered(t, source):
    """The package at a client, by way of a DP; returns the fetch's answer."""
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.json("package", "create", "tool", "--source", source, timeout=600)["id"]
    site("package", "distribute", package, "--all", timeout=600)
    site("publish")
    client = t.client().join(site, f"file://{t.dir}/cap1")
    got = client.json("fetch", package, "-o", t.dir / "out", timeout=600)
    client("verify", package, timeout=600)
    return site, package, got


@case("a package of one empty file")
def _(t):
    (t.dir / "source").mkdir()
    (t.dir / "source" / "empty").touch()
    site, package, got = delivered(t, t.dir / "source")
    equal((got["bytes_content"], (t.dir / "out" / "empty").stat().st_size), (0, 0), "its size")
    (t.dir / "source" / "empty").write_bytes(b"not any more")
    site("package", "update", package)
    site("package", "distribute", package, "--all")
    equal(site.json("package", "diff", package, "1", "2")["changed"], 1, "what changed")


@case("a sparse file of 5 GiB")
def _(t):
    size = 5 << 30 if HUGE else 64 << 20
    (t.dir / "source").mkdir()
    with open(t.dir / "source" / "disk.img", "wb") as f:
        for at in (0, size // 3, size - 70_000):
            f.seek(at)
            f.write(random.Random(at).randbytes(70_000))
        f.truncate(size)
    _, _, got = delivered(t, t.dir / "source")
    need(got["bytes_network"] < 10_000_000, "what it took", got)
    out = (t.dir / "out" / "disk.img").stat()
    equal(out.st_size, size, "its size")
    need(out.st_blocks * 512 < size // 2, "room that its holes take", out.st_blocks * 512)
    run("cmp", t.dir / "source" / "disk.img", t.dir / "out" / "disk.img", timeout=300)


@case("200,000 files in one package")
def _(t):
    count = 200_000 if HUGE else 5_000
    for n in range(count):
        if n % 1000 == 0:
            (t.dir / "source" / f"d{n // 1000}").mkdir(parents=True)
        (t.dir / "source" / f"d{n // 1000}" / f"f{n}").write_bytes(b"%d\n" % n * (n % 40))
    began = time.monotonic()
    site, package, got = delivered(t, t.dir / "source")
    print(f"# {count} files in {time.monotonic() - began:.1f} s, {got['bytes_network']} bytes")
    equal(sum(1 for p in (t.dir / "out").rglob("*") if p.is_file()), count, "files")
    run("diff", "-r", t.dir / "source", t.dir / "out", timeout=600)
    (t.dir / "source" / "d3" / "f3001").rename(t.dir / "source" / "d3" / "other")
    site("package", "update", package, timeout=600)
    diff = site.json("package", "diff", package, "1", "2", timeout=600)
    equal((diff["renamed"], diff["unchanged"]), (1, count - 1 + count // 1000), "the diff")


main()
