#!/usr/bin/python3
"""Records from a client to the site: lost, doubled, out of order, cut, killed on the way, forked; and
who may send them at all."""
import collections
import ssl

from flow import *

TOOL = "tool"
KILLS = max(4, round(25 / STRETCH))  # of intake, and as many of publish
HANDOVERS = int(os.environ.get("PACKWAY_TEST_HANDOVERS", "2"))  # of a client's key, each killed
KILLS_S = 90  # at most, on a machine that is not slow


class Fleet:
    """A site with folders and one optional program that may run any number of times."""

    def __init__(self, t, caps=1):
        self.t, self.site = t, t.site()
        self.caps = [self.site.folder_cap(f"cap{i + 1}") for i in range(caps)]
        self.site.folder_dp("dp1")
        source = make_tree(t.dir / "source", files=3, size=2000)
        self.package = self.site.package("tool", source)
        self.site("program", "add", self.package, TOOL, "--rerun", "always", "--command",
                  f"sh -c 'echo $PACKWAY_CLIENT >> {t.dir}/ran; echo done'")
        self.adv = self.site("advertise", self.package, TOOL, "--collection", "all",
                             "--available", "now").out.strip()
        self.site("publish")

    def client(self, name="client1", **more):
        return Teller(self.t.client(name, **more).enroll(self.site, f"file://{self.caps[0]}"), self)

    def inbox(self, *caps):
        """Objects under their names; what a kill left half written is another matter."""
        return sorted((p for cap in caps or self.caps for p in (cap / "inbox").iterdir() if p.name[0] != "."),
                      key=lambda p: int(p.name.split("-")[2]))

    def runs(self, client):
        path = self.t.dir / "ran"
        return path.read_text().split().count(client.id) if path.exists() else 0


class Teller:
    """A client of which is remembered whatever it said its records are."""

    def __init__(self, client, fleet):
        self.client, self.fleet, self.said = client, fleet, {}
        self.id = client.id

    def listen(self):
        for m in self.client.json("messages"):
            key = (m["stream"], m["sequence"])
            need(self.said.setdefault(key, m) == m, "a number stands for two records", self.said[key], m)

    def __call__(self, *args, **more):
        result = self.client(*args, **more)
        self.listen()
        return result

    def run(self):
        return self("run", self.fleet.package, TOOL)


def settle(fleet, *tellers):
    """Until every client has its receipts."""
    for _ in range(3):
        for teller in tellers:
            teller("sync")
        fleet.site("intake")
    for teller in tellers:
        teller("sync")
        equal(teller.client.json("status")["outbox_records"], 0, "records without a receipt")
    equal(fleet.inbox(), [], "the inboxes")


def essence(m):
    return m["id"], m["time"], m.get("advertisement"), m.get("program"), m["text"]


def timeline_is_whole(fleet, teller):
    """What the site shows is what the client said: each once, in its place, without a gap."""
    rows = fleet.site.json("messages", "--client", teller.id)
    need(not any("gap" in r or r.get("refused") for r in rows), "gaps or refusals",
         [r for r in rows if "gap" in r or r.get("refused")])
    keys = [(r["stream"], r["sequence"]) for r in rows]
    equal(len(set(keys)), len(keys), "a number is there twice")
    streams = list(dict.fromkeys(stream for stream, _ in keys))
    equal(keys, sorted(keys, key=lambda k: (streams.index(k[0]), k[1])), "the order")
    stored = {(r["stream"], r["sequence"]): essence(r) for r in rows}
    equal(stored, {k: essence(m) for k, m in teller.said.items() if m.get("kind") == "status"},
          "the site's timeline and the client's")
    ended = sum(r["id"] == 10008 for r in rows)
    equal(ended, fleet.runs(teller), "runs in the timeline, and runs")
    for stream in fleet.site.json("client", "show", teller.id)["streams"]:
        told = max(n for s, n in teller.said if s == stream["stream"])
        equal(stream["high"], told, "the highest number")


@case("a CAP's folder lost between upload and intake loses no record")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    settle(fleet, client)
    client.run()
    need(fleet.inbox(), "nothing was uploaded")
    shutil.rmtree(fleet.caps[0])
    fleet.site("publish")
    need((fleet.caps[0] / "metadata" / "timestamp.json").exists(), "the CAP was not made again")
    equal(fleet.site.json("intake")["records"], 0, "records of a lost inbox")
    client("sync")
    need(fleet.inbox(), "nothing was uploaded again")
    settle(fleet, client)
    timeline_is_whole(fleet, client)


