"""packway-tuf against TUF 1.0.34: delegations, names of roles and targets, and target files, as a hostile repository may
serve them. What concerns the top-level roles is in tuf_conformance.py."""
import hashlib
from urllib.parse import quote

from flow import case, equal, main, need

try:
    import cryptography  # noqa: F401
except ImportError:
    print("1..0 # SKIP python3-cryptography is not installed")
    raise SystemExit(0)
from tufworld import DAY, NOW, Tuf, World, aliases, cut_short, endless, file_entry, key, settled, status, three, when


@case("a delegated role's threshold counts keys by value, too")
def _(t):
    for signers, threshold, why in ((three(), 2, "target-not-found"), (aliases(), 2, "below-threshold")):
        world = World(t)
        world.delegate("targets", "A", signers=signers, threshold=threshold)
        world.release("targets", "A")
        Tuf(t, world).download("nothing", want=1, why=why)


# -- delegations ---------------------------------------------------------------------------------

# name → (delegations as delegator, name, more), path that nobody has, roles that are visited in this order
GRAPHS = {
    "one": ([("targets", "A")], "x", "A"),
    "two in order": ([("targets", "A"), ("targets", "B")], "x", "AB"),
    "depth first": ([("targets", "A"), ("targets", "B"), ("A", "C"), ("A", "D")], "x", "ACDB"),
    "depth first, three deep": ([("targets", "A"), ("targets", "B"), ("A", "C"), ("C", "D")], "x", "ACDB"),
    "below the second": ([("targets", "A"), ("targets", "B"), ("B", "C")], "x", "ABC"),
    "terminating in the second level": ([("targets", "A"), ("targets", "B"), ("A", "C", {"terminating": True}), ("A", "D")],
                                        "x", "AC"),
    "terminating goes on below itself": ([("targets", "A"), ("targets", "B"), ("A", "C", {"terminating": True}), ("C", "D")],
                                         "x", "ACD"),
    "terminating at the top": ([("targets", "A", {"terminating": True}), ("targets", "B")], "x", "A"),
    "terminating that does not cover the path": ([("targets", "A", {"terminating": True, "paths": ["y"]}), ("targets", "B")],
                                                 "x", "B"),
    "two terminating ones, below each other": ([("targets", "A", {"terminating": True}), ("A", "B", {"terminating": True}),
                                                ("A", "C"), ("targets", "D")], "x", "AB"),
    "a path that does not match": ([("targets", "A", {"paths": ["*.py"]}), ("targets", "B"), ("A", "C")], "x", "B"),
    "a path that does not match further down": ([("targets", "A"), ("targets", "B"), ("A", "C", {"paths": ["*.py"]}),
                                                 ("C", "D")], "x", "AB"),
    "a cycle": ([("targets", "A"), ("targets", "B"), ("B", "C"), ("C", "D"), ("D", "B")], "x", "ABCD"),
    "a role that delegates to itself": ([("targets", "A"), ("A", "A"), ("A", "B")], "x", "AB"),
    "a cycle over two": ([("targets", "A"), ("A", "B"), ("B", "A"), ("B", "C")], "x", "ABC"),
    "a diamond": ([("targets", "A"), ("targets", "B"), ("B", "C"), ("A", "C")], "x", "ACB"),
    "a diamond of which one side matches": ([("targets", "A"), ("targets", "B"), ("B", "C"), ("A", "C", {"paths": ["*.py"]})],
                                            "x", "ABC"),
    "no delegation covers the path": ([("targets", "A", {"paths": ["y"]})], "x", ""),
    "a delegation with no path": ([("targets", "A", {"paths": []})], "x", ""),
    "several paths, one of which matches": ([("targets", "A", {"paths": ["a", "b", "x"]})], "x", "A"),
}


def graph(t, delegations):
    world = World(t)
    for parent, name, *more in delegations:
        world.delegate(parent, name, **more[0] if more else {})
    world.release("targets", *dict.fromkeys(d[1] for d in delegations))
    return world, Tuf(t, world)


