#!/usr/bin/python3
"""Patches and first-install streams: made by the site, brought to DPs, taken by clients."""
from flow import *


def rebuilt(seed, shift, size=400_000):
    """A program as a linker leaves it: every address is another one, the rest is the same."""
    data = bytearray(random.Random(seed).randbytes(size))
    for at in range(7, size, 32):
        data[at] = (data[at] + shift) & 255
    return bytes(data)


def put_program(folder, shift):
    """A program that was built anew under a new name, and text that packs well."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("program-*"):
        old.unlink()
    (folder / f"program-1.{shift}").write_bytes(rebuilt(1, shift))
    words = bytearray("".join(f"line {n * n} of a text that packs well\n" for n in range(120_000)).encode())
    (folder / "text").write_bytes(words)
    # Nearly the same again, further away than a frame is long: only a stream's window reaches it.
    words[::20_000] = b"!" * len(words[::20_000])
    (folder / "text-again").write_bytes(words)


def patched_site(t, dps=1, distribute=("--all",)):
    site = t.site()
    site.folder_cap("cap1")
    for n in range(dps):
        site.folder_dp(f"dp{n + 1}")
    put_program(t.dir / "source", 0)
    package = site.json("package", "create", "tool", "--source", t.dir / "source")["id"]
    site("package", "distribute", package, *distribute)
    site("publish")
    return site, package


def update(t, site, package, shift, *options):
    put_program(t.dir / "source", shift)
    site("package", "update", package)
    site("package", "distribute", package, "--all", *options)
    site("publish")


def patches_on(folder, package):
    return sorted(p.name for p in (folder / package / "patches").glob("[!.]*"))


def told(client, got, words):
    """How it came stands in the decision that is kept: as a member, in figures and in the sentence."""
    decision = client.json("explain")
    equal((decision["how"], decision["bytes_network"]), (got["how"], got["bytes_network"]), "the decision's figures")
    need(words in decision["because"], f"the sentence does not say {words!r}", decision["because"])
    equal(client("explain").out.splitlines()[0], decision["because"], "what explain prints")
    return decision


@case("a first install comes as a stream, an update as a patch, what is here as nothing; and each decision says so")
def _(t):
    site, package = patched_site(t)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    first = client.json("fetch", package, "-o", t.dir / "out1")
    equal(first["how"], "stream", "how the first install came")
    decision = told(client, first, "came as a first-install stream in 2 requests, where ranges were")
    need(decision["instead"]["how"] == "ranges" and decision["instead"]["bytes_network"] > first["bytes_network"], "instead", decision)
    same_tree(t.dir / "source", t.dir / "out1")
    update(t, site, package, 3)
    client("sync")
    second = client.json("fetch", package, "-o", t.dir / "out2")
    equal(second["how"], "patch", "how the update came")
    told(client, second, "came as a patch in 2 requests, where ranges were")
    same_tree(t.dir / "source", t.dir / "out2")
    # 12,500 bytes have changed, all of them alike.
    need(second["bytes_network"] < 20_000, "the patch is large", second)
    other = t.client("other").enroll(site, f"file://{t.dir}/cap1")
    other("sync")
    equal(other.json("fetch", package, "-o", t.dir / "out3")["how"], "stream", "how a newcomer got it")
    same_tree(t.dir / "source", t.dir / "out3")
    # A third version that is the first one again, under another name: all of it is here.
    site("package", "rollback", package, "--to", "1")
    site("package", "distribute", package, "--all")
    site("publish")
    client("sync")
    third = client.json("fetch", package)
    equal((third["how"], third["bytes_network"]), ("none", 0), "how the rollback came")
    decision = told(client, third, "nothing was read: every byte of it was here; dp1 would have been asked")
    equal((decision["chosen"], decision["attempts"]), (None, []), "who was asked")
    # The site answers the same for that client.
    client("sync")
    site("intake")
    equal(site.json("explain", "--client", client.id, "--package", package)["because"], decision["because"], "at the site")


@case("a rollback needs none of the patches that its version had")
def _(t):
    site, package = patched_site(t)
    update(t, site, package, 3)
    before = patches_on(t.dir / "dp1", package)
    need(any(name.startswith("none-1-") for name in before), "version 1 has no stream", before)
    site("package", "rollback", package, "--to", "1")
    site("package", "distribute", package, "--all", "--no-patches")
    site("publish")
    put_program(t.dir / "source", 0)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    got = client.json("fetch", package, "-o", t.dir / "out")
    equal((got["version"], got["how"]), (3, "ranges"), "how it came")
    same_tree(t.dir / "source", t.dir / "out")
    site("package", "distribute", package, "--all")
    need(any(name.startswith("none-3-") for name in patches_on(t.dir / "dp1", package)), "version 3 got no stream")


@case("patches start from the last versions only, as many as the site says, and are there on every DP")
def _(t):
    site, package = patched_site(t, dps=2)
    conf = site.dir / "site.conf"

    def origins_of(version):
        names = patches_on(t.dir / "dp1", package)
        equal(names, patches_on(t.dir / "dp2", package), "patches on the two DPs")
        return sorted(n.split("-")[0] for n in names if n.split("-")[1] == str(version))

    conf.write_text("patch-versions = 1\n")
    for shift in range(1, 4):
        update(t, site, package, shift)
    equal(origins_of(4), ["3", "none"], "what leads to version 4, by patches from one")
    conf.unlink()
    update(t, site, package, 4)
    equal(origins_of(5), ["2", "3", "4", "none"], "what leads to version 5")
    conf.write_text("patch-versions = 9\n")
    equal(site.json("package", "distribute", package, "--all", "--dry-run")["patches_to_make"], 1, "patches that are to be made")
    site("package", "distribute", package, "--all")
    equal(origins_of(5), ["1", "2", "3", "4", "none"], "what leads there by patches from more than there are")


@case("where a patch saves little over the stream, none is kept, and an update comes as the stream")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    (t.dir / "source").mkdir()
    noise = bytearray(random.Random(2).randbytes(5_000_000))
    (t.dir / "source" / "other").write_bytes(noise[:50_000])
    package = site.package("tool", t.dir / "source")
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    client("fetch", package)
    # What is new stands there nearly twice, further apart than a frame is long: a stream has it once, and so would a patch.
    (t.dir / "source" / "new").write_bytes(noise)
    noise[::20_000] = b"!" * len(noise[::20_000])
    (t.dir / "source" / "new-again").write_bytes(noise)
    site("package", "update", package)
    site("package", "distribute", package, "--all")
    site("publish")
    equal([n.split("-")[0] for n in patches_on(t.dir / "dp1", package) if n.split("-")[1] == "2"], ["none"], "what leads to version 2")
    client("sync")
    got = client.json("fetch", package, "-o", t.dir / "out")
    equal(got["how"], "stream", "how the update came")
    told(client, got, "came as a first-install stream in")
    same_tree(t.dir / "source", t.dir / "out")


@case("without patches a version goes out first, and what follows replaces nothing")
def _(t):
    site, package = patched_site(t, 2, ("--all", "--no-patches"))
    equal(patches_on(t.dir / "dp1", package), [], "patches before")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    got = client.json("fetch", package)
    equal(got["how"], "ranges", "how")
    told(client, got, "came as ranges in")
    update(t, site, package, 3, "--no-patches")
    site("package", "distribute", package, "--all")
    site("publish")
    client("sync")
    got = client.json("fetch", package, "-o", t.dir / "out")
    equal(got["how"], "patch", "how the update came once patches were there")
    same_tree(t.dir / "source", t.dir / "out")


@case("files that get other names and places move no content, a fleet of one size included")
def _(t):
    rng, source = random.Random(4), t.dir / "source"
    for n in range(400):
        (source / f"d{n % 7}").mkdir(parents=True, exist_ok=True)
        size = 3000 if n % 2 else rng.randrange(1, 90_000)
        (source / f"d{n % 7}" / f"f{n}").write_bytes(rng.randbytes(size))
    for n in range(5):
        shutil.copy(source / "d1" / "f1", source / f"copy{n}")
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", source)
    site("publish")
    client = t.client().join(site, f"file://{t.dir}/cap1")
    client("fetch", package)
    for path in [p for p in source.rglob("*") if p.is_file()]:
        path.rename(source / f"d{rng.randrange(7)}" / f"{rng.randrange(1 << 40):x}-{path.name}")
    site("package", "update", package)
    site("package", "distribute", package, "--all", "--no-patches")
    site("publish")
    client("sync")
    got = client.json("fetch", package, "-o", t.dir / "out")
    equal((got["version"], got["how"], got["bytes_network"]), (2, "none", 0), "how it came")
    same_tree(source, t.dir / "out")


@case("a block of a disk image that moved moves no content, whether patches are there or not")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    dp = site.folder_dp("dp1")
    # Not drawn anew: six of a thousand moves change more chunks than are tried (SEAM_CHUNKS_MAX), or meet the next seam first.
    rng, page = random.Random(5), 4096
    image = rng.randbytes(6_000_000)
    (t.dir / "source").mkdir()
    (t.dir / "source" / "disk.img").write_bytes(image)
    package = site.package("image", t.dir / "source")
    site("publish")
    client = t.client().join(site, f"file://{t.dir}/cap1")
    client.json("fetch", package)
    # A piece of whole pages, from anywhere to anywhere before it, and from the middle to the front.
    begin, size, to = page * rng.randrange(700, 900), page * rng.randrange(200, 400), page * rng.randrange(100, 600)
    for at in (to, 0):
        piece, rest = image[begin:begin + size], image[:begin] + image[begin + size:]
        (t.dir / "source" / "disk.img").write_bytes(rest[:at] + piece + rest[at:])
        site("package", "update", package)
        site("package", "distribute", package, "--all", "--no-patches")
        site("publish")
        client("sync")
        dp.rename(dp.with_name("away"))
        got = client.json("fetch", package)
        dp.with_name("away").rename(dp)
        equal((got["how"], got["bytes_network"]), ("none", 0), f"how it came, moved from {begin} to {at}")
        equal((pathlib.Path(got["path"]) / "disk.img").read_bytes() == rest[:at] + piece + rest[at:], True, "its bytes")
        image = (t.dir / "source" / "disk.img").read_bytes()


@case("a DP that does not get the patches serves the version as before")
def _(t):
    site, package = patched_site(t, 2, ("--all", "--no-patches"))
    # A folder where the patches would go, that no folder can be made in.
    blocked = t.dir / "dp2" / package / "patches"
    blocked.write_text("in the way")
    site("package", "distribute", package, "--all", check=False)
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    for dp in ("dp1", "dp2"):
        client("cache", "--clear")
        got = client.json("fetch", package, "--dp", f"file://{t.dir}/{dp}")
        equal(got["how"], "ranges", f"how it comes from {dp}")
    listed = client.json("locate", package)["listed"]
    equal(listed, 2, "DPs listed while one lacks the patches")
    blocked.unlink()
    site("package", "distribute", package, "--all")
    site("publish")
    client("sync")
    client("cache", "--clear")
    equal(client.json("fetch", package)["how"], "stream", "how, once both have it")


@case("a patch with a flipped byte is held against its server, and the next one serves it")
def _(t):
    site, package = patched_site(t, dps=2)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    client("fetch", package)
    update(t, site, package, 3)
    client("sync")
    client("prefer", "dp1")
    name = next(n for n in patches_on(t.dir / "dp1", package) if n.startswith("1-2-"))
    patch = t.dir / "dp1" / package / "patches" / name
    data = bytearray(patch.read_bytes())
    data[len(data) // 2] ^= 0x40
    patch.write_bytes(data)
    got = client.json("fetch", package, "-o", t.dir / "out")
    equal(got["server"], "dp2", "who served it")
    same_tree(t.dir / "source", t.dir / "out")
    attempts = client.json("explain")["attempts"]
    equal([(a["server"], a["class"]) for a in attempts], [("dp1", "corrupt"), ("dp2", "ok")], "attempts")


@case("serve makes patches behind a version that is out already")
def _(t):
    site, package = patched_site(t, 1, ("--all", "--no-patches"))
    (site.dir / "site.conf").write_text("distribute-every = 1s\npublish-every = 1s\n")
    site.serve()
    wait_for("the stream on the DP", 60, lambda: patches_on(t.dir / "dp1", package))
    client = t.client().enroll(site, f"file://{t.dir}/cap1")

    def comes_as_a_stream():
        client("sync")
        client("cache", "--clear")
        return client.json("fetch", package)["how"] == "stream"
    wait_for("clients to take the stream", 60, comes_as_a_stream, step=1)


main()
