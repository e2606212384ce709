#!/usr/bin/python3
"""Answers that are cut at any byte, or come otherwise than they were asked for: the right content, or a clear failure,
whether it comes by ranges, a first-install stream or a patch, and for index and manifest as well."""
import hostile
from flow import *

CUTS = int(os.environ.get("PACKWAY_TEST_CUTS", "25"))
KINDS = {  # what of the server's names is meant
    "ranges": lambda r: r.is_pack(),
    "stream": lambda r: "/patches/none-" in r.path,
    "patch": lambda r: "/patches/1-2-" in r.path,
    "index": lambda r: r.is_index(),
    "manifest": lambda r: "/manifest/" in r.path,
}


def put_program(folder, shift):
    """Noise of which every 32nd byte is another one in each version, and text that packs well."""
    folder.mkdir(exist_ok=True)
    data = bytearray(random.Random(1).randbytes(300_000))
    for at in range(7, len(data), 32):
        data[at] = (data[at] + shift) & 255
    (folder / "program").write_bytes(data)
    words = bytearray("".join(f"line {n * n} of a text that packs well\n" for n in range(60_000)).encode())
    (folder / "text").write_bytes(words)
    # Nearly the same again, further away than a frame is long: only a stream's window reaches it.
    words[::20_000] = b"!" * len(words[::20_000])
    (folder / "text-again").write_bytes(words)


@shared
def world(t):
    """Two packages, one without patches; a DP and a CAP that misbehave as they are told; one client that has version 1 of the
    first by its folder `kept`."""
    class World:
        pass

    w = World()
    w.t, w.site = t, t.site()
    w.cap, w.dp = (hostile.Server(t, t.dir / name) for name in ("cap", "dp"))
    w.site("cap", "add", "cap1", f"file://{w.cap.folder}", w.cap.url)
    w.site("dp", "add", "dp1", w.dp.url)
    w.source = t.dir / "source"
    put_program(w.source, 0)
    w.plain = w.site.package("plain", w.source)
    w.package = w.site.json("package", "create", "tool", "--source", w.source)["id"]
    w.site("package", "distribute", w.package, "--all")
    w.site("publish")
    w.client = t.client().join(w.site, w.cap.url)
    w.client("fetch", w.package)
    w.kept = shutil.copytree(w.client.state / "store", t.dir / "kept", symlinks=True)
    put_program(w.source, 3)
    for package in (w.plain, w.package):
        w.site("package", "update", package)
        w.site("package", "distribute", package, "--all", *(["--no-patches"] if package == w.plain else []))
    w.site("publish")
    w.client("sync")
    w.cap.hide()  # from here on it is a web server alone
    w.fresh = shutil.copytree(w.client.state, t.dir / "fresh", symlinks=True)
    return w


def prepare(w, kind):
    """An empty store, or version 1 in it; nobody has anything against the server. For manifests all is as before the first
    fetch of version 2, with which they come."""
    if kind == "manifest":
        shutil.rmtree(w.client.state)
        shutil.copytree(w.fresh, w.client.state, symlinks=True)
    shutil.rmtree(w.client.state / "store", ignore_errors=True)
    if kind == "patch":
        shutil.copytree(w.kept, w.client.state / "store", symlinks=True)
    (w.client.state / "worker/nal.json").unlink(missing_ok=True)
    w.cap.behaviour = w.dp.behaviour = hostile.honest
    w.cap.forget()
    w.dp.forget()


def attempt(w, kind, name, behaviour):
    """One fetch against it. Returns True if it delivered; what it delivers is right."""
    prepare(w, kind)
    server = w.cap if kind == "manifest" else w.dp
    server.behaviour = hostile.on(KINDS[kind], behaviour)
    package, out = w.plain if kind == "ranges" else w.package, w.t.dir / "out"
    shutil.rmtree(out, ignore_errors=True)
    result = w.client("fetch", package, "-o", out, "--json", check=False)
    need(any(kind == "ranges" and n.endswith(".pack") or f"/{kind}/" in f"/{n}" or "/patches/" in n for _, n, _ in server.requests),
         f"{kind}, {name}: the misbehaving object was not asked for", server.requests, result.out)
    if result.code == 0:
        same_tree(w.source, out)
        shutil.rmtree(out)
        return True
    error = result.json["error"]
    need(error["code"].startswith("PW-") and error["why"] and error["fix"], f"{kind}, {name}: no clear failure", error)
    need(result.code in ((1, 4) if kind == "manifest" else (4,)), f"{kind}, {name}: exit {result.code}", error)
    need(not out.exists(), f"{kind}, {name}: a tree stands there")
    need(not (w.client.state / "store" / package / "2").exists(), f"{kind}, {name}: a tree stands in the store")
    return False


def size_of(w, kind):
    names = {"ranges": f"dp/{w.plain}/packs/*.pack", "stream": f"dp/{w.package}/patches/none-2-*",
             "patch": f"dp/{w.package}/patches/1-2-*", "index": f"dp/{w.package}/index/2-*",
             "manifest": f"cap/targets/manifest/{w.package}/*"}
    return max(p.stat().st_size for p in [*w.t.dir.glob(names[kind]), *w.t.dir.glob(names[kind].replace("cap/", "cap.elsewhere/"))])


def completes(w, kind, name):
    """The server is well again: what came before is used, and all is right."""
    w.cap.behaviour = w.dp.behaviour = hostile.honest
    (w.client.state / "worker/nal.json").unlink(missing_ok=True)
    out = w.t.dir / "again"
    w.client("fetch", w.plain if kind == "ranges" else w.package, "-o", out)
    same_tree(w.source, out)
    shutil.rmtree(out)
    equal(w.client.json("verify"), [], f"{kind}, {name}: verify")


@case(f"answers cut at {CUTS} places of packs, streams, patches, indexes and manifests")
def _(t):
    w = world()
    steps, delivered = CUTS // len(KINDS), {}
    for kind in KINDS:
        size = size_of(w, kind)
        places = [0, 1, size - 1] + [size * n // (steps - 2) + t.rng.randrange(max(1, size // steps)) for n in range(steps - 3)]
        for number, cut in enumerate(places):
            name = f"cut at {cut} of {size}"
            delivered[kind] = delivered.get(kind, 0) + attempt(w, kind, name, hostile.cut_after(cut))
            if number % 7 == 3:
                completes(w, kind, name)
    print(f"# {CUTS} cuts; delivered all the same: {delivered}")


@case("servers without ranges, with others, with forced encodings and wrong lengths, for each kind of transfer")
def _(t):
    w = world()
    odd = [("without ranges", hostile.without_ranges, True), ("with another range", hostile.wrong_range, None),
           ("with a lying range", hostile.lying_range, None), ("with gzip", hostile.gzipped, None),
           ("with a longer Content-Length", hostile.wrong_length(+1000), None),
           ("with a shorter Content-Length", hostile.wrong_length(-1000), None),
           ("with zeros", hostile.zeroed, None), ("with a flipped byte", hostile.flipped, None),
           ("with half of it", hostile.truncated, None), ("without it", hostile.missing, None)]
    for kind in KINDS:
        for name, behaviour, must in odd:
            got = attempt(w, kind, name, behaviour)
            need(must is None or got == must, f"{kind} from a server {name}: {got}")
            if kind != "manifest" and not got:
                decision = w.client.json("explain")
                need([a["server"] for a in decision["attempts"]] == ["dp1"] and "dp1" in decision["because"],
                     f"{kind}, {name}: the server is not named", decision)


main()
