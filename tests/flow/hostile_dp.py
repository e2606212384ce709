#!/usr/bin/python3
"""A DP that is broken, slow, lying or dead is a fault of that DP: the content comes from another.

Each case prefers the DP `bad`, lets it misbehave, and fetches: the tree is the very one, within the
bounds of time, the decision names what was wrong, and chunks that came before are kept.
"""
import ctypes
import sqlite3

import hostile
from flow import *

SIZE = 12 << 20
# A bad frame is found behind what was received ahead of it: the queue and the frame at hand.
IN_FLIGHT = 3 * (4 << 20)
SLACK_S = 2.0  # of a fetch on a loaded machine, beside what its bound allows


@shared
def world(t):
    """One site, one package of a few frames; DPs `bad` (to misbehave) and `good` over HTTP."""
    class World:
        pass

    w = World()
    rng = random.Random(7)
    w.source = t.dir / "source"
    for i in range(12):
        path = w.source / f"part {i % 3}" / f"piece {i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(SIZE // 12))
    w.site = t.site()
    w.cap = f"file://{w.site.folder_cap('cap1')}"
    w.bad, w.good = (hostile.Server(t, t.dir / name) for name in ("bad", "good"))
    w.site("dp", "add", "bad", w.bad.url)
    w.site("dp", "add", "good", w.good.url)
    w.package = w.site.package("tool", w.source)
    w.site("publish")
    return w


class Fetched:
    """One fetch, and the decision that was kept of it."""

    def __init__(self, client, package, want=0):
        began = time.monotonic()
        self.result = client("fetch", package, "--json", check=False)
        self.seconds = time.monotonic() - began
        self.result.want(want)
        self.answer = self.result.json
        self.decision = client.json("explain")

    def attempts(self, server):
        return [a["class"] for a in self.decision["attempts"] if a["server"] == server]


def fresh_client(t, site, cap):
    """One that has met neither DP, and prefers the bad one."""
    number = sum(p.name.startswith("client") for p in t.dir.iterdir())
    client = t.client(f"client{number}").join(site, cap)
    client("prefer", "bad", "--dp")
    return client


def client_of(t, w):
    w.bad.behaviour = w.good.behaviour = hostile.honest
    return fresh_client(t, w.site, w.cap)


def delivered(t, w, classes, seconds, behaviour=None, of=None):
    """What holds whatever the first DP does; the fetch, and by whom. `of`: site, CAP and package where they are not the world's."""
    site, cap, package = of or (w.site, w.cap, w.package)

    def once():
        w.bad.behaviour = w.good.behaviour = hostile.honest
        client = fresh_client(t, site, cap)
        w.bad.behaviour = behaviour() if behaviour else hostile.honest
        fetched = Fetched(client, package)
        same_tree(w.source, fetched.answer["path"])
        equal(fetched.answer["server"], "good", "server")
        need(fetched.attempts("good") == ["ok"], "the good DP was not read", fetched.decision)
        need(fetched.attempts("bad") and set(fetched.attempts("bad")) <= set(classes),
             f"bad was {fetched.attempts('bad')}, want one of {classes}", fetched.decision)
        return fetched.seconds, (fetched, client)
    return in_time("the fetch", seconds + SLACK_S, once)


def excluded(decision, server):
    return [c.get("excluded") for c in decision["candidates"] if c["server"] == server]