for name, (delegations, path, visited) in GRAPHS.items():
    @case(f"delegations: {name}")
    def _(t, delegations=delegations, path=path, visited=visited):
        world, tuf = graph(t, delegations)
        tuf.refresh()
        world.requests()
        tuf.download(path, want=1, why="target-not-found")
        equal(world.requests()[2:], [f"1.{role}.json" for role in visited], "visited")


GLOBS = [  # pattern, path, does it match
    ("*", "x", True), ("*", "a/x", False), ("*/*", "a/x", True), ("a/*", "a/x", True), ("a/*", "a/b/x", False),
    ("*.tgz", "x.tgz", True), ("*.tgz", "a/x.tgz", False), ("x?", "xy", True), ("x?", "x", False), ("a?x", "a/x", False),
    ("x[ab]", "xa", True), ("x[ab]", "xc", False), ("x[!ab]", "xc", True), ("x", "X", False), ("", "x", False),
    ("**", "x", True), ("**", "a/x", False), ("a/**/x", "a/b/x", True), ("/x", "x", False), ("x/", "x", False),
    ("caf?", "café", True), ("*a*a*a*a*a*a*a*b", "a" * 120, False), ("[x", "[x", True), ("\\*", "x", False),
]


@case("delegations: patterns match as in a shell, and no '*' crosses a slash")
def _(t):
    for pattern, path, matches in GLOBS:
        world = World(t)
        world.delegate("targets", "A", paths=[pattern])
        world.release("targets", "A")
        tuf = Tuf(t, world)
        tuf.download(path, want=1, why="target-not-found")
        equal("1.A.json" in world.requests(), matches, f"{pattern!r} covers {path!r}")


@case("delegations: path_hash_prefixes cover what hashes to them")
def _(t):
    digest = hashlib.sha256(b"x").hexdigest()
    for prefixes, matches in (([digest[:2]], True), ([digest], True), (["00" if digest[:2] != "00" else "11"], False),
                              ([], False), ([digest[:2].upper()], digest[:2].upper() == digest[:2])):
        world = World(t)
        world.delegate("targets", "A", paths=None, path_hash_prefixes=prefixes)
        world.release("targets", "A")
        Tuf(t, world).download("x", want=1, why="target-not-found")
        equal("1.A.json" in world.requests(), matches, str(prefixes))


@case("delegations: succinct bins share the paths by their hashes")
def _(t):
    world = World(t)
    signer = key(100)
    bins = [f"bin-{i:x}" for i in range(16)]
    for name in bins:
        world.delegate("targets", name)
    world.signed["targets"]["delegations"] = {
        "keys": {signer.id: signer.object},
        "succinct_roles": {"keyids": [signer.id], "threshold": 1, "bit_length": 4, "name_prefix": "bin"}}
    for path in ("a", "b", "dir/c"):
        world.add(path, path.encode(), role="bin-" + hashlib.sha256(path.encode()).hexdigest()[0])
    world.add("stray", b"?", role="bin-" + f"{int(hashlib.sha256(b'stray').hexdigest()[0], 16) ^ 1:x}")
    world.release("targets", *bins)
    tuf = Tuf(t, world)
    tuf.download("a", "b", "dir/c")
    equal(len(tuf.got()), 3, "downloads")
    tuf.download("stray", want=1, why="target-not-found")


def hash_bins(t, count=16, parent="R"):
    """targets → R: */*, R → count bins by the first digits of the path's hash, as a site with many packages has it."""
    world = World(t, listed=("length", "hashes"))
    world.delegate("targets", parent, paths=["dir/*"], terminating=True)
    each, names = 256 // count, [f"{parent}-{i:02x}" for i in range(count)]
    for i, name in enumerate(names):
        world.delegate(parent, name, paths=None, terminating=True,
                       path_hash_prefixes=[f"{byte:02x}" for byte in range(i * each, (i + 1) * each)])
    return world, names


