"""packway-tuf against TUF 1.0.34: what a hostile repository may serve, rule by rule. Each refusal is told by its verdict
and changes nothing that is stored, except what the case says; docs/formats/metadata.md has the rules. Delegations, names and
targets are in tuf_targets.py."""
import subprocess
import sys
import time

from flow import Case, case, equal, main, need, program

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
except ImportError:
    print("1..0 # SKIP python3-cryptography is not installed")
    raise SystemExit(0)
from tufworld import (DAY, NOW, TOP, Key, Tuf, World, aliases, canonical, cut_short, dripping, endless, file_entry, json,
                      key, settled, status, three, when)

# -- the order of requests, and what is kept ----------------------------------------------------

@case("a first refresh asks for four files, an unchanged one for two")
def _(t):
    world = World(t)
    tuf = Tuf(t, world)
    tuf.refresh()
    equal(world.requests(), ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
    equal(set(tuf.stored()), {f"{r}.json" for r in TOP}, "stored")
    tuf.refresh()
    equal(world.requests(), ["2.root.json", "timestamp.json"])


@case("a release of targets costs timestamp, snapshot and targets")
def _(t):
    world, tuf = settled(t)
    world.release("targets")
    tuf.refresh()
    equal(world.requests(), ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"])


@case("a new snapshot that lists the same targets does not fetch them")
def _(t):
    world, tuf = settled(t)
    world.new_snapshot()
    tuf.refresh()
    equal(world.requests(), ["2.root.json", "timestamp.json", "2.snapshot.json"])


@case("a new timestamp that lists the same snapshot does not fetch it")
def _(t):
    world, tuf = settled(t)
    world.new_timestamp()
    tuf.refresh()
    equal(world.requests(), ["2.root.json", "timestamp.json"])


@case("without consistent snapshots only root's name has a version")
def _(t):
    world = World(t, consistent=False)
    world.add("dir/tool", b"content")
    world.delegate("targets", "A")
    world.release("targets", "A")
    tuf = Tuf(t, world)
    tuf.download("dir/tool")
    equal(world.requests(), ["2.root.json", "timestamp.json", "snapshot.json", "targets.json", "targets/dir/tool"])
    tuf.download("nothing", want=1, why="target-not-found")
    equal(world.requests(), ["2.root.json", "timestamp.json", "A.json"])


@case("a root without consistent_snapshot means none")
def _(t):
    world = World(t, consistent=False, root={"consistent_snapshot": False})
    del world.signed["root"]["consistent_snapshot"]
    world.new_root()
    tuf = Tuf(t, world)
    tuf.refresh()
    equal(world.requests()[-2:], ["snapshot.json", "targets.json"])


def broken_folder(name, content, why="no-root"):
    @case(f"init, then {name}: refused without a request")
    def _(t):
        world = World(t)
        tuf = Tuf(t, world)
        file = tuf.dir / "root.json"
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        tuf.check_folder = lambda: None
        tuf.refresh(want=1, why=why)
        equal(world.requests(), [], "requests")


broken_folder("the root is gone", None)
broken_folder("the root is empty", b"")
broken_folder("the root is damaged", b'{"signed":')
broken_folder("the root is too large", b" " * 512001)


@case("init refuses a root that its own keys did not sign, and stores none")
def _(t):
    world = World(t)
    for by in ([key(50)], []):
        world.first.write_bytes(world.pack("root", by))
        tuf = Tuf(t, world, init=False)
        tuf.run("init", world.first, want=1, why="below-threshold")
        equal(tuf.stored(), {}, "stored")
        tuf.refresh(want=1, why="no-root")
    equal(world.requests(), [], "requests")


@case("init refuses a root without a version")
def _(t):
    world = World(t)
    world.first.write_bytes(world.pack("root", signed=world.body("root", version=None)))
    Tuf(t, world, init=False).run("init", world.first, want=1, why="malformed")


@case("an initial root that is expired will do if a newer one follows")
def _(t):
    world = World(t, root={"expires": when(NOW - DAY)})
    tuf = Tuf(t, world)
    tuf.refused("expired")
    equal(world.requests(), ["2.root.json"], "requests")
    world.signed["root"]["expires"] = when(NOW + DAY)
    world.new_root()
    tuf.refresh()
    equal(tuf.version("root"), 2)


@case("a stored file that somebody damaged is fetched again")
def _(t):
    world, tuf = settled(t, listed=("length", "hashes"))
    for role in TOP[1:]:
        (tuf.dir / f"{role}.json").write_bytes(b"{}")
        tuf.refresh()
        equal(tuf.version(role), 1, role)


@case("a stored file that another key signed counts for nothing")
def _(t):
    world, tuf = settled(t)
    forged = world.body("timestamp", version=900)
    (tuf.dir / "timestamp.json").write_bytes(world.pack("timestamp", [key(50)], forged))
    tuf.refresh()
    equal(tuf.version("timestamp"), 1)


@case("a folder serves as well as a server")
def _(t):
    world = World(t)
    world.add("dir/tool", b"content")
    world.release("targets")
    folder = t.new_dir("served")
    for path, content in world.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        world.given.add(content)
    world.url = f"file://{folder}"
    tuf = Tuf(t, world)
    tuf.download("dir/tool")
    equal(list(tuf.got().values()), [b"content"], "downloads")


@case("words that are no command line end with status 1")
def _(t):
    world = World(t)
    tuf = Tuf(t, world)
    for words in (("dance",), ("refresh",), ("--metadata-url", world.url, "download"), ("--no-such-option", "refresh"), ()):
        tuf.run(*words or ("--metadata-dir",), want=1)
    equal(world.requests(), [], "requests")


# -- every file, attacked in the same ways -------------------------------------------------------

def next_files(world):
    """Let every role have a next version; the names of their files."""
    world.new_root()
    world.release("targets", *(["A"] if "A" in world.signed else []))


def forged(world, role, attack):
    """What is served in the place of the role's new file."""
    content, other = world.packed[role], world.packed["snapshot" if role != "snapshot" else "targets"]
    flipped = content.replace(b'"spec_version": "1.0.34"', b'"spec_version": "1.0.35"')
    return {
        "unsigned": lambda: world.pack(role, []),
        "signed by a stranger": lambda: world.pack(role, [key(50)]),
        "signed by a stranger under the right key id": lambda: world.pack(
            role, signatures=[{"keyid": k.id, "sig": key(50).sign(canonical(world.signed[role]))} for k in world.keys[role]]),
        "changed after it was signed": lambda: flipped,
        "another role's file": lambda: other,
        "another version's file": lambda: world.pack(role, signed=world.body(role, version=world.signed[role]["version"] + 5)),
        "no JSON": lambda: b"<html>404</html>",
        "empty": lambda: b"",
        "cut short": lambda: content[:-30],
        "trailing bytes": lambda: content + b"{}",
        "endless": lambda: endless,
        "broken off by the server": lambda: cut_short(content),
        "absent": lambda: None,
        "a server error": lambda: status(500),
        "expired": lambda: world.pack(role, signed=world.body(role, expires=when(NOW - 1))),
        "expiring this very second": lambda: world.pack(role, signed=world.body(role, expires=when(NOW))),
    }[attack]()


ATTACKS = {  # attack → verdict; where root ends otherwise, its own
    "unsigned": "below-threshold", "signed by a stranger": "below-threshold",
    "signed by a stranger under the right key id": "below-threshold", "changed after it was signed": "below-threshold",
    "another role's file": "wrong-role", "another version's file": "wrong-version", "no JSON": "malformed",
    "empty": "malformed", "cut short": "malformed", "trailing bytes": "malformed", "endless": "too-large",
    "broken off by the server": "unreachable", "absent": "missing", "a server error": "unreachable",
    "expired": "expired", "expiring this very second": "expired",
}
BEFORE = {"root": (), "timestamp": ("root",), "snapshot": ("root", "timestamp"), "targets": ("root", "timestamp", "snapshot"),
          "A": ("root", "timestamp", "snapshot", "targets")}


def attack_case(role, attack, why):
    @case(f"{role}: {attack}")
    def _(t):
        world = World(t)
        world.delegate("targets", "A")
        world.release("targets", "A")
        tuf = Tuf(t, world)
        tuf.download("nothing", want=1)
        next_files(world)
        world.files[world.file(role)] = forged(world, role, attack)
        stored = set(BEFORE[role])
        if role == "root" and attack.startswith("expir"):
            stored = {"root"}  # it is kept: its successor may follow
        before = tuf.stored()
        tuf.download("nothing", want=1, why=why)
        after = tuf.stored()
        equal({n.removesuffix(".json") for n in before | after if before.get(n) != after.get(n)}, stored, "stored anew")
        # The honest repository is served again: nothing of the attack stands in its way.
        if stored == {"root"} == {role}:
            world.new_root()
        else:
            world.put(role)
        tuf.download("nothing", want=1, why="target-not-found")


for role in (*TOP, "A"):
    for attack, why in ATTACKS.items():
        # The search for roots ends where there is none, and a timestamp may skip versions.
        if (role, attack) not in (("root", "absent"), ("timestamp", "another version's file")):
            attack_case(role, attack, why)


# -- form ----------------------------------------------------------------------------------------

def form_case(name, make, why="malformed"):
    """A timestamp in another form, properly signed; `why` is None where it is fine."""
    @case(f"form: {name}")
    def _(t):
        world, tuf = settled(t)
        world.new_timestamp()
        content = make(world)
        world.files["metadata/timestamp.json"] = content
        if why:
            tuf.refused(why)
        else:
            tuf.refresh()
            equal(tuf.stored()["timestamp.json"], content, "stored as received")


def with_body(**changes):
    return lambda world: world.pack("timestamp", signed=world.body("timestamp", **changes))


def with_meta(**changes):
    def make(world):
        body = world.body("timestamp")
        body["meta"]["snapshot.json"].update(changes)
        body["meta"]["snapshot.json"] = {k: v for k, v in body["meta"]["snapshot.json"].items() if v is not None}
        return world.pack("timestamp", signed=body)
    return make


def replaced(old, new):
    def make(world):
        content = world.packed["timestamp"]
        need(old in content, "nothing to replace")
        return content.replace(old, new, 1)
    return make


def with_document(change):
    def make(world):
        document = json.loads(world.packed["timestamp"])
        return json.dumps(change(document) or document).encode()
    return make


for name, make in {
    "a key twice in the document": replaced(b'"signatures"', b'"signatures": [], "signatures"'),
    "a key twice in signed": replaced(b'"_type": "timestamp"', b'"_type": "timestamp", "_type": "timestamp"'),
    "a key twice deep inside": replaced(b'"snapshot.json": {', b'"snapshot.json": {"x": {"y": 1, "y": 1}, '),
    "nested 33 deep": replaced(b'"signatures"', b'"x": ' + b"[" * 32 + b"]" * 32 + b', "signatures"'),
    "an integer past 2^53": with_body(extra=2**53 + 1),
    "an integer past 2^63": with_body(extra=2**63 + 1),
    "an integer below -2^53": with_body(extra=-2**53 - 1),
    "a broken number beside it": replaced(b'"signatures"', b'"x": 1.5.2, "signatures"'),
    "a real number that is signed": with_body(extra=1.5),
    "NUL in a text": with_body(extra="a\0b"),
    "NUL behind the document": lambda w: w.packed["timestamp"] + b"\0",
    "a second document behind it": lambda w: w.packed["timestamp"] * 2,
    "UTF-8 that is none": replaced(b'"signatures"', b'"x": "\xff\xfe", "signatures"'),
    "UTF-8 too long for its character": replaced(b'"signatures"', b'"x": "\xc0\xaf", "signatures"'),
    "half of a surrogate pair": replaced(b'"signatures"', b'"x": "\\ud800", "signatures"'),
    "a byte order mark": lambda w: b"\xef\xbb\xbf" + w.packed["timestamp"],
    "a line feed in a text": replaced(b'"signatures"', b'"x": "\n", "signatures"'),
    "a comma at the end": replaced(b"\n}", b"\n,}"),
    "an array as document": lambda w: b"[" + w.packed["timestamp"] + b"]",
    "a number as document": lambda w: b"1",
    "signed is missing": with_document(lambda d: d.pop("signed") and None),
    "signed is an array": with_document(lambda d: d.update(signed=[])),
    "signed is null": with_document(lambda d: d.update(signed=None)),
    "signatures is missing": with_document(lambda d: d.pop("signatures") and None),
    "signatures is an object": with_document(lambda d: d.update(signatures={})),
    "a signature is a text": with_document(lambda d: d["signatures"].append("x")),
    "a signature without a key id": with_document(lambda d: d["signatures"].append({"sig": "00"})),
    "a signature without sig": with_document(lambda d: d["signatures"].append({"keyid": "00"})),
    "a signature that is a number": with_document(lambda d: d["signatures"].append({"keyid": "00", "sig": 1})),
    "the same signature twice": with_document(lambda d: d["signatures"].append(d["signatures"][0])),
    "a key id twice, the first time bad": with_document(
        lambda d: d["signatures"].insert(0, {"keyid": d["signatures"][0]["keyid"], "sig": "00"})),
    "an unknown key id twice": with_document(lambda d: d["signatures"].extend([{"keyid": "x", "sig": "00"}] * 2)),
    "_type is missing": with_body(_type=None),
    "_type is a number": with_body(_type=1),
    "version is missing": with_body(version=None),
    "version 0": with_body(version=0),
    "version -1": with_body(version=-1),
    "a version that is text": with_body(version="2"),
    "a version that is true": with_body(version=True),
    "a version that is a real number": with_body(version=2.0),
    "a version past 2^53": with_body(version=2**53 + 1),
    "expires is missing": with_body(expires=None),
    "expires is a number": with_body(expires=NOW + DAY),
    "expires with an offset": with_body(expires="2099-01-01T00:00:00+00:00"),
    "expires without a zone": with_body(expires="2099-01-01T00:00:00"),
    "expires with a fraction": with_body(expires="2099-01-01T00:00:00.5Z"),
    "expires as a date alone": with_body(expires="2099-01-01"),
    "expires with a blank": with_body(expires="2099-01-01 00:00:00Z"),
    "expires on 30 February": with_body(expires="2099-02-30T00:00:00Z"),
    "expires in month 13": with_body(expires="2099-13-01T00:00:00Z"),
    "expires in hour 25": with_body(expires="2099-01-01T25:00:00Z"),
    "spec_version is missing": with_body(spec_version=None),
    "spec_version 2.0.0": with_body(spec_version="2.0.0"),
    "spec_version 0.9.0": with_body(spec_version="0.9.0"),
    "spec_version 10.0.0": with_body(spec_version="10.0.0"),
    "spec_version 1": with_body(spec_version="1"),
    "spec_version 1.x": with_body(spec_version="1.x.0"),
    "spec_version as a number": with_body(spec_version=1),
    "meta is missing": with_body(meta=None),
    "meta is an array": with_body(meta=[]),
    "meta does not list the snapshot": with_body(meta={"targets.json": {"version": 1}}),
    "the snapshot's entry is a number": with_body(meta={"snapshot.json": 1}),
    "the snapshot has version 0": with_meta(version=0),
    "the snapshot has no version": with_meta(version=None),
    "the snapshot has version true": with_meta(version=True),
    "the snapshot has a negative length": with_meta(length=-1),
    "the snapshot's length is text": with_meta(length="9"),
    "the snapshot has no hash in hashes": with_meta(hashes={}),
    "the snapshot's hashes are a list": with_meta(hashes=["00"]),
    "the snapshot's SHA-256 is too short": with_meta(hashes={"sha256": "00"}),
    "the snapshot's SHA-256 is upper-case": with_meta(hashes={"sha256": "AB" * 32}),
    "the snapshot's SHA-256 is a number": with_meta(hashes={"sha256": 7}),
}.items():
    form_case(name, make)

for name, make in {
    "unknown members everywhere": with_body(extra={"a": [1, None, True, "x"]}, meta={
        "snapshot.json": {"version": 1, "extra": "x"}, "other.json": {"version": 1}}),
    "unknown members beside signed": with_document(lambda d: d.update(comment="hello")),
    "signed texts beyond ASCII": with_body(extra="grüße 你好 \U0001f600"),
    "a signed text with control characters": with_body(extra="a\tb\nc\x01\x7f"),
    "a signed text with quotes and backslashes": with_body(extra='a"b\\c\\\\"'),
    "signed keys that sort by bytes": with_body(**{"ä": 1, "z": 2, "Z": 3, "\U00010000": 4, "\uffff": 5, "": 6}),
    "numbers up to 2^53": with_body(a=2**53, b=-2**53),
    "nested 32 deep": replaced(b'"signatures"', b'"x": ' + b"[" * 31 + b"]" * 31 + b', "signatures"'),
    "escapes where none are needed": replaced(b'"_type": "timestamp"', b'"\\u005ftype": "\\u0074imestamp"'),
    "blanks and line feeds between all": with_document(lambda d: None),
    "members in another order": with_document(lambda d: {"signed": dict(reversed(d["signed"].items())),
                                                          "signatures": d["signatures"]}),
    "a blank and a line feed at the end": lambda w: w.packed["timestamp"] + b" \n",
    "a signature by nobody known": with_document(lambda d: d["signatures"].insert(0, {"keyid": "x", "sig": "00"})),
    "a signature that is empty": with_document(lambda d: d["signatures"].insert(0, {"keyid": "x", "sig": ""})),
    "a signature that is no hexadecimal": with_document(lambda d: d["signatures"].append({"keyid": "x", "sig": "zz"})),
    "a signature with a comment": with_document(lambda d: d["signatures"][0].update(comment=1)),
    "spec_version 1.0": with_body(spec_version="1.0"),
    "spec_version 1.0.0": with_body(spec_version="1.0.0"),
    "spec_version 1.99.7": with_body(spec_version="1.99.7"),
    "expires on 29 February": with_body(expires="2096-02-29T23:59:59Z"),
    "a timestamp of 16,384 bytes": lambda w: w.packed["timestamp"].ljust(16384),
    "a version that skips many": with_body(version=2**53),
}.items():
    form_case(name, make, None)

form_case("a timestamp of 16,385 bytes", lambda w: w.packed["timestamp"].ljust(16385), "too-large")
form_case("a key id's signature in upper-case hexadecimal", with_document(
    lambda d: d["signatures"][0].update(sig=d["signatures"][0]["sig"].upper())), "below-threshold")


for count, why in ((1024, None), (1025, "malformed")):
    @case(f"form: a snapshot with {count:,} signatures")
    def _(t, count=count, why=why):
        world, tuf = settled(t)
        world.new_snapshot()
        document = json.loads(world.packed["snapshot"])
        document["signatures"] += [{"keyid": f"k{i}", "sig": "00"} for i in range(count - 1)]
        world.files["metadata/2.snapshot.json"] = json.dumps(document).encode()
        tuf.refresh(want=1 if why else 0, why=why)


# -- caps ----------------------------------------------------------------------------------------

CAPS = {"root": 512_000, "snapshot": 2_000_000, "targets": 5_000_000, "A": 5_000_000}


def cap_case(role, cap, over):
    @case(f"{role} of {cap + over:,} bytes is {'refused' if over else 'read'}")
    def _(t):
        world = World(t)
        world.delegate("targets", "A")
        world.release("targets", "A")
        tuf = Tuf(t, world)
        next_files(world)
        world.files[world.file(role)] = world.packed[role].ljust(cap + over)
        tuf.download("nothing", want=1, why="too-large" if over else "target-not-found")


for role, cap in CAPS.items():
    cap_case(role, cap, 0)
    cap_case(role, cap, 1)


@case("a length that is listed is a cap: no byte more is read")
def _(t):
    world, tuf = settled(t, listed=("length",))
    world.release("targets")
    world.files["metadata/2.snapshot.json"] = endless
    tuf.refused("too-large", stored=("timestamp",))


@case("a length that is listed above the cap of its kind is refused before it is asked for")
def _(t):
    world, tuf = settled(t)
    world.new_timestamp(lambda ts: ts["meta"]["snapshot.json"].update(version=2, length=2_000_001))
    tuf.refused("too-large", stored=("timestamp",))
    equal(world.requests(), ["2.root.json", "timestamp.json"], "requests")


SLOW = []


def begin_slow(t):
    """The one case that takes long runs beside all others."""
    world = World(t)
    tuf = Tuf(t, world)
    world.files["metadata/timestamp.json"] = dripping
    SLOW.extend((tuf, subprocess.Popen([program("packway-tuf"), "--metadata-url", world.url + "/metadata", "--metadata-dir",
                                        str(tuf.dir), "refresh"], stderr=subprocess.PIPE, text=True)))


# -- timestamp -----------------------------------------------------------------------------------

@case("rollback: an older timestamp")
def _(t):
    world, tuf = settled(t)
    old = world.packed["timestamp"]
    world.new_timestamp()
    tuf.refresh()
    world.files["metadata/timestamp.json"] = old
    tuf.refused("rollback")


@case("rollback: a newer timestamp with an older snapshot")
def _(t):
    world, tuf = settled(t)
    world.new_snapshot()
    tuf.refresh()
    world.new_timestamp(lambda ts: ts["meta"]["snapshot.json"].update(version=1))
    tuf.refused("rollback")


@case("an equal timestamp version keeps the stored one, whatever the new one says")
def _(t):
    world, tuf = settled(t)
    before = tuf.stored()
    world.signed["timestamp"]["meta"]["snapshot.json"]["version"] = 100
    world.put("timestamp")
    tuf.refresh()
    equal(tuf.stored(), before)


@case("freeze: an old timestamp is served until it expires")
def _(t):
    world, tuf = settled(t)
    world.signed["timestamp"]["expires"] = when(NOW + DAY)
    world.new_timestamp()
    tuf.refresh()
    tuf.now = NOW + DAY - 1
    tuf.refresh()
    tuf.now = NOW + DAY
    tuf.refused("expired")


@case("rollback is told by a stored timestamp that is expired")
def _(t):
    world, tuf = settled(t)
    older = world.packed["timestamp"]
    world.signed["timestamp"]["expires"] = when(NOW + DAY)
    world.new_timestamp()
    tuf.refresh()
    tuf.now = NOW + 2 * DAY
    world.files["metadata/timestamp.json"] = older
    tuf.refused("rollback")


@case("an expired timestamp is replaced by one that lives")
def _(t):
    world, tuf = settled(t)
    world.signed["timestamp"]["expires"] = when(NOW + DAY)
    world.new_timestamp()
    tuf.refresh()
    tuf.now = NOW + 2 * DAY
    world.signed["timestamp"]["expires"] = when(NOW + 3 * DAY)
    world.new_timestamp()
    tuf.refresh()
    equal(tuf.version("timestamp"), 3)


# -- snapshot ------------------------------------------------------------------------------------

def snapshot_case(name, change, why):
    @case(f"snapshot: {name}")
    def _(t):
        world = World(t)
        for role in ("A", "B"):
            world.delegate("targets", role, paths=[role])
        world.release("targets", "A", "B")
        world.release("targets", "A", "B")
        tuf = Tuf(t, world)
        tuf.refresh()
        world.new_snapshot(change)
        tuf.refused(why, stored=("timestamp",))


snapshot_case("rollback of targets", lambda s: s["meta"]["targets.json"].update(version=1), "rollback")
snapshot_case("rollback of a delegated role that was never fetched", lambda s: s["meta"]["A.json"].update(version=1), "rollback")
snapshot_case("a delegated role vanishes", lambda s: s["meta"].pop("B.json"), "vanished")
snapshot_case("targets vanish", lambda s: s["meta"].pop("targets.json"), "malformed")


@case("rollback of targets is told after a snapshot has expired")
def _(t):
    world, tuf = settled(t)
    world.signed["snapshot"]["expires"] = when(NOW + DAY)
    world.release("targets")
    tuf.refresh()
    world.signed["snapshot"]["expires"] = when(NOW + 9 * DAY)
    tuf.now = NOW + 2 * DAY
    world.new_snapshot(lambda s: s["meta"]["targets.json"].update(version=1))
    tuf.refused("rollback", stored=("timestamp",))


@case("freeze: a snapshot that is stored and current expires")
def _(t):
    world, tuf = settled(t)
    world.signed["snapshot"]["expires"] = when(NOW + DAY)
    world.new_snapshot()
    tuf.refresh()
    tuf.now = NOW + DAY
    tuf.refused("expired")


def listed_case(role, lister, listed, why, change):
    @case(f"{role}: {change} where {' and '.join(listed)} {'are' if len(listed) > 1 else 'is'} listed")
    def _(t):
        world = World(t, listed=listed)
        world.delegate("targets", "A")
        world.release("targets", "A")
        tuf = Tuf(t, world)
        tuf.refresh()
        next_files(world)
        # Properly signed and of the right version, but not the bytes that the lister meant.
        content = world.packed[role]
        world.files[world.file(role)] = {
            "other bytes of the same length": content.replace(b"\n", b" ", 1), "one byte more": content + b"\n",
            "one byte less": content.replace(b"\n", b"", 1)}[change]
        tuf.download("nothing", want=1, why=why)
        equal(tuf.version(role) == world.signed[role]["version"], False, "stored")


for role, lister in (("snapshot", "timestamp"), ("targets", "snapshot"), ("A", "snapshot")):
    listed_case(role, lister, ("hashes",), "bad-hash", "other bytes of the same length")
    listed_case(role, lister, ("length",), "too-large", "one byte more")
    listed_case(role, lister, ("length",), "bad-length", "one byte less")
    listed_case(role, lister, ("length", "hashes"), "bad-hash", "other bytes of the same length")


def hashes_case(name, change, why):
    @case(f"several hashes are listed: {name}")
    def _(t):
        world, tuf = settled(t)
        world.new_snapshot()
        good = file_entry(world.packed["snapshot"], "sha256", "sha512")["hashes"]
        world.new_timestamp(lambda ts: ts["meta"]["snapshot.json"].update(hashes=change(good)))
        if why:
            tuf.refused(why, stored=("timestamp",))
        else:
            tuf.refresh()


hashes_case("all match", lambda h: h, None)
hashes_case("one does not match", lambda h: h | {"sha512": "00" * 64}, "bad-hash")
hashes_case("the other does not match", lambda h: h | {"sha256": "00" * 32}, "bad-hash")
hashes_case("one is unknown", lambda h: h | {"whirlpool": "00"}, None)
hashes_case("none is known", lambda h: {"whirlpool": "00", "md5": "00"}, "bad-hash")


@case("a stored snapshot that is not the listed one, though signed and of its version, is fetched again")
def _(t):
    world, tuf = settled(t, listed=("hashes",))
    other = world.pack("snapshot", signed=world.body("snapshot", extra=1))
    (tuf.dir / "snapshot.json").write_bytes(other)
    tuf.refresh()
    equal(tuf.stored()["snapshot.json"], world.packed["snapshot"], "stored")


@case("mix and match: this timestamp with yesterday's snapshot")
def _(t):
    world, tuf = settled(t)
    old = world.packed["snapshot"]
    world.release("targets")
    world.files["metadata/2.snapshot.json"] = old
    tuf.refused("wrong-version", stored=("timestamp",))


@case("mix and match: this snapshot with yesterday's targets")
def _(t):
    world, tuf = settled(t)
    old = world.packed["targets"]
    world.release("targets")
    world.files["metadata/2.targets.json"] = old
    tuf.refused("wrong-version", stored=("timestamp", "snapshot"))


@case("freeze: targets that are stored and current expire")
def _(t):
    world, tuf = settled(t)
    world.signed["targets"]["expires"] = when(NOW + DAY)
    world.release("targets")
    tuf.refresh()
    tuf.now = NOW + DAY
    tuf.refused("expired")


# -- root ----------------------------------------------------------------------------------------

@case("a chain of roots, each with other keys than the one before")
def _(t):
    world, tuf = settled(t)
    for i in range(5):
        world.keys["root"] = [key(60 + i)]
        world.new_root()
    tuf.refresh()
    equal(world.requests()[:6], [f"{n}.root.json" for n in range(2, 8)], "requests")
    equal(tuf.version("root"), 6)


def rotation_case(name, signers, why):
    """Root 2 of root 1, which has keys 0; the new one has keys 61."""
    @case(f"root rotation: {name}")
    def _(t):
        world, tuf = settled(t)
        world.keys["root"] = [key(61)]
        world.new_root(by=[key(i) for i in signers])
        if why:
            tuf.refused(why)
            equal(tuf.version("root"), 1)
        else:
            tuf.refresh()
            equal(tuf.version("root"), 2)


rotation_case("signed by the old and the new keys", (0, 61), None)
rotation_case("signed by the old keys alone", (0,), "below-threshold")
rotation_case("signed by the new keys alone", (61,), "below-threshold")
rotation_case("signed by the old, the new and strangers", (70, 0, 61, 71), None)


def threshold_rotation_case(name, old, new, signers, fine):
    @case(f"root rotation: {name}")
    def _(t):
        world = World(t)
        world.keys["root"], world.thresholds["root"] = [key(60 + i) for i in range(old[1])], old[0]
        world.new_root()
        tuf = Tuf(t, world)
        tuf.refresh()
        world.keys["root"], world.thresholds["root"] = [key(i) for i in new[1]], new[0]
        world.new_root(by=[key(i) for i in signers])
        if fine:
            tuf.refresh()
            equal(tuf.version("root"), 3)
        else:
            tuf.refused("below-threshold")


threshold_rotation_case("2 of 3 old and 2 of 3 new", (2, 3), (2, (62, 63, 64)), (61, 62, 63), True)
threshold_rotation_case("2 of 3 old but 1 of 3 new", (2, 3), (2, (62, 63, 64)), (60, 61, 62), False)
threshold_rotation_case("1 of 3 old but 2 of 3 new", (2, 3), (2, (62, 63, 64)), (62, 63, 64), False)
threshold_rotation_case("the threshold is raised and met", (1, 3), (3, (60, 61, 62)), (60, 61, 62), True)
threshold_rotation_case("the threshold is raised and not met", (1, 3), (3, (60, 61, 62)), (60, 61), False)
threshold_rotation_case("the threshold is lowered by too few old keys", (2, 3), (1, (60, 61, 62)), (60,), False)


def root_version_case(name, version, why):
    @case(f"root: {name}")
    def _(t):
        world, tuf = settled(t)
        world.new_root()
        world.files["metadata/2.root.json"] = world.pack("root", signed=world.body("root", version=version))
        tuf.refused(why)


root_version_case("the same version again", 1, "wrong-version")
root_version_case("a gap of one", 3, "wrong-version")
root_version_case("far ahead", 2**53, "wrong-version")


@case("root: a gap in the chain ends it where it was")
def _(t):
    world, tuf = settled(t)
    world.new_root()
    world.new_root()
    world.files.pop("metadata/2.root.json")
    tuf.refresh()
    equal(tuf.version("root"), 1)


@case("root: an expired one in between does not matter")
def _(t):
    world, tuf = settled(t)
    world.signed["root"]["expires"] = when(NOW - DAY)
    world.new_root()
    world.signed["root"]["expires"] = when(NOW + DAY)
    world.new_root()
    tuf.refresh()
    equal(tuf.version("root"), 3)


@case("root: an expired last one is kept, and ends the refresh")
def _(t):
    world, tuf = settled(t)
    world.signed["root"]["expires"] = when(NOW - DAY)
    world.new_root()
    tuf.refused("expired", stored=("root",))
    equal(world.requests(), ["2.root.json", "3.root.json"], "requests")
    world.signed["root"]["expires"] = when(NOW + DAY)
    world.new_root()
    tuf.refresh()
    equal(tuf.version("root"), 3)


@case("root: what came before a broken one is kept")
def _(t):
    world, tuf = settled(t)
    for _ in range(3):
        world.new_root()
    world.files["metadata/3.root.json"] = b"{}"
    tuf.refused("malformed", stored=("root",))
    equal(tuf.version("root"), 2)


@case("root: 256 new ones in one refresh and no more")
def _(t):
    world, tuf = settled(t)
    for _ in range(300):
        world.new_root()
    tuf.refresh()
    equal(tuf.version("root"), 257)
    tuf.refresh()
    equal(tuf.version("root"), 301)


@case("root: consistent_snapshot may be switched")
def _(t):
    world, tuf = settled(t)
    world.consistent = world.signed["root"]["consistent_snapshot"] = False
    world.new_root()
    world.release("targets")
    world.requests()
    tuf.refresh()
    equal(world.requests()[-3:], ["timestamp.json", "snapshot.json", "targets.json"])


def root_form_case(name, change, why="malformed"):
    @case(f"root's form: {name}")
    def _(t):
        world, tuf = settled(t)
        world.new_root(change=change)
        if why:
            tuf.refused(why)
        else:
            tuf.refresh()
            equal(tuf.version("root"), 2)


def in_role(role, **changes):
    return lambda root: root["roles"][role].update(changes)


def a_key(**changes):
    return lambda root: next(iter(root["keys"].values())).update(changes)


for name, change in {
    "threshold 0": in_role("timestamp", threshold=0), "threshold -1": in_role("root", threshold=-1),
    "a threshold that is text": in_role("timestamp", threshold="1"),
    "a threshold that is true": in_role("timestamp", threshold=True),
    "threshold 1.0": in_role("timestamp", threshold=1.0),
    "no threshold": lambda r: r["roles"]["timestamp"].pop("threshold"),
    "a key id twice in a role": lambda r: r["roles"]["timestamp"]["keyids"].append(r["roles"]["timestamp"]["keyids"][0]),
    "a key id that is a number": lambda r: r["roles"]["timestamp"]["keyids"].append(1),
    "no keyids": lambda r: r["roles"]["timestamp"].pop("keyids"),
    "a role is missing": lambda r: r["roles"].pop("snapshot"),
    "roles is an array": lambda r: r.update(roles=[]), "keys is an array": lambda r: r.update(keys=[]),
    "keys is missing": lambda r: r.pop("keys"),
    "a key without keytype": lambda r: next(iter(r["keys"].values())).pop("keytype"),
    "a key without scheme": lambda r: next(iter(r["keys"].values())).pop("scheme"),
    "a key without keyval": lambda r: next(iter(r["keys"].values())).pop("keyval"),
    "a key without a public part": a_key(keyval={}), "a public part that is a number": a_key(keyval={"public": 1}),
    "a key that is a text": lambda r: r["keys"].update(x="y"),
    "a key of 10,000 characters": lambda r: r["keys"].update(
        x={"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": "A" * 10000}}),
    "consistent_snapshot is text": lambda r: r.update(consistent_snapshot="yes"),
}.items():
    root_form_case(name, change)
for name, change in {
    "unknown members in root, roles and keys": lambda r: (r.update(x=1), r["roles"]["root"].update(y="z"),
                                                          next(iter(r["keys"].values())).update(extra={"a": 1, "b": 2})),
    "keyid_hash_algorithms that make no sense": a_key(keyid_hash_algorithms=["md5"]),
    "an unknown role beside the four": lambda r: r["roles"].update(mirrors={"keyids": [], "threshold": 1}),
    "a key of a kind that nobody knows": lambda r: r["keys"].update(
        x={"keytype": "sphincs", "scheme": "sphincs+", "keyval": {"public": "?"}}),
    "a key id without a key": lambda r: r["roles"]["timestamp"]["keyids"].append("nobody"),
    "a key that no role uses": lambda r: r["keys"].update({key(70).id: key(70).object}),
}.items():
    root_form_case(name, change, None)

# -- recovery from keys that were stolen ---------------------------------------------------------


def recovery_case(name, rotate, jump):
    @case(f"fast-forward: {name}")
    def _(t):
        world, tuf = settled(t)
        for role in jump:
            world.signed[role]["version"] = 2**40
        world.release(*[r for r in jump if r == "targets"])
        tuf.refresh()
        for role in jump:
            world.signed[role]["version"] = 1
        world.signed["snapshot"]["version"] = world.signed["timestamp"]["version"] = 1
        for role in rotate:
            world.keys[role] = [key(80)]
        world.new_root()
        world.release("targets")
        tuf.refresh()
        equal([tuf.version(r) for r in TOP], [2, 2, 2, world.signed["targets"]["version"]], "versions")


recovery_case("timestamp ran ahead, timestamp's key is replaced", ("timestamp",), ("timestamp",))
recovery_case("snapshot ran ahead, timestamp's and snapshot's keys are replaced", ("timestamp", "snapshot"),
              ("timestamp", "snapshot"))
recovery_case("targets ran ahead, all three keys are replaced", ("timestamp", "snapshot", "targets"),
              ("timestamp", "snapshot", "targets"))
recovery_case("snapshot ran ahead, snapshot's key alone is replaced", ("snapshot",), ("timestamp", "snapshot"))


@case("fast-forward: timestamp's rotation removes the stored timestamp and snapshot at once")
def _(t):
    world, tuf = settled(t)
    world.keys["timestamp"] = [key(80)]
    world.new_root()
    world.files["metadata/timestamp.json"] = None
    tuf.refresh(want=1, why="missing")
    equal(set(tuf.stored()), {"root.json", "targets.json"}, "stored")


@case("a rotation of root's or targets' keys keeps timestamp and snapshot")
def _(t):
    world, tuf = settled(t)
    world.keys["root"], world.keys["targets"] = [key(80)], [key(81)]
    world.new_root()
    old = world.packed["timestamp"]
    world.release("targets")
    tuf.refresh()
    world.files["metadata/timestamp.json"] = old
    tuf.refused("rollback")


for role in TOP[1:]:
    @case(f"{role} by its old key after the key was replaced")
    def _(t, role=role):
        world, tuf = settled(t)
        old = world.keys[role]
        world.keys[role] = [key(80)]
        world.new_root()
        world.keys[role] = old
        world.release("targets")
        tuf.refresh(want=1, why="below-threshold")
        need(tuf.version(role) in (None, 1), "stored what the old key signed")

# -- thresholds and keys -------------------------------------------------------------------------


def threshold_case(name, role, listed, threshold, signers, fine):
    @case(f"{role}: {name}")
    def _(t):
        world, tuf = settled(t)
        world.keys[role], world.thresholds[role] = listed(), threshold
        world.new_root()
        keys, world.keys[role] = world.keys[role], signers(listed())
        world.release("targets")
        world.keys[role] = keys
        if fine:
            tuf.refresh()
            equal(tuf.version(role), 2)
        else:
            tuf.refresh(want=1, why="below-threshold")
            need(tuf.version(role) in (None, 1), "stored below the threshold")


def respelled():
    """The same key: the hexadecimal of one is in capitals, which changes the proper key id."""
    return [key(90), Key("ed25519", key(90).secret, None, keyval={"public": key(90).public().upper()})]


for role in TOP[1:]:
    threshold_case("2 of 3, by two", role, three, 2, lambda k: k[1:], True)
    threshold_case("2 of 3, by one", role, three, 2, lambda k: k[:1], False)
    threshold_case("2 of 3, by one and a stranger", role, three, 2, lambda k: [k[0], key(50)], False)
    threshold_case("2 of one key under three ids", role, aliases, 2, lambda k: k, False)
    threshold_case("1 of one key under three ids", role, aliases, 1, lambda k: k, True)
    threshold_case("a threshold above the number of keys", role, three, 4, lambda k: k, False)
threshold_case("2 of one key in two spellings", "timestamp", respelled, 2, lambda k: k, False)
threshold_case("2 of 3, one signature bad, two good", "timestamp", three, 2,
               lambda k: [Key("ed25519", key(50).secret, k[0].id), k[1], k[2]], True)
threshold_case("a key id that is not the key's hash", "timestamp", lambda: [key(90).alias("my favourite key")], 1,
               lambda k: k, True)
threshold_case("a key id with slashes and dots", "timestamp", lambda: [key(90).alias("../../etc/passwd")], 1, lambda k: k, True)
threshold_case("another's key id", "timestamp", lambda: [key(90).alias(key(91).id)], 1, lambda k: k, True)


for kinds in (("ed25519",), ("ecdsa",), ("rsa",), ("ed25519", "ecdsa", "rsa")):
    @case("keys: all roles are signed by " + ", ".join(kinds))
    def _(t, kinds=kinds):
        world, tuf = settled(t, kinds=kinds)
        world.add("tool", b"content")
        world.release("targets")
        tuf.download("tool")
        world.new_root()
        tuf.refresh()
        equal(tuf.version("root"), 2)


def spelling_case(name, make, fine, sign=None):
    """A timestamp key that is spelled so, beside a root whose own keys are fine."""
    @case(f"keys: {name}")
    def _(t):
        world, tuf = settled(t)
        world.keys["timestamp"] = [make()]
        world.new_root()
        if sign:
            message_key = world.keys["timestamp"][0]
            message_key.sign = lambda m, k=Key(message_key.kind, message_key.secret): sign(k, m)
        world.new_timestamp()
        tuf.refresh(want=0 if fine else 1, why=None if fine else "below-threshold")


def der(k, m):
    return k.sign(m)


def raw_ecdsa(k, m):
    r, s = decode_dss_signature(bytes.fromhex(k.sign(m)))
    return (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex()


def pkcs1(k, m):
    return k.secret.sign(m, padding.PKCS1v15(), hashes.SHA256()).hex()


def sha512_pss(k, m):
    return k.secret.sign(m, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512()).hex()


def long_salt(k, m):
    return k.secret.sign(m, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH), hashes.SHA256()).hex()


def p384():
    return Key("ecdsa", ec.generate_private_key(ec.SECP384R1()))


def small_rsa():
    return Key("rsa", rsa.generate_private_key(65537, 1024))


def spelled(kind, **spelling):
    return lambda: Key(kind, key(93, kind).secret, None, **spelling)


spelling_case("ecdsa with keytype ecdsa-sha2-nistp256", spelled("ecdsa", keytype="ecdsa-sha2-nistp256"), True)
spelling_case("ecdsa whose signature is r and s without DER", spelled("ecdsa"), False, raw_ecdsa)
spelling_case("ecdsa whose signature has bytes behind it", spelled("ecdsa"), False, lambda k, m: k.sign(m) + "00")
spelling_case("ecdsa on P-384 under the scheme of P-256", p384, False)
spelling_case("ecdsa under the scheme of rsa", spelled("ecdsa", keytype="rsa", scheme="rsassa-pss-sha256"), False)
spelling_case("an unknown scheme", spelled("ed25519", scheme="ed25519ph"), False)
spelling_case("an unknown keytype", spelled("ed25519", keytype="ed448"), False)
spelling_case("rsa with the longest salt", spelled("rsa"), True, long_salt)
spelling_case("rsa with PKCS #1 v1.5 instead of PSS", spelled("rsa"), False, pkcs1)
spelling_case("rsa over SHA-512", spelled("rsa"), False, sha512_pss)
spelling_case("rsa of 1,024 bits", small_rsa, False)
spelling_case("ed25519 that is too short", spelled("ed25519", keyval={"public": "00" * 31}), False)
spelling_case("ed25519 that is too long", spelled("ed25519", keyval={"public": "00" * 33}), False)
spelling_case("ed25519 that is no hexadecimal", spelled("ed25519", keyval={"public": "zz" * 32}), False)
spelling_case("ed25519 of small order", spelled("ed25519", keyval={"public": "01" + "00" * 31}), False,
              lambda k, m: "01" + "00" * 63)
spelling_case("ed25519 whose signature is too short", spelled("ed25519"), False, lambda k, m: k.sign(m)[:-2])
spelling_case("ed25519 whose signature is too long", spelled("ed25519"), False, lambda k, m: k.sign(m) + "00")
spelling_case("ed25519 whose signature has an odd digit", spelled("ed25519"), False, lambda k, m: k.sign(m) + "0")
spelling_case("ed25519 whose signature is empty", spelled("ed25519"), False, lambda k, m: "")
spelling_case("ecdsa as PEM of something else", spelled("ecdsa", keyval={
    "public": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}), False)
spelling_case("ecdsa as a PEM that asks for a password", spelled("ecdsa", keyval={
    "public": "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00000000000000000000000000000000\n\n"
              "AAAA\n-----END PUBLIC KEY-----\n"}), False)


# -- time -----------------------------------------------------------------------------------------

def judged_at_start(t, patience):
    """While the client, whose clock runs fast, waits for the snapshot, all of the repository expires. Did it begin in time?"""
    world = World(t)
    tuf = Tuf(t, world)
    began, fast = int(time.time()), 100_000
    for role in TOP:
        world.signed[role]["expires"] = when(began + patience * fast)
    world.new_root()
    world.release("targets")
    content, in_time = world.packed["snapshot"], []
    world.given.add(content)

    def late(handler):
        in_time.append(time.time() < began + patience)
        time.sleep(max(0.0, began + patience + 0.2 - time.time()))
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    world.files[world.file("snapshot")] = late
    tuf.now = f"{began}*{fast}"
    tuf.refresh(want=None)
    if in_time == [True]:
        equal(tuf.code, 0, f"exit status: {tuf.err}")
    return in_time == [True]


@case("expiry is judged by the time at which the refresh began")
def _(t):
    need(any(judged_at_start(t, patience) for patience in (1.5, 5, 20)), "no client began within 20 s")


@case("a drip of 65 bytes a second is given up as slow retrieval")
def _(t):
    tuf, process = SLOW
    _, err = process.communicate(timeout=120)
    equal(process.returncode, 1, "exit status")
    need("[PW-NET-TIMEOUT]" in err and "(slow)" in err, f"the reason: {err}")


if __name__ == "__main__":
    patient = Case("a drip")
    if len(sys.argv) < 2 or sys.argv[1] in "a drip of 65 bytes a second is given up as slow retrieval":
        begin_slow(patient)
    try:
        main()
    finally:
        patient.close()