FAULTS = [  # name, behaviour, classes, seconds that it may cost
    ("has a flipped byte in a pack", hostile.packs(hostile.flipped), ["corrupt"], 3),
    ("has a pack of zeros", hostile.packs(hostile.zeroed), ["corrupt"], 3),
    ("has a truncated pack", hostile.packs(hostile.truncated), ["protocol"], 3),
    ("lacks a pack", hostile.packs(hostile.missing), ["not-found", "content-missing"], 3),
    ("lacks the index", hostile.indexes(hostile.missing), ["not-found", "content-missing"], 3),
    ("has other bytes under the index's name", hostile.indexes(hostile.flipped), ["corrupt"], 3),
    ("has a truncated index", hostile.indexes(hostile.truncated), ["corrupt"], 3),
    ("is silent after accepting", hostile.silent, ["timeout"], 3),
    ("falls silent at the packs", hostile.packs(hostile.silent), ["timeout"], 3),
    ("sends an endless index", hostile.indexes(hostile.endless), ["protocol"], 3),
    ("sends endless packs", hostile.packs(hostile.endless), ["protocol", "corrupt"], 3),
    ("sends one byte a second", hostile.packs(hostile.trickle), ["slow"], 15),
    ("answers with another range", hostile.packs(hostile.wrong_range), ["protocol"], 3),
    ("lies about the range it sends", hostile.packs(hostile.lying_range), ["corrupt"], 3),
    ("compresses unasked", hostile.packs(hostile.gzipped), ["protocol"], 3),
    ("redirects to another host", hostile.redirect("http://127.0.0.1:9"), ["protocol"], 3),
    ("redirects for ever", lambda r: r.refuse(302, Location=f"/{r.name}"), ["protocol"], 3),
    ("forbids", hostile.status(403), ["denied"], 3),
    ("is busy", hostile.status(503), ["busy"], 3),
    ("has a fault of its own", hostile.status(500), ["unknown"], 3),
    ("speaks no HTTP", hostile.no_http, ["protocol"], 3),
    ("sends header lines without end", hostile.huge_head, ["protocol"], 3),
    ("hangs up at once", hostile.cut_after(0), ["unreachable"], 3),
]


def fault_case(name, behaviour, classes, seconds):
    @case(f"a DP that {name} costs no more than its bound, and is named")
    def _(t):
        w = world()
        fetched, client = delivered(t, w, classes, seconds, lambda: behaviour)
        need(fetched.answer["bytes_network"] <= SIZE + IN_FLIGHT, "chunks were fetched again",
             fetched.answer)
        if fetched.attempts("bad") == ["corrupt"]:
            quarantined(t, w, client)


def quarantined(t, w, client):
    """What lied about this version is not asked for it again, though it is whole by now."""
    w.bad.behaviour = hostile.honest
    w.bad.forget()
    client("cache", "--clear")
    fetched = Fetched(client, w.package)
    equal(w.bad.requests, [], "requests to a quarantined DP")
    equal(excluded(fetched.decision, "bad"), ["quarantined"], "candidates")
    equal(fetched.answer["server"], "good", "server")


for row in FAULTS:
    fault_case(*row)


@case("where every DP is slow to answer, they are asked once more with more time")
def _(t):
    w = world()
    client = client_of(t, w)
    w.bad.behaviour = w.good.behaviour = hostile.indexes(hostile.late(4, hostile.honest))
    fetched = Fetched(client, w.package)
    same_tree(w.source, fetched.answer["path"])
    equal([(a["server"], a["class"]) for a in fetched.decision["attempts"]],
          [("bad", "timeout"), ("good", "timeout"), ("bad", "ok")], "attempts")
    equal(fetched.answer["server"], "bad", "server")
    need("back_off" not in json.dumps(client.json("locate", w.package)["candidates"]), "it rests")


@case("where every DP is silent, the fetch ends in time and says so")
def _(t):
    w = world()
    client = client_of(t, w)
    w.bad.behaviour = w.good.behaviour = hostile.silent
    fetched = Fetched(client, w.package, want=4)
    equal([a["class"] for a in fetched.decision["attempts"]], ["timeout"] * 4, "attempts")
    need(fetched.seconds < 2 * (3 + 12) * STRETCH, "it took too long", fetched.seconds)


@case("a DP without ranges serves")
def _(t):
    w = world()
    client = client_of(t, w)
    w.bad.behaviour = hostile.without_ranges
    fetched = Fetched(client, w.package)
    same_tree(w.source, fetched.answer["path"])
    equal(fetched.answer["server"], "bad", "server")
    equal(fetched.attempts("good"), [], "attempts")
    need(fetched.answer["bytes_network"] <= 1.2 * SIZE, "too much was read", fetched.answer)