def bin_of(names, path):
    return names[int(hashlib.sha256(path.encode()).hexdigest()[:2], 16) * len(names) // 256]


@case("hash bins: a path is looked for in its own bin, and nowhere else")
def _(t):
    world, names = hash_bins(t)
    for i in range(12):
        world.add(f"dir/{i}", b"%d" % i, role=bin_of(names, f"dir/{i}"))
    world.add("dir/stray", b"?", role=names[names.index(bin_of(names, "dir/stray")) ^ 1])
    world.add("else/0", b"?", role=bin_of(names, "else/0"))
    world.release("targets", "R", *names)
    tuf = Tuf(t, world)
    tuf.refresh()
    for i in range(12):
        world.requests()
        tuf.download(f"dir/{i}")
        fetched = [r for r in world.requests() if ".R-" in r]
        need(fetched in ([f"1.{bin_of(names, f'dir/{i}')}.json"], []), "bins", fetched)
    equal(len(tuf.got()), 12, "downloads")
    tuf.download("dir/stray", want=1, why="target-not-found")
    tuf.download("else/0", want=1, why="target-not-found")
    tuf.download("dir/none", want=1, why="target-not-found")


@case("hash bins: a change of one bin costs that bin; a bin never goes back")
def _(t):
    world, names = hash_bins(t)
    here, other = "dir/a", next(f"dir/{i}" for i in range(99) if bin_of(names, f"dir/{i}") != bin_of(names, "dir/a"))
    for path in (here, other):
        world.add(path, path.encode(), role=bin_of(names, path))
    world.release("targets", "R", *names)
    tuf = Tuf(t, world)
    tuf.download(here, other)
    world.add(here, b"new", role=bin_of(names, here))
    world.release(bin_of(names, here))
    world.requests()
    tuf.download(here, other)
    equal([r for r in world.requests() if r.endswith(".json")][2:],
          [world.file("snapshot")[9:], f"2.{bin_of(names, here)}.json"], "fetched")

    # A snapshot that lists the bin's former version, by the right keys.
    world.new_snapshot(lambda s: s["meta"][f"{bin_of(names, here)}.json"].update(version=1))
    tuf.refused("rollback", stored=("timestamp",))
    world.new_snapshot(lambda s: s["meta"].pop(f"{bin_of(names, other)}.json"))
    tuf.refused("vanished", stored=("timestamp",))
    world.new_snapshot()
    tuf.download(here, other)


@case("hash bins: a list that becomes bins takes clients along that hold it whole")
def _(t):
    world = World(t, listed=("length", "hashes"))
    world.delegate("targets", "R", paths=["dir/*"], terminating=True)
    for i in range(8):
        world.add(f"dir/{i}", b"%d" % i, role="R")
    world.release("targets", "R")
    tuf = Tuf(t, world)
    tuf.download("dir/0")
    old = dict(world.files)

    names = [f"R-{i:02x}" for i in range(256)]
    for i, name in enumerate(names):
        world.delegate("R", name, paths=None, path_hash_prefixes=[f"{i:02x}"], terminating=True)
    for path, entry in world.signed["R"]["targets"].items():
        world.signed[bin_of(names, path)]["targets"][path] = entry
    world.signed["R"]["targets"] = {}
    world.release("R", *names)
    tuf.download(*[f"dir/{i}" for i in range(8)])
    equal(len(tuf.got()), 8, "downloads")
    new, world.files = world.files, old
    tuf.refused("rollback")
    world.files = new | {"metadata/2.R.json": old["metadata/1.R.json"]}
    tuf.download("dir/1")  # what is trusted is not asked for again
    (tuf.dir / "R.json").unlink()
    tuf.download("dir/1", want=1, why="bad-length")


@case("hash bins: a bin by another key than its role names, and one in another's place")
def _(t):
    world, names = hash_bins(t)
    path = "dir/a"
    world.add(path, b"a", role=bin_of(names, path))
    world.keys[bin_of(names, path)] = [key(101)]
    world.release("targets", "R", *names)
    tuf = Tuf(t, world)
    tuf.download(path, want=1, why="below-threshold")
    world.keys[bin_of(names, path)] = [key(100)]
    world.release(bin_of(names, path))
    world.files[f"metadata/2.{bin_of(names, path)}.json"] = world.packed[names[names.index(bin_of(names, path)) ^ 1]]
    tuf.download(path, want=1)
    equal(tuf.got(), {}, "downloads")


def tree(t):
    """targets → A: *.md, B: releases/*/*, B → C: releases/x/*, D: releases/y/*.zip"""
    world = World(t)
    world.delegate("targets", "A", paths=["*.doc", "*.md"])
    world.delegate("targets", "B", paths=["releases/*/*"])
    world.delegate("B", "C", paths=["releases/x/*"])
    world.delegate("B", "D", paths=["releases/y/*.zip"])
    for role, path in (("targets", "file"), ("A", "README.md"), ("C", "releases/x/1"), ("D", "releases/y/1.zip"),
                       ("D", "releases/z/1.zip"), ("C", "other")):
        world.add(path, path.encode(), role=role)
    world.release("targets", "A", "B", "C", "D")
    return world, Tuf(t, world)


for path, visited in {"file": "", "README.md": "A", "releases/x/1": "BC", "releases/y/1.zip": "BD"}.items():
    @case(f"delegations: {path} is found by way of {visited or 'nobody'}")
    def _(t, path=path, visited=visited):
        world, tuf = tree(t)
        tuf.download(path)
        equal(list(tuf.got().values()), [path.encode()], "content")
        equal([r[2] for r in world.requests()[4:-1]], list(visited), "visited")


for path, visited in {"releases/z/1.zip": "B", "other": ""}.items():
    @case(f"delegations: {path} is listed by a role that may not sign it")
    def _(t, path=path, visited=visited):
        world, tuf = tree(t)
        tuf.download(path, want=1, why="target-not-found")
        equal([r[2] for r in world.requests()[4:]], list(visited), "visited")


@case("delegations: the first role in order wins")
def _(t):
    world = World(t)
    world.delegate("targets", "A")
    world.delegate("targets", "B")
    world.add("x", b"by B", role="B")
    world.add("x", b"by A", role="A")
    world.release("targets", "A", "B")
    tuf = Tuf(t, world)
    tuf.download("x")
    equal(list(tuf.got().values()), [b"by A"])


def many(t, shape, count):
    world = World(t)
    names = [f"r{i:02}" for i in range(count)]
    for i, name in enumerate(names):
        world.delegate("targets" if shape == "wide" or i == 0 else names[i - 1], name)
    world.add("x", b"found", role=names[-1])
    world.release("targets", *names)
    return world, Tuf(t, world)


for shape in ("wide", "deep"):
    @case(f"delegations: 32 roles are visited, {shape}")
    def _(t, shape=shape):
        world, tuf = many(t, shape, 32)
        tuf.download("x")

    @case(f"delegations: the 33rd role is not, {shape}")
    def _(t, shape=shape):
        world, tuf = many(t, shape, 33)
        tuf.download("x", want=1, why="target-not-found")
        equal(len(world.requests()), 4 + 32, "requests")


@case("delegations: a cached role is checked again by whoever delegates to it on this search")
def _(t):
    world = World(t)
    world.delegate("targets", "A", paths=["a"])
    world.delegate("targets", "B", paths=["b"])
    world.delegate("A", "C", paths=["a"])
    world.delegate("B", "C", paths=["b"], signers=[key(101)])  # B trusts another key than A for C
    world.add("a", b"a", role="C")
    world.add("b", b"b", role="C")
    world.release("targets", "A", "B", "C")
    tuf = Tuf(t, world)
    tuf.download("a")
    tuf.download("b", want=1, why="below-threshold")
    tuf.download("a", "b", want=1, why="below-threshold")
    equal(list(tuf.got().values()), [b"a"], "downloads")


@case("delegations: after the delegator changed the key, what is cached does not count")
def _(t):
    world = World(t)
    world.delegate("targets", "A")
    world.add("x", b"x", role="A")
    world.release("targets", "A")
    tuf = Tuf(t, world)
    tuf.download("x")
    world.signed["targets"]["delegations"] = {"keys": {}, "roles": []}
    world.delegate("targets", "A", signers=[key(101)])
    world.release("targets")
    (tuf.downloads / "x").unlink()
    tuf.download("x", want=1, why="below-threshold")
    equal(tuf.got(), {}, "downloads")
    world.keys["A"] = [key(101)]
    world.release("A")
    tuf.download("x")


@case("delegations: a role that was withdrawn answers no more, though it is stored")
def _(t):
    world = World(t)
    world.delegate("targets", "A")
    world.add("x", b"x", role="A")
    world.release("targets", "A")
    tuf = Tuf(t, world)
    tuf.download("x")
    world.signed["targets"]["delegations"] = {"keys": {}, "roles": []}
    world.release("targets")
    tuf.download("x", want=1, why="target-not-found")


@case("delegations: a role that the snapshot does not list")
def _(t):
    world = World(t)
    world.delegate("targets", "A")
    world.release("targets")
    tuf = Tuf(t, world)
    tuf.download("x", want=1, why="missing-target-role")


@case("delegations: a cached role that has expired is refused")
def _(t):
    world = World(t)
    world.delegate("targets", "A")
    world.add("x", b"x", role="A")
    world.signed["A"]["expires"] = when(NOW + DAY)
    world.release("targets", "A")
    tuf = Tuf(t, world)
    tuf.download("x")
    tuf.now = NOW + DAY
    tuf.download("x", want=1, why="expired")
    tuf.refresh()


@case("delegations: a role file under another delegated role's name")
def _(t):
    world = World(t)
    world.delegate("targets", "A", paths=["a"])
    world.delegate("targets", "B", paths=["b"], signers=[key(101)])
    world.add("a", b"a", role="A")
    world.add("b", b"b", role="B")
    world.release("targets", "A", "B")
    world.files["metadata/1.B.json"] = world.packed["A"]
    tuf = Tuf(t, world)
    tuf.download("b", want=1, why="below-threshold")
    tuf.download("a")


def delegation_form_case(name, change, why="malformed"):
    @case(f"a delegation's form: {name}")
    def _(t):
        world, tuf = settled(t)
        world.delegate("targets", "A")
        change(world.signed["targets"]["delegations"])
        world.release("targets", "A")
        if why:
            tuf.refused(why, stored=("timestamp", "snapshot"))
        else:
            tuf.refresh()


for name, change in {
    "threshold 0": lambda d: d["roles"][0].update(threshold=0),
    "no name": lambda d: d["roles"][0].pop("name"),
    "an empty name": lambda d: d["roles"][0].update(name=""),
    "the name root": lambda d: d["roles"][0].update(name="root"),
    "the name targets": lambda d: d["roles"][0].update(name="targets"),
    "a name of 201 bytes": lambda d: d["roles"][0].update(name="n" * 201),
    "a name with NUL": lambda d: d["roles"][0].update(name="a\0b"),
    "neither paths nor prefixes": lambda d: d["roles"][0].pop("paths"),
    "paths and prefixes": lambda d: d["roles"][0].update(path_hash_prefixes=["00"]),
    "paths that are a text": lambda d: d["roles"][0].update(paths="*"),
    "a path that is a number": lambda d: d["roles"][0].update(paths=[1]),
    "terminating as text": lambda d: d["roles"][0].update(terminating="no"),
    "a key id twice": lambda d: d["roles"][0]["keyids"].append(d["roles"][0]["keyids"][0]),
    "the same role twice": lambda d: d["roles"].append(d["roles"][0]),
    "no keys": lambda d: d.pop("keys"),
    "no roles": lambda d: d.pop("roles"),
    "roles and bins": lambda d: d.update(succinct_roles={"keyids": [], "threshold": 1, "bit_length": 1, "name_prefix": "b"}),
    "bins of 33 bits": lambda d: (d.pop("roles"), d.update(
        succinct_roles={"keyids": [], "threshold": 1, "bit_length": 33, "name_prefix": "b"})),
    "bins of 0 bits": lambda d: (d.pop("roles"), d.update(
        succinct_roles={"keyids": [], "threshold": 1, "bit_length": 0, "name_prefix": "b"})),
}.items():
    delegation_form_case(name, change)
delegation_form_case("without terminating", lambda d: d["roles"][0].pop("terminating"), None)
delegation_form_case("unknown members", lambda d: (d.update(x=1), d["roles"][0].update(y=2)), None)

# -- names ---------------------------------------------------------------------------------------

ROLE_NAMES = ["?", "#", "/role", "../role", "../../root", "a/b/c", "..", ".", ".hidden", "a b", "a%2Fb", "%00", "grüße", "名前",
              "a\nb", "a\\b", "C:", "-", "1.root", "*", "\u202etxt", "n" * 200, "é" * 33, "Timestamp", "root.json"]


@case("names: hostile names of roles are encoded, in URLs and in DIR")
def _(t):
    for name in ROLE_NAMES:
        world = World(t)
        world.delegate("targets", name)
        world.add("x", name.encode(), role=name)
        world.release("targets", name)
        tuf = Tuf(t, world)
        tuf.check_folder = lambda: None
        around = set(t.dir.iterdir())
        tuf.download("x")
        equal(world.requests()[4], f"1.{quote(name, safe='')}.json", "the request")
        equal(list(tuf.got().values()), [name.encode()], "content")
        equal(set(t.dir.iterdir()) - around, {tuf.downloads}, "made beside DIR")
        equal(len(tuf.stored()), 5, "files in DIR")
        need(all(p.is_file() and p.suffix == ".json" and p.name[0] != "." for p in tuf.dir.iterdir()), "a stray file in DIR")
        # It is found there the next time.
        tuf.download("x")
        equal(world.requests(), ["2.root.json", "timestamp.json"], "requests of the second")


TARGET_NAMES = ["a b", "a?b=c", "a#b", "a%2e%2e", "%2e%2e", "a&b;c", "grüße/名前", ".hidden", "a/.b", "a/b/c/d/e/f", "...", "a\nb",
                "a\\b", "-rf", "~", "n" * 250, "/".join(["d" * 100] * 12), "\u202etxt", "C:x", "root.json", "é" * 120]


@case("names: hostile names of targets are encoded, in URLs and in TDIR")
def _(t):
    for name in TARGET_NAMES:
        world = World(t)
        world.add(name, name.encode())
        world.release("targets")
        tuf = Tuf(t, world)
        around = set(t.dir.iterdir())
        tuf.download(name)
        equal(list(tuf.got().values()), [name.encode()], name)
        equal(set(t.dir.iterdir()) - around, {tuf.downloads}, "made beside TDIR")
        need(world.requests()[-1].startswith("targets/"), "asked elsewhere")
        tuf.download(name)
        equal(world.requests(), ["2.root.json", "timestamp.json"], "requests of the second")


@case("names: targets whose names differ little do not overwrite each other")
def _(t):
    names = ["a/b", "a%2Fb", "a%252Fb", "A/b", "a/b.", "a b", "a+b", "long/" + "x" * 240 + "1", "long/" + "x" * 240 + "2"]
    world = World(t)
    for name in names:
        world.add(name, name.encode())
    world.release("targets")
    tuf = Tuf(t, world)
    tuf.download(*names)
    equal(sorted(tuf.got().values()), sorted(n.encode() for n in names), "downloads")


@case("names: a target that would leave its folder is never asked for")
def _(t):
    for name in ("../x", "a/../../x", "..", ".", "/etc/passwd", "a//b", "a/", "a/./b", "", "x" * 256, "d/" * 1024 + "x"):
        world = World(t)
        world.signed["targets"]["targets"][name] = file_entry(b"evil")
        world.release("targets")
        tuf = Tuf(t, world)
        around = set(t.dir.iterdir())
        tuf.download(name, want=1)
        equal([r for r in world.requests() if r.startswith("targets/")], [], f"requests for {name[:20]!r}")
        equal(tuf.got(), {}, "downloads")
        equal(set(t.dir.iterdir()) - around - {tuf.downloads}, set(), "made beside TDIR")


# -- targets -------------------------------------------------------------------------------------

def target_form_case(name, entry, why="malformed"):
    @case(f"a target's form: {name}")
    def _(t):
        world, tuf = settled(t)
        world.signed["targets"]["targets"]["x"] = entry
        world.release("targets")
        tuf.refused(why, stored=("timestamp", "snapshot"))


good = file_entry(b"x")
target_form_case("no length", {"hashes": good["hashes"]})
target_form_case("a negative length", good | {"length": -1})
target_form_case("a length that is text", good | {"length": "1"})
target_form_case("no hashes", {"length": 1})
target_form_case("empty hashes", {"length": 1, "hashes": {}})
target_form_case("a hash with a slash", {"length": 1, "hashes": {"own": "../x"}})
target_form_case("a hash that is too long", {"length": 1, "hashes": {"own": "a" * 129}})
target_form_case("an upper-case hash", {"length": 1, "hashes": {"sha256": good["hashes"]["sha256"].upper()}})
target_form_case("an entry that is a text", "x")


def target_case(name, entry, content, why, algorithms=("sha256",)):
    @case(f"a target: {name}")
    def _(t):
        world = World(t)
        world.add("dir/x", b"the content", algorithms=algorithms)
        world.signed["targets"]["targets"]["dir/x"].update(entry)
        path = next(p for p in world.files if p.startswith("targets/"))
        if content != b"the content":
            world.files[path] = content
        world.release("targets")
        tuf = Tuf(t, world)
        tuf.download("dir/x", want=1 if why else 0, why=why)
        equal(list(tuf.got().values()), [] if why else [b"the content"], "downloads")


target_case("as listed", {}, b"the content", None)
target_case("other bytes", {}, b"the c0ntent", "bad-hash")
target_case("too short", {}, b"the conten", "bad-length")
target_case("too long", {}, b"the content.", "too-large")
target_case("endless", {}, endless, "too-large")
target_case("broken off", {}, cut_short(b"the content"), "unreachable")
target_case("absent", {}, None, "missing")
target_case("a server error", {}, status(503), "unreachable")
target_case("a listed length that is less", {"length": 10}, b"the content", "too-large")
target_case("a listed length that is more", {"length": 12}, b"the content", "bad-length")
target_case("a listed length past all bounds", {"length": 2**50}, b"the content", "too-large")
target_case("by SHA-512 alone", {}, b"the content", None, ("sha512",))
target_case("by SHA-256 and SHA-512", {}, b"the content", None, ("sha256", "sha512"))
target_case("by two hashes of which one does not match", {"hashes": {
    **file_entry(b"the content")["hashes"], "sha512": "0" * 128}}, b"the content", "bad-hash")
target_case("with custom members", {"custom": {"a": [1, 2]}, "extra": 1}, b"the content", None)


@case("a target that is there with the right hashes is not fetched again, another one is")
def _(t):
    world = World(t)
    world.add("x", b"one")
    world.release("targets")
    tuf = Tuf(t, world)
    tuf.download("x")
    world.requests()
    tuf.download("x")
    equal(world.requests(), ["2.root.json", "timestamp.json"], "requests")
    (tuf.downloads / "x").write_bytes(b"two")
    tuf.download("x")
    equal(len(world.requests()), 3, "requests")
    equal(tuf.got(), {"x": b"one"})


@case("a new version of a target replaces the old one, a forged one does not")
def _(t):
    world = World(t)
    tuf = Tuf(t, world)
    for content in (b"one", b"two and more"):
        world.add("x", content)
        world.release("targets")
        tuf.download("x")
        equal(tuf.got(), {"x": content})
    world.add("x", b"three")
    for path in [p for p in world.files if p.startswith("targets/")]:
        world.files[path] = b"evil!"
    world.release("targets")
    tuf.download("x", want=1, why="bad-hash")
    equal(tuf.got(), {"x": b"two and more"})


@case("of several targets the good ones arrive, and the status is 1")
def _(t):
    world = World(t)
    for name in "abc":
        world.add(name, name.encode())
    path = next(p for p in world.files if p.endswith(".b"))
    world.files[path] = b"?"
    world.release("targets")
    tuf = Tuf(t, world)
    tuf.download("a", "b", "c", want=1, why="bad-hash")
    equal(tuf.got(), {"a": b"a", "c": b"c"})


@case("a target is not fetched where the refresh before it fails")
def _(t):
    world = World(t)
    world.add("x", b"x")
    world.release("targets")
    world.files["metadata/timestamp.json"] = b"{}"
    tuf = Tuf(t, world)
    tuf.download("x", want=1, why="malformed")
    equal([r for r in world.requests() if "targets" in r], [], "requests")


main()
