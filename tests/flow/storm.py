#!/usr/bin/python3
"""Records through inboxes that lose, double, reorder, cut and delay, while agents and intakes are killed.

PACKWAY_TEST_RECORDS says how many records there are at least, PACKWAY_TEST_KILLS how many kills.
"""
import sqlite3

import hostile
from flow import *
from victims import *

RECORDS = int(os.environ.get("PACKWAY_TEST_RECORDS", "1500"))
KILLS = int(os.environ.get("PACKWAY_TEST_KILLS", "12"))
CLIENTS = max(3, min(10, RECORDS // 2000))
ROUNDS = max(3, min(10, RECORDS // 5000))
OFFERS = -(-RECORDS // (CLIENTS * ROUNDS))  # that appear in a round: each client tells of each
LIMIT_S = 60 + RECORDS / 50


class Weather(threading.Thread):
    """What the inboxes suffer, until it is told to stop; then everything that it holds back comes."""
    LOSSES_MAX = 5  # of whole CAPs

    def __init__(self, t, site, caps):
        super().__init__(daemon=True)
        self.site, self.caps, self.rng = site, caps, random.Random(f"{SEED} weather")
        self.held, self.over, self.done, self.fault = [], threading.Event(), {}, None
        self.kinds = [self.hold, self.hold, self.double, self.double, self.cut, self.flip, self.lose, self.give,
                      self.give, self.give_in_halves]

    def run(self):
        try:
            while not self.over.wait(self.rng.uniform(0, 0.03)):
                with contextlib.suppress(FileNotFoundError):  # the intake was faster, or a CAP is gone
                    self.strike()
            while self.held:
                with contextlib.suppress(FileNotFoundError):
                    self.put(*self.take())
        except Exception as fault:
            self.fault = fault

    def strike(self):
        if self.done.get("lose_a_cap", 0) < self.LOSSES_MAX and self.rng.random() < 0.01:
            return self.count(self.lose_a_cap)
        kind = self.rng.choice(self.kinds)
        if kind in (self.give, self.give_in_halves):
            return self.count(kind) if self.held else None
        names = os.listdir(inbox := self.rng.choice(self.caps) / "inbox")
        if names:
            self.count(kind, inbox / self.rng.choice(names))

    def count(self, kind, *args):
        kind(*args)
        self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1

    def take(self):
        return self.held.pop(self.rng.randrange(len(self.held)))

    def put(self, name, body):
        (self.rng.choice(self.caps) / "inbox" / name).write_bytes(body)

    def hold(self, path):  # delayed, and out of order when it comes
        self.held.append((path.name, path.read_bytes()))
        path.unlink()

    def double(self, path):
        self.held.append((path.name, path.read_bytes()))

    def within(self, size):  # what was just made or cut before may be empty
        return self.rng.randrange(max(size, 1))

    def cut(self, path):
        os.truncate(path, self.within(path.stat().st_size))

    def flip(self, path):
        body = bytearray(path.read_bytes() or b"\0")
        body[self.within(len(body))] ^= 1 << self.rng.randrange(8)
        path.write_bytes(body)

    def lose(self, path):
        path.unlink()

    def give(self):
        self.put(*self.take())

    def give_in_halves(self):
        name, body = self.take()
        self.put(name, body[:self.within(len(body))])
        self.held.append((name, body))

    def lose_a_cap(self):
        cap = self.rng.choice(self.caps)
        shutil.rmtree(cap, ignore_errors=True)
        self.site("publish", check=False)


class Reaper:
    """Counts kills of clients' processes and of the site's intake, at random moments."""

    def __init__(self, t, site, clients):
        self.t, self.site, self.clients, self.killed, self.longest = t, site, clients, {}, 0.2

    def total(self):
        return sum(self.killed.values())

    def note(self, kind):
        self.killed[kind] = self.killed.get(kind, 0) + 1

    def a_client(self):
        kind = self.t.rng.choice(["agent", "agent", "worker", "command"])
        if kill_one(self.t, self.t.rng.choice(self.clients), kind):
            self.note(kind)

    def an_intake(self):
        process = self.t.spawn(program("packway-site"), "--site", self.site.dir, "intake")
        began = time.monotonic()
        try:
            process.wait(self.t.rng.random() * self.longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        self.t.processes.remove(process)
        if process.wait() == -signal.SIGKILL:
            return self.note("intake")
        # 4: the weather had taken a CAP away just then.
        need(process.returncode in (0, 4), "an intake that was not killed", process.returncode)
        self.longest = 0.7 * self.longest + 0.3 * (time.monotonic() - began)


def stormy_site(t):
    site = t.site()
    caps = [site.folder_cap(f"cap{i}") for i in range(3)]
    package = site.package("tool", make_tree(t.dir / "source", files=2), distribute=False)
    site("program", "add", package, "install", "--command", "./install")
    site("publish")
    return site, caps, package


def more_offers(site, package):
    run(program("manyoffers"), site.dir, package, "install", 0, OFFERS, timeout=300)
    site("publish", check=False)  # a CAP may be gone at this moment


def settle(site, clients):
    def is_done():
        for client in clients:
            client("sync", timeout=300)
        taken = site.json("intake", timeout=300)
        waiting = {c.state.name: c.json("status")["outbox_records"] for c in clients}
        if any(waiting.values()):
            print(f"# wait for their receipts: {waiting}; the last intake: {taken}", flush=True)
        return taken["records"] == 0 and not any(waiting.values())
    wait_for("the last record", 60 + RECORDS / 200, is_done, 0)


def each_stands_once(site, clients):
    """By the site's tables: every number is there, none refused or forked, every offer told of once by every client."""
    with contextlib.closing(sqlite3.connect(f"file:{site.dir}/site.db?mode=ro", uri=True)) as db:
        streams = db.execute("SELECT client_id, high, forked, (SELECT count(*) FROM record WHERE stream = stream.id),"
                             " (SELECT max(sequence) FROM record WHERE stream = stream.id),"
                             " (SELECT count(refused) FROM record WHERE stream = stream.id) FROM stream").fetchall()
        told = db.execute("SELECT count(*), count(DISTINCT client_id || advertisement) FROM record JOIN stream"
                          " ON stream.id = record.stream WHERE record.id = 10002").fetchone()
        offers = db.execute("SELECT count(*) FROM advertisement").fetchone()[0]
    equal(sorted(s[0] for s in streams), sorted(c.id for c in clients), "a stream for each client")
    for client_id, high, forked, count, last, refused in streams:
        equal((forked, refused, count, last), (0, 0, high, high), f"forked, refused, records, last of {client_id}")
    for client in clients:
        high = next(s[1] for s in streams if s[0] == client.id)
        equal(max(m["sequence"] for m in client.json("messages")), high, "the client's last number")
    equal(told, (offers * len(clients),) * 2, "records of arrivals, and different ones")
    return sum(s[3] for s in streams)


@case(f"{RECORDS} records through a storm, with {KILLS} kills: each is stored once, none is lost")
def _(t):
    site, caps, package = stormy_site(t)
    clients = [t.client(f"client{i}", config="poll = 1s\n").enroll(site, f"file://{caps[i % 3]}") for i in range(CLIENTS)]
    weather, keepers = Weather(t, site, caps), [Keeper(t, client) for client in clients]
    reaper = Reaper(t, site, clients)
    end = time.monotonic() + LIMIT_S * SLOW
    for thread in (weather, *keepers):
        thread.start()
    offered = 0
    while reaper.total() < KILLS or offered < ROUNDS:
        if offered < ROUNDS and reaper.total() * ROUNDS >= offered * KILLS:
            more_offers(site, package)
            offered += 1
        reaper.an_intake()
        if sum(n for kind, n in reaper.killed.items() if kind != "intake") * 2 < KILLS:
            reaper.a_client()
        need(time.monotonic() < end, "too few kills in time", reaper.killed)
    for thread in (*keepers, weather):
        thread.over.set()
    for thread in (*keepers, weather):
        thread.join(120 * SLOW)
        need(not thread.is_alive(), "a thread does not end", thread)
    need(weather.fault is None, "the weather", weather.fault)
    settle(site, clients)
    records = each_stands_once(site, clients)
    need(records >= RECORDS, "too few records", records)
    print(f"# {records} records of {CLIENTS} clients; killed {reaper.killed}; suffered {weather.done}")


@case("an upload of the right length with other bytes is replaced by its client")
def _(t):
    site, caps, package = stormy_site(t)
    client = t.client().enroll(site, f"file://{caps[0]}")
    site("intake"), client("sync")
    more_offers(site, package)
    client("sync")
    spoiled = [path for cap in caps for path in (cap / "inbox").iterdir()]
    need(spoiled, "nothing was uploaded")
    for path in spoiled:
        body = bytearray(path.read_bytes())
        path.write_bytes(bytes(len(body) // 2) + body[len(body) // 2:])
    equal(site.json("intake")["records"], 0, "records of spoiled uploads")
    client("sync")
    settle(site, [client])
    each_stands_once(site, [client])


@case("an upload with other bytes that its client may not remove goes elsewhere, then under another name")
def _(t):
    skip_unless(os.geteuid() == 0, "root, whose files the worker may not remove")
    site, caps, package = stormy_site(t)
    client = t.client().enroll(site, f"file://{caps[0]}")
    settle(site, [client])
    more_offers(site, package)
    client("sync")
    uploads = {path.name: path.read_bytes() for cap in caps for path in (cap / "inbox").iterdir()}
    need(uploads, "nothing was uploaded")

    def spoil(inboxes):
        for cap in caps:
            for path in (cap / "inbox").iterdir():
                path.unlink()
        for inbox in inboxes:
            for name, body in uploads.items():
                (inbox / name).write_bytes(body[:len(body) // 2])
    spoil([caps[0] / "inbox", caps[1] / "inbox"])
    client("prefer", "cap0", "--cap")
    client("sync")
    equal({p.name for p in (caps[2] / "inbox").iterdir()}, set(uploads), "what the third CAP has")
    spoil([cap / "inbox" for cap in caps])
    told = client("sync")
    need("other bytes" in told.err, "it is not said", told.err)
    client("sync")
    renewed = {p.name for cap in caps for p in (cap / "inbox").iterdir()} - set(uploads)
    equal(len(renewed), len(uploads), "uploads under another name")
    settle(site, [client])
    each_stands_once(site, [client])


@case("a CAP that takes every upload and keeps none, or shows old receipts, delays and no more")
def _(t):
    site = t.site()
    eater = hostile.Server(t, t.dir / "eater")
    site("cap", "add", "eater", f"file://{eater.folder}", eater.url)
    good = site.folder_cap("good")
    package = site.package("tool", make_tree(t.dir / "source", files=2), distribute=False)
    site("program", "add", package, "install", "--command", "./install")
    site("publish")
    client = t.client().enroll(site, eater.url)
    client("prefer", "eater", "--cap")
    more_offers(site, package)
    eater.hide()  # the site's intake does not see what it takes, nor do its receipts get there
    for minutes in range(0, 80, 2):
        client("sync", env={"PACKWAY_FAKE_TIME": f"+{60 * minutes}"})
        site("intake", check=False)
        if client.json("status")["outbox_records"] == 0:
            break
    need(minutes > 0, "the eater was not asked")
    print(f"# {minutes} minutes, {len(os.listdir(eater.folder / 'inbox'))} uploads were eaten")
    equal(client.json("status")["outbox_records"], 0, "records without a receipt")
    each_stands_once(site, [client])


main()