def second_site(t, w):
    """A site of its own with the same package, so that a case can take its DP `bad` down: the site, its CAP, DPs and package."""
    site = t.site("NYC", "site2")
    cap = f"file://{site.folder_cap('cap2')}"
    bad, good = (hostile.Server(t, t.dir / name) for name in ("bad", "good"))
    site("dp", "add", "bad", bad.url)
    site("dp", "add", "good", good.url)
    package = site.package("tool", w.source)
    site("publish")
    return site, cap, bad, good, package


@case("a dead port is passed over within its bound")
def _(t):
    w = world()
    site, cap, bad, _, package = second_site(t, w)
    bad.close()
    delivered(t, w, ["unreachable"], 3, of=(site, cap, package))


@case("a black hole is passed over within its bound")
def _(t):
    w = world()
    site, cap, bad, _, package = second_site(t, w)
    bad.close()
    hostile.BlackHole(t, bad.port)
    delivered(t, w, ["timeout"], 3, of=(site, cap, package))


@case("a connection cut at any byte keeps the chunks that came")
def _(t):
    w = world()
    frame = 4 << 20
    cuts = [1, 4095, frame - 1, frame, frame + 1, SIZE // 2, SIZE - 1]
    cuts += [t.rng.randrange(SIZE) for _ in range(5)]
    for cut in cuts:
        fetched, _ = delivered(t, w, ["unreachable"], 3, lambda: hostile.packs(hostile.cut_after(cut)))
        # What was in flight when the line broke comes twice, and what came is kept.
        need(fetched.answer["bytes_network"] <= 1.05 * SIZE + frame,
             f"cut at {cut}: {fetched.answer['bytes_network']} bytes", fetched.answer)


def content_sent(server):
    return sum(size for name, size in server.sent.items() if "/index/" in name or name.endswith(".pack"))


WASTED = [  # what of a bad DP's answers is read, and serves nobody
    ("an index that is cut", hostile.indexes(hostile.cut_after(700)), 700),
    ("an index with other bytes", hostile.indexes(hostile.flipped), 1),
    ("an error page in place of the index", hostile.indexes(hostile.error_page(503, b"x" * 3000)), 3000),
    ("an error page in place of a pack", hostile.packs(hostile.error_page(500, b"x" * 3000)), 3000),
]


@case("bytes that were read and dropped count as moved")
def _(t):
    w = world()
    for name, behaviour, least in WASTED:
        client = client_of(t, w)
        w.bad.behaviour = behaviour
        w.bad.forget()
        w.good.forget()
        got = Fetched(client, w.package).answer
        wasted = content_sent(w.bad)
        need(wasted >= least, f"{name}: the bad DP sent {wasted}", w.bad.sent)
        useful = content_sent(w.good)
        # Over a far line several connections ask at once, and not all of what they are sent is read.
        need(useful + least <= got["bytes_network"] <= useful + wasted, f"{name}: {useful} of use, {wasted} wasted", got)
        equal(client.json("explain")["bytes_network"], got["bytes_network"], f"{name}: the decision's figure")


@case("a whole server serves the rest after two broken ones")
def _(t):
    w = world()
    client = client_of(t, w)
    w.bad.behaviour = hostile.packs(hostile.cut_after(5 << 20))
    w.good.behaviour = hostile.packs(hostile.cut_after(5 << 20))
    first = Fetched(client, w.package, want=4)
    equal(sorted(a["class"] for a in first.decision["attempts"]), ["unreachable"] * 2, "attempts")
    w.bad.behaviour = w.good.behaviour = hostile.honest
    second = Fetched(client, w.package)
    same_tree(w.source, second.answer["path"])
    need(second.answer["bytes_network"] < SIZE // 2, "the first command's chunks are lost",
         second.answer)


@case("with one DP that lies the fetch fails clearly, and leaves no tree")
def _(t):
    w = world()
    client = client_of(t, w)
    w.bad.behaviour = w.good.behaviour = hostile.packs(hostile.flipped)
    result = client("fetch", w.package, "--dp", "bad", "-o", t.dir / "out", check=False).want(4)
    equal(len(result.err.splitlines()), 3, f"lines of the error:\n{result.err}")
    need("[PW-" in result.err, "no code", result.err)
    shaped = client("fetch", w.package, "--json", check=False).want(4).json["error"]
    equal(sorted(shaped), ["code", "fix", "what", "why"], "the error's members")
    need(not (t.dir / "out").exists(), "a tree stands there")
    need(not list((client.state / "store" / w.package).glob("*/")), "a tree stands in the store")


def unpacked_zstd(frame, size):
    zstd = ctypes.CDLL("libzstd.so.1")
    out = ctypes.create_string_buffer(size)
    equal(zstd.ZSTD_decompress(out, ctypes.c_size_t(size), frame, ctypes.c_size_t(len(frame))),
          size, "zstd")
    return out.raw


def stored_zstd(body):
    """A zstd frame of raw blocks: magic, single segment with a size of 8 bytes, blocks."""
    out = bytes.fromhex("28b52ffde0") + len(body).to_bytes(8, "little")
    for at in range(0, len(body), 1 << 17):
        block = body[at:at + (1 << 17)]
        last = at + len(block) == len(body)
        out += (len(block) << 3 | last).to_bytes(3, "little") + block
    return out


class Varints:
    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self):
        value = shift = 0
        while True:
            byte = self.body[self.at]
            value |= (byte & 0x7f) << shift
            self.at, shift = self.at + 1, shift + 7
            if byte < 0x80:
                return value

    def skip(self, count):
        self.at += count