@case("of two CAPs one loses everything, and clients go on by the other")
def _(t):
    fleet = Fleet(t, caps=2)
    clients = [fleet.client(f"client{i}") for i in range(3)]
    settle(fleet, *clients)
    for client in clients:
        client.run()
    used = max(fleet.caps, key=lambda cap: len(fleet.inbox(cap)))
    need(fleet.inbox(used), "nothing was uploaded")
    shutil.rmtree(used)
    for client in clients:
        client.run()
    for client in clients:
        client("sync")
    fleet.site("publish")
    settle(fleet, *clients)
    for client in clients:
        timeline_is_whole(fleet, client)


@case("an inbox object that comes again is stored once")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    settle(fleet, client)
    client.run()
    aside = t.new_dir("aside")
    for path in fleet.inbox():
        shutil.copy2(path, aside)
    fleet.site("intake")
    before = fleet.site.json("messages")
    equal(fleet.inbox(), [], "the inbox after intake")
    for path in aside.iterdir():
        shutil.copy2(path, fleet.caps[0] / "inbox")
    again = fleet.site.json("intake")
    equal(again["records"], 0, "records of what had come before")
    need(again["duplicates"] > 0, "no duplicate was seen", again)
    equal(fleet.site.json("messages"), before, "messages")
    settle(fleet, client)
    timeline_is_whole(fleet, client)


@case("envelopes in reverse order fill their gaps")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    settle(fleet, client)
    withheld = {}
    for _ in range(4):
        client.run()
        for path in fleet.inbox():
            withheld[path.name] = path.read_bytes()
            path.unlink()
    need(len(withheld) >= 4, "too few envelopes", withheld.keys())
    gaps = []
    for name in sorted(withheld, key=lambda n: -int(n.split("-")[2])):
        (fleet.caps[0] / "inbox" / name).write_bytes(withheld[name])
        fleet.site("intake")
        gaps.append(sum("gap" in r for r in fleet.site.json("messages", "--client", client.id)))
    equal(gaps, [1] * (len(withheld) - 1) + [0], "gaps shown after each")
    settle(fleet, client)
    timeline_is_whole(fleet, client)