def place_of_ids(body):
    """Where an index's chunk ids begin, and how many there are (docs/formats/index.md)."""
    v, chunks = Varints(body), 0
    for _ in range(v.take()):
        v.skip(32)
        v.take()
        for _ in range(v.take()):
            v.take(), v.take(), v.skip(1)
            sizes = v.take()
            chunks += sizes
            for _ in range(sizes):
                v.take()
    return v.at, chunks


def with_swapped_chunks(index):
    """A valid index that has the first and the last chunk exchanged."""
    body = bytearray(unpacked_zstd(index[12:], int.from_bytes(index[8:12], "little")))
    first, count = place_of_ids(body)
    last = first + 32 * (count - 1)
    body[first:first + 32], body[last:last + 32] = body[last:last + 32], body[first:first + 32]
    return index[:12] + stored_zstd(bytes(body))


@case("an index that lies under its signed name costs time, never correctness")
def _(t):
    w = world()
    site, cap, bad, good, package = second_site(t, w)
    client = fresh_client(t, site, cap)
    (path,) = (bad.folder / package / "index").iterdir()
    lie = with_swapped_chunks(path.read_bytes())
    name = f"1-{hashlib.sha256(lie).hexdigest()}"
    for folder in (bad.folder, good.folder, site.dir / "library"):
        (folder / package / "index" / name).write_bytes(lie)
    with contextlib.closing(sqlite3.connect(site.dir / "site.db")) as db, db:
        db.execute("UPDATE package_version SET index_name = ?, index_size = ?", (name, len(lie)))
        db.execute("UPDATE dp_version SET index_name = ?", (name,))
    site("publish")
    client("sync")
    fetched = Fetched(client, package, want=4)
    equal([a["class"] for a in fetched.decision["attempts"]], ["corrupt"] * 2, "attempts")
    need(not list((client.state / "store" / package).glob("*/")), "a tree stands in the store")


@case("a DP folder with a flipped byte, a short or a missing pack is passed over")
def _(t):
    w = world()
    site = t.site("NYC", "site2")
    cap = f"file://{site.folder_cap('cap2')}"
    bad, good = site.folder_dp("bad"), site.folder_dp("good")
    package = site.package("tool", w.source)
    site("publish")
    (pack,) = (bad / package / "packs").iterdir()
    whole = pack.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 1
    for why, body, classes in (("flipped", bytes(flipped), ["corrupt"]),
                               ("short", whole[:len(whole) // 2], ["corrupt", "protocol"]),
                               ("missing", None, ["not-found", "content-missing"])):
        pack.unlink(missing_ok=True)
        if body is not None:
            pack.write_bytes(body)
        delivered(t, w, classes, 3, of=(site, cap, package))


main()