@case("half an envelope under its final name waits, and is completed by its client")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    settle(fleet, client)
    client.run()
    halves = fleet.inbox()
    for path in halves:
        os.truncate(path, path.stat().st_size // 2)
    taken = fleet.site.json("intake")
    equal((taken["incomplete"], taken["records"]), (len(halves), 0), "incomplete, records")
    equal(fleet.inbox(), halves, "the halves stay")
    client("sync")
    taken = fleet.site.json("intake")
    equal((taken["incomplete"], taken["duplicates"]), (0, 0), "incomplete, duplicates after the rest came")
    need(taken["records"] > 0, "nothing was stored", taken)
    settle(fleet, client)
    timeline_is_whole(fleet, client)


class Producer(threading.Thread):
    """A client at work until it is told to stop; no command of it may fail meanwhile."""

    def __init__(self, teller, seed, stop):
        super().__init__()
        self.teller, self.stop, self.fault, self.rng = teller, stop, None, random.Random(seed)

    def run(self):
        try:
            while not self.stop.is_set():
                if self.rng.random() < 0.5:
                    self.teller.run()
                else:
                    self.teller("sync")
        except Exception as fault:
            self.fault = fault


def kill_at_random(t, who, verb, longest):
    """True if the verb was killed at work; `longest`: what it took so far, to draw a moment from."""
    site = [program("packway-site"), "--site", who.dir] if isinstance(who, Site) else None
    process = t.spawn(*(site or [program("packway"), "--state", who.state]), verb, env=who.env)
    began = time.monotonic()
    try:
        process.wait(t.rng.random() * longest[verb])
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    if code == -signal.SIGKILL:
        return True
    equal(code, 0, f"{verb} that was not killed")
    longest[verb] = 0.7 * longest[verb] + 0.3 * (time.monotonic() - began)
    return False


@case("intake and publish killed at random moments: every record once and in its place")
def _(t):
    fleet = Fleet(t)
    site = fleet.site
    site("program", "add", fleet.package, "other", "--command", "./install")
    other = site("advertise", fleet.package, "other", "--collection", "all", "--available",
                 "now").out.strip()
    clients = [fleet.client(f"client{i}") for i in range(3)]
    settle(fleet, *clients)
    stop = threading.Event()
    producers = [Producer(c, f"{SEED} {i}", stop) for i, c in enumerate(clients)]
    for producer in producers:
        producer.start()
    t.defer(lambda: (stop.set(), [p.join() for p in producers]))
    killed, longest, rounds = {"intake": 0, "publish": 0}, {"intake": 0.2, "publish": 0.2}, 0
    end = time.monotonic() + KILLS_S * SLOW
    while min(killed.values()) < KILLS and time.monotonic() < end:
        rounds += 1
        verb = min(killed, key=killed.get)
        if verb == "publish":
            site("advertisement", ("stop", "resume")[rounds % 2], other, check=False)
        killed[verb] += kill_at_random(t, site, verb, longest)
        need(not any(p.fault for p in producers), "a client failed", *[p.fault for p in producers])
    stop.set()
    for producer in producers:
        producer.join()
    need(not any(p.fault for p in producers), "a client failed", *[p.fault for p in producers])
    print(f"# {killed['intake']} kills of intake, {killed['publish']} of publish, in {rounds} rounds")
    need(min(killed.values()) >= KILLS, "too few kills in time", killed)
    site("publish")
    settle(fleet, *clients)
    for client in clients:
        timeline_is_whole(fleet, client)
    tuf_accepts(t, site, fleet.caps[0])
    equal(site.json("intake")["quarantined"], 0, "refused uploads")
    equal([p for p in (site.dir / "quarantine").rglob("*") if p.is_file()], [], "the quarantine")


def tuf_accepts(t, site, cap):
    metadata = t.new_dir("tuf")
    tuf = [program("packway-tuf"), "--metadata-dir", metadata, "--metadata-url", f"file://{cap}/metadata"]
    run(*tuf, "init", site.root)
    run(*tuf, "refresh")
    targets = json.loads((metadata / "targets.json").read_text())["signed"]
    need(targets["version"] >= 1, "no targets", targets)


def tell_all(site, client):
    return collections.Counter(essence(m) for m in site.json("messages", "--client", client) if m["id"])


@case("a copied state is told apart: an alert, two new streams, nothing lost")
def _(t):
    fleet = Fleet(t)
    first = fleet.client()
    first.run()
    settle(fleet, first)
    copy = Client(t, "copy")
    shutil.rmtree(copy.state)
    shutil.copytree(first.client.state, copy.state, symlinks=True)
    copy.env = first.client.env
    second = Teller(copy, fleet)
    first.run()
    second.run()
    second.run()
    fleet.site("intake")
    alerts = fleet.site("status").out
    need("two different records have number" in alerts and "a clone of this machine" in alerts,
         "the site shows no alert", alerts)
    for _ in range(2):
        settle(fleet, first, second)
        first.run()
        second.run()
    settle(fleet, first, second)
    stored = tell_all(fleet.site, first.id)
    for teller in (first, second):
        lost = collections.Counter(essence(m) for m in teller.client.json("messages")
                                   if m.get("kind") == "status") - stored
        equal(lost, collections.Counter(), "records that the site does not have")
    made = {m["uid"]: essence(m) for c in (first, second) for m in c.said.values()
            if m.get("kind") == "status"}
    equal(stored, collections.Counter(made.values()), "each record of either machine, once")
    streams = {json.loads((c.client.state / "identity.json").read_text())["stream"] for c in (first, second)}
    equal(len(streams), 2, "streams after the fork")
    ended = sum(n for (id, *_), n in stored.items() if id == 10008)
    need(ended >= fleet.runs(first), "runs in the timeline", ended, fleet.runs(first))


@case("clones whose numbers interleave exactly lose nothing, with an upload on its way meanwhile")
def _(t):
    fleet = Fleet(t)
    first = fleet.client()
    first.run()
    settle(fleet, first)
    copy = Client(t, "copy")
    shutil.rmtree(copy.state)
    shutil.copytree(first.client.state, copy.state, symlinks=True)
    copy.env = first.client.env
    second = Teller(copy, fleet)
    second.run()
    second.run()
    late, _ = fleet.inbox()
    late.rename(t.dir / late.name)  # taken by a CAP that nobody reaches now
    first.run()
    equal([p.name.split("-")[2] for p in fleet.inbox()], [late.name.split("-")[2], "12"], "first numbers")
    equal(fleet.site.json("intake")["forks"], 0, "forks that can be seen")
    for client in (second, first):
        client("sync")
    (t.dir / late.name).rename(late)
    settle(fleet, second, first)
    stored = tell_all(fleet.site, first.id)
    made = {m["uid"]: essence(m) for c in (first, second) for m in c.said.values()
            if m.get("kind") == "status"}
    equal(stored, collections.Counter(made.values()), "each record of either machine, once")
    alerts = fleet.site("status").out
    need("another record stream begins" in alerts, "the site shows no alert", alerts)


@case("a machine that was put back loses nothing, and what it had sent already stands once")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    client.run()
    settle(fleet, client)
    client.run()
    client("sync")
    shutil.copytree(client.client.state, t.dir / "kept", symlinks=True)
    fleet.site("intake")  # its records are stored, but the receipt does not reach this state
    client.run()
    client("sync")
    fleet.site("intake")
    shutil.rmtree(client.client.state)
    shutil.copytree(t.dir / "kept", client.client.state, symlinks=True)
    again = Teller(client.client, fleet)
    again.run()
    settle(fleet, again)
    again.run()
    settle(fleet, again)
    made = {m["uid"]: essence(m) for c in (client, again) for m in c.said.values()
            if m.get("kind") == "status"}
    equal(tell_all(fleet.site, client.id), collections.Counter(made.values()),
          "each record of both lives, once")


@case("a state on another machine is refused in words, and goes on at home")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    away = {"PACKWAY_MACHINE_ID": "f" * 32}
    for verb in (("sync",), ("run", fleet.package, TOOL)):
        refused = client.client(*verb, env=away, check=False).want(1)
        for word in ("[PW-", "another machine", "packway reset"):
            need(word in refused.err, f"no {word!r}", refused.err)
    equal(fleet.runs(client), 0, "runs")
    client.run()
    settle(fleet, client)
    timeline_is_whole(fleet, client)


def ask_in(t, site, cap, name, *token):
    client = t.client(name)
    client("enroll", "--cap", cap, "--root", site.root, *token)
    return client


def state_of(client):
    client("sync")
    return client.json("status")["state"]


@case("tokens are counted, expire and are revoked; an admin lets in and out")
def _(t):
    fleet = Fleet(t)
    site, cap = fleet.site, f"file://{fleet.caps[0]}"
    counted = site.json("token", "create", "--uses", "2")["token"]
    several = [ask_in(t, site, cap, f"counted{i}", "--token", counted) for i in range(3)]
    site("intake")
    equal(sorted(map(state_of, several)), ["enrolled", "enrolled", "pending"], "three with a token for two")

    short = site.json("token", "create", "--uses", "5", "--expires", "1h")["token"]
    late = ask_in(t, site, cap, "late", "--token", short)
    site.env = {"PACKWAY_FAKE_TIME": "+7200"}
    site("intake")
    site.env = {}
    equal(state_of(late), "pending", "with an expired token")

    site("token", "create")
    gone = site.json("token", "create")["token"]
    site("token", "revoke", site.json("token", "list")[-1]["id"])
    revoked = ask_in(t, site, cap, "revoked", "--token", gone)
    without = ask_in(t, site, cap, "without")
    forged = ask_in(t, site, cap, "forged", "--token", "LON-" + "0" * 40)
    site("intake")
    states = {c["name"]: c["state"] for c in site.json("client", "list")}
    for client in (revoked, without, forged):
        equal(state_of(client), "pending", client.state.name)
        equal(states[client.state.name], "pending", "on the site")
        equal(client.json("list"), [], "what a pending client is offered")
        client("run", fleet.package, TOOL, check=False).want(1)

    site("client", "approve", "without")
    site("intake")
    equal(state_of(without), "enrolled", "approved by hand")
    without = Teller(without, fleet)
    without.run()
    settle(fleet, without)
    timeline_is_whole(fleet, without)


@case("a removed client is let out, and may come back as a new one")
def _(t):
    fleet = Fleet(t)
    site = fleet.site
    client = fleet.client()
    settle(fleet, client)
    before = site.json("messages", "--client", client.id)
    site("client", "remove", client.id)
    client.client("run", fleet.package, TOOL)  # it does not know yet
    ran = fleet.runs(client)
    equal(site.json("intake")["records"], 0, "records of a removed client")
    equal(state_of(client.client), "removed", "the client's own word")
    refused = client.client("run", fleet.package, TOOL, check=False).want(1)
    need("has removed this client" in refused.err, "no word of the removal", refused.err)
    equal(fleet.runs(client), ran, "runs after it knew")
    equal(site.json("messages", "--client", client.id), before, "its timeline stays as it was")
    equal(site.json("query", f"SELECT name FROM client WHERE client_id = '{client.id}'"), [], "its inventory")

    client.client("reset")
    again = Teller(client.client.enroll(site, f"file://{fleet.caps[0]}"), fleet)
    need(again.id != client.id, "the same identity after a reset")
    again.run()
    settle(fleet, again)
    timeline_is_whole(fleet, again)
    need(10002 in [m["id"] for m in site.json("messages", "--client", again.id)], "no arrival is told")
    need(site.json("client", "show", again.id)["os"], "no inventory of the new client")


def key_of(client):
    return (client.state / "client.key").read_bytes()


def copy_of(t, teller, name):
    copy = Client(t, name)
    shutil.rmtree(copy.state)
    shutil.copytree(teller.client.state, copy.state, symlinks=True)
    copy.env = teller.client.env
    return copy


def rekeyed(fleet, teller):
    """The site's word comes with the intake; until then the old key stands."""
    before = key_of(teller.client)
    equal(teller.client.json("rekey"), {"client": teller.id, "key": "handing-over"}, "rekey")
    equal(teller.client.json("status")["key"], "handing-over", "key in the status")
    equal(key_of(teller.client), before, "the key before the site's word")
    fleet.site("intake")
    teller("sync")
    equal(teller.client.json("status")["key"], "own", "key in the status")
    need(key_of(teller.client) != before, "the key is the old one")
    need(11011 in [m.get("id") for m in teller.client.json("messages")], "no message of the new key")


@case("a client hands over to a new key: the old one serves for what was sent, and for nothing else")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    settle(fleet, client)
    client.run()  # sealed by the old key
    late = fleet.inbox()
    need(late, "nothing was sent")
    for p in late:
        p.rename(t.dir / p.name)  # taken by a CAP that nobody reaches now
    thief = copy_of(t, client, "copy")
    rekeyed(fleet, client)
    shown = fleet.site.json("client", "show", client.id)
    need(shown["key_changed"], "no time of the change", shown)
    need("new key" in fleet.site("status").out, "no alert")
    client.run()  # by the new one
    for p in late:
        (t.dir / p.name).rename(p)
    settle(fleet, client)
    timeline_is_whole(fleet, client)

    before = fleet.site.json("messages", "--client", client.id)
    thief("run", fleet.package, TOOL)
    need(fleet.inbox(), "the copy sent nothing")
    intake = fleet.site.json("intake")
    equal((intake["records"], intake["quarantined"] > 0), (0, True), "what the old key has sent since")
    thief("sync")
    equal(thief.json("status")["key"], "replaced", "what the copy knows of it")
    thief("rekey")
    need("signs with a new key" in fleet.site("status").out, "no alert")
    need(fleet.site.json("intake")["quarantined"] > 0, "a key that was given up handed over")
    need("copy of its state" in fleet.site("status").out, "no alert of it", fleet.site("status").out)
    equal(fleet.site.json("messages", "--client", client.id), before, "the client's timeline")

    rekeyed(fleet, client)  # once more, from the new one
    client.run()
    settle(fleet, client)
    equal(state_of(client.client), "enrolled", "state")
    equal(fleet.runs(client), sum(r["id"] == 10008 for r in fleet.site.json("messages", "--client", client.id)) + 1,
          "runs: those told, and the copy's")


@case("a client that the site does not know has no key to hand over from")
def _(t):
    fleet = Fleet(t)
    client = ask_in(t, fleet.site, f"file://{fleet.caps[0]}", "pending")
    refused = client("rekey", check=False)
    need(refused.code != 0 and len(refused.err.splitlines()) == 3, "the refusal", refused.err)
    need(not (client.state / "client.key.next").exists(), "a key is there")


@case("a hand-over killed anywhere locks out neither side")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    settle(fleet, client)
    seen, longest = set(), {"rekey": 0.3, "sync": 0.3, "intake": 0.2}
    for _ in range(HANDOVERS):
        for verb in ("rekey", "intake", "sync", "intake", "sync"):
            who = fleet.site if verb == "intake" else client.client
            kill_at_random(t, who, verb, longest)
        client.run()
        for _ in range(2):  # the hand-over, if there is one, and its end
            fleet.site("intake")
            client("sync")
        settle(fleet, client)
        equal(client.client.json("status")["key"], "own", "key in the status")
        seen.add(key_of(client.client))
    timeline_is_whole(fleet, client)
    print(f"# {len(seen) - 1} new keys in {HANDOVERS} hand-overs that were killed")


@case("after a reset nothing of the identity is left, and nothing is stored twice")
def _(t):
    fleet = Fleet(t)
    client = fleet.client()
    client.run()
    settle(fleet, client)
    client.run()  # stays in the inbox
    waits = client.client.json("status")["outbox_records"]
    need(waits > 0, "nothing waits")
    client.client("rekey")  # not yet taken in
    client.client("reset")
    left = {p.name for p in client.client.state.iterdir()}
    need(not left & {"client.key", "client.key.next", "identity.json", "outbox", "handover.json", "metadata",
                     "policy", "receipts.json", "replaced.json"}, "left of the identity", left)
    equal(client.client.json("status")["state"], "none", "state")
    again = Teller(client.client.enroll(fleet.site, f"file://{fleet.caps[0]}"), fleet)
    need(again.id != client.id, "the same identity after a reset")
    fleet.site("intake")
    again.run()
    settle(fleet, again)
    timeline_is_whole(fleet, again)
    timeline_is_whole(fleet, client)  # what it had sent before, once
    states = {c["client_id"]: c["state"] for c in fleet.site.json("client", "list")}
    equal(states, {client.id: "enrolled", again.id: "enrolled"}, "clients of the site")


def certificate(t):
    cert, key = t.dir / "cert.pem", t.dir / "key.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=site", "-addext",
        "subjectAltName=IP:127.0.0.1")
    return cert, key


@case("over TLS the built-in server is CAP, DP and inbox, for those who trust its certificate")
def _(t):
    site, port = t.site(), free_port()
    cert, key = certificate(t)
    url = f"https://127.0.0.1:{port}"
    (site.dir / "site.conf").write_text(f"tls-ca = {cert}\nintake-every = 1\npublish-every = 1\n")
    site.serve(port, "--tls-cert", cert, "--tls-key", key)
    site("cap", "add", "cap1", f"{url}/cap1")
    site("dp", "add", "dp1", f"{url}/dp1")
    source = make_tree(t.dir / "source")
    package = site.package("tool", source)
    site("program", "add", package, TOOL, "--command", f"sh -c 'echo run >> {t.dir}/ran'")
    adv = site("advertise", package, TOOL, "--collection", "all", "--mandatory", "now").out.strip()
    site("publish")

    stranger = t.client("stranger")
    refused = stranger("enroll", "--cap", f"{url}/cap1", "--root", site.root, "--token", site.token(),
                       check=False).want(4)
    need("certificate" in refused.err and "[PW-NET-TLS]" in refused.err, "no word of the certificate",
         refused.err)

    client = t.client(config=f"tls-ca = {cert}\n")
    client("enroll", "--cap", f"{url}/cap1", "--root", site.root, "--token", site.token())
    wait_for("the enrolment", 20, lambda: state_of(client) == "enrolled")
    wait_for("the run", 20, lambda: client("sync") and (t.dir / "ran").exists())
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark")
    wait_for("the status", 20, lambda: site.json("status", adv)[0]["succeeded"] == 1)
    client("cache", "--clear")
    got = client.json("fetch", package, "-o", t.dir / "out")
    same_tree(source, t.dir / "out")
    equal((got["server"], got["how"]), ("dp1", "ranges"), "server, how")
    wait_for("the receipts", 20, lambda: client("sync") and client.json("status")["outbox_records"] == 0)
    context = ssl.create_default_context(cafile=cert)
    with socket.create_connection(("127.0.0.1", port)) as plain, \
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
        need(tls.version() in ("TLSv1.2", "TLSv1.3"), "the protocol", tls.version())


main()
