#!/usr/bin/python3
"""A CAP that lies, ages, breaks or floods: refused, and what was trusted stays in force."""
import shutil

import hostile
from flow import *

FLIPS = int(os.environ.get("PACKWAY_TEST_FLIPS", "10"))  # bytes of each file that are flipped


def add_cap(t, site, name):
    """A CAP that the site writes as a folder, and clients read by HTTP once the folder is hidden."""
    server = hostile.Server(t, t.dir / f"{site.dir.name}-{name}")
    site("cap", "add", name, f"file://{server.folder}", server.url)
    return server


@shared
def world(t):
    """A site with two publications, and the state of a client that knows the first."""
    class World:
        pass

    w = World()
    w.source = make_tree(t.dir / "source", files=4, size=4000)
    w.site = t.site()
    w.cap = add_cap(t, w.site, "cap1")
    w.site.folder_dp("dp1")
    w.package = w.site.package("tool", w.source)
    w.site("program", "add", w.package, "install", "--command", "./install")
    w.site("advertise", w.package, "install", "--collection", "all", "--available", "now")
    w.site("publish")
    w.first = snapshot(w.cap.folder / "metadata")
    w.client = t.client("model")
    w.client.enroll(w.site, w.cap.url)
    w.client("fetch", w.package)
    (w.source / "more").write_text("more\n")
    w.site("package", "update", w.package)
    w.site("package", "distribute", w.package, "--all", "--no-patches")
    w.site("program", "add", w.package, "second", "--command", "./install")
    w.site("advertise", w.package, "second", "--collection", "all", "--available", "now")
    w.site("group", "add", "branch")
    w.site("collection", "add", "some", "--query", "SELECT client_id FROM os")
    w.site("publish")
    w.cap.hide()
    return w


def snapshot(*folders):
    """The bytes of every file beneath."""
    return {str(p.relative_to(folder)): p.read_bytes() for folder in folders
            for p in folder.rglob("*") if p.is_file()}


def in_force(client):
    """Every file of the generation that the client acts by."""
    policy = client.state / "policy"
    return snapshot(policy / (policy / "current").read_text())


def trusted(client):
    """That, and the newest metadata that was verified."""
    return {**snapshot(client.state / "metadata"), **in_force(client)}


class Copy(Client):
    """Another client with the very state of the model; `again` takes it back there."""

    def __init__(self, t, w):
        self.t, self.model, self.env = t, w.client, w.client.env
        self.state = t.dir / "state"
        self.again()

    def again(self):
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.model.state, self.state)
        return self


def model_of(t):
    w = world()
    w.cap.behaviour = hostile.honest
    return w, Copy(t, w)


def read_by(client, cap, *verb):
    cap.forget()
    client(*verb)
    return sorted({name for _, name, status in cap.requests if status == 200})


def refused(client, *verb, code=1):
    """It fails in three lines with a code, and `status` says what, whose and since when."""
    result = client(*verb, check=False).want(code)
    equal(len(result.err.splitlines()), 3, f"lines of the error:\n{result.err}")
    status = client.json("status")
    need(status["verdict"] not in (None, "ok"), "status is content", status)
    equal(status["verdict_server"], "cap1", "server")
    need(status["verdict_since"], "no time", status)
    return status


def the_old_set_stays(client, before, cap):
    """What was in force is, file by file; what was verified beyond it is signed by the site."""
    equal(in_force(client), before, "the generation in force")
    signed = set(before.values()) | set(snapshot(cap.folder).values())
    for name, body in snapshot(client.state / "metadata").items():
        need(body in signed or name.startswith("clock"), f"{name} was never signed")


def still_works(client, w):
    offers = client.json("list", env={"PACKWAY_FAKE_TIME": ""})
    need("install" in [o["program"] for o in offers], "the old offer is gone", offers)
    client("locate", w.package)


def mangled(name, change):
    """An honest CAP but for one file."""
    def behaviour(r):
        if r.name != name:
            return r.honest()
        r.serve(change(r.file.read_bytes()))
    return behaviour


def flip(at, bit):
    def change(body):
        out = bytearray(body)
        out[at] ^= 1 << bit
        return bytes(out)
    return change


def refuses_each(t, verb, names_of, changes_of):
    """Every change to every file that `verb` reads is refused, and healed by the honest file."""
    w, client = model_of(t)
    cap = w.cap
    before = in_force(client)
    names = names_of(read_by(client, cap, *verb(w)))
    need(len(names) >= 1, "nothing was read")
    for name in names:
        body = (cap.folder / name).read_bytes()
        for change in changes_of(t, body):
            cap.behaviour = mangled(name, change)
            client.again()
            try:
                refused(client, *verb(w))
                the_old_set_stays(client, before, cap)
            except Failed as fault:
                raise Failed(f"{name}, {change.__doc__}: {fault}")
        cap.behaviour = hostile.honest
        client("sync")
        equal(client.json("status")["verdict"], "ok", f"after {name} was whole again")
    print(f"# {len(names)} files: {' '.join(names)}")


def described(change, text):
    change.__doc__ = text
    return change


def flips(t, body):
    """Steps through the whole file, from another byte in every run."""
    step = max(1, len(body) // FLIPS)
    for at in range(t.rng.randrange(step), len(body), step):
        bit = t.rng.randrange(8)
        yield described(flip(at, bit), f"bit {bit} of byte {at}")


def cuts(t, body):
    for size in sorted({0, 1, t.rng.randrange(len(body)), len(body) - 1}):
        yield described(lambda b, size=size: b[:size], f"cut to {size} bytes")
    yield described(lambda b: b + b"{}", "a byte behind its end")


def metadata(names):
    return [n for n in names if n.startswith("metadata/")]


def targets(names):
    return [n for n in names if n.startswith("targets/")]


def signed(names):
    return metadata(names) + targets(names)


@case("metadata with any byte flipped is refused")
def _(t):
    refuses_each(t, lambda w: ["sync"], metadata, flips)


@case("a policy document with any byte flipped is refused")
def _(t):
    refuses_each(t, lambda w: ["sync"], targets, flips)


@case("truncated metadata and policy documents are refused")
def _(t):
    refuses_each(t, lambda w: ["sync"], signed, cuts)


KINDS = ("site", "group", "package", "location", "advertisement", "collection")


def changed(change):
    return lambda r: r.serve(change(r.file.read_bytes()))


SPOILS = (  # what happens to the document, and how that is called
    (changed(lambda b: flip(len(b) // 2, 1)(b)), "bad-hash"),
    (hostile.status(404), "missing"),
    (changed(lambda b: b[:-1]), "bad-length"),
    (changed(lambda b: b + b" " * 100_000), "too-large"),
    (hostile.endless, "too-large"),
)


def offered(client):
    return sorted(o["program"] for o in client.json("list"))


def kind_of(name):
    return "site" if name.endswith(".site.json") else name.split("/")[1]


@case("beside good metadata one bad document of any kind leaves the old set in force and at work")
def _(t):
    w, client = model_of(t)
    before = in_force(client)
    names = {kind_of(n): n for n in targets(read_by(client, w.cap, "sync"))}
    equal(sorted(names), sorted(KINDS), "kinds of documents that a sync reads")
    for kind, name in names.items():
        client.again()
        for spoil, verdict in SPOILS:
            w.cap.behaviour = hostile.on(lambda r, n=name: r.name == n, spoil)
            status = refused(client, "sync")
            equal(status["verdict"], verdict, f"{name}: verdict")
            need(kind in status["verdict_text"], f"{name} is not named", status)
            equal(in_force(client), before, f"{name}, {verdict}: the generation in force")
        equal(offered(client), ["install"], f"{name} is bad: offers")
        client("run", w.package, "install")
        w.cap.behaviour = hostile.honest
        client("sync")
        equal(offered(client), ["install", "second"], f"{name} is whole: offers")
        equal(client.json("status")["verdict"], "ok", f"{name} is whole: verdict")


@case("a set that one CAP has not whole comes from another")
def _(t):
    site = t.site()
    bad, good = add_cap(t, site, "bad"), add_cap(t, site, "good")
    site("publish")
    client = t.client().enroll(site, bad.url)
    client("prefer", "bad", "--cap")
    site("group", "add", "branch")
    site("publish")
    bad.hide(), good.hide()
    bad.behaviour = hostile.on(lambda r: "group" in r.name, hostile.status(404))
    client("sync")
    equal(client.json("status")["verdict"], "ok", "verdict")
    need("targets/group/branch.json" in in_force(client), "no new policy")


@case("a receipt with a flipped byte is no receipt: nothing is forgotten")
def _(t):
    w, client = model_of(t)
    (name,) = [n for n in read_by(client, w.cap, "sync") if n.startswith("receipts/")]
    client.again()
    waiting = client.json("status")["outbox_records"]
    need(waiting > 0, "nothing waits for a receipt")
    for change in [*flips(t, (w.cap.folder / name).read_bytes())][::4]:
        w.cap.behaviour = mangled(name, change)
        client("sync", check=False)
        need(client.json("status")["outbox_records"] >= waiting, "records were forgotten")


@case("a manifest with a flipped byte is refused, and the old version stays")
def _(t):
    w, client = model_of(t)
    client("sync")
    cap = w.cap
    cap.forget()
    shutil.copytree(client.state, t.dir / "synced")
    client("fetch", w.package)
    (name,) = [n for _, n, status in cap.requests if n.startswith("targets/manifest/")]
    for change in [*flips(t, (cap.folder / name).read_bytes()), lambda b: b[:-1], lambda b: b""]:
        shutil.rmtree(client.state)
        shutil.copytree(t.dir / "synced", client.state)
        cap.behaviour = mangled(name, change)
        result = client("fetch", w.package, check=False).want(1)
        equal(len(result.err.splitlines()), 3, f"lines of the error:\n{result.err}")
        need(not (client.state / "store" / w.package / "2").exists(), "a tree stands there")
        equal(client.json("fetch", w.package, "--version", "1")["how"], "none", "version 1")


def nothing_moves(t, w, client, behaviour, verdicts, attack, code=1, env=None):
    """Refused before anything is stored: not one trusted byte changes; healed by an honest CAP."""
    before = trusted(client)
    w.cap.behaviour = behaviour
    client.env = {**client.env, **(env or {})}
    status = refused(client, "sync", code=code)
    need(status["verdict"] in verdicts, f"verdict {status['verdict']}, want one of {verdicts}",
         status)
    equal(status["verdict_attack"], attack, f"the attack, as {status['verdict']} looks")
    told = [m for m in client.json("messages") if m.get("id") == 11008][-1:]
    if attack:
        need(told and attack in told[0]["text"] and "cap1" in told[0]["text"], f"no message names {attack} and cap1", told)
    equal(trusted(client), before, "trusted files")
    time.sleep(1.1)
    again = refused(client, "sync", code=code)
    equal((again["verdict"], again["verdict_since"]), (status["verdict"], status["verdict_since"]),
          "since when, the second time")
    still_works(client, w)
    client.env = w.client.env
    w.cap.behaviour = hostile.honest
    client("sync")
    equal(client.json("status")["verdict"], "ok", "verdict of a whole CAP")


def at_second(t):
    """A client that has the second publication."""
    w, client = model_of(t)
    client("sync")
    return w, client


@case("an old timestamp is refused as a rollback")
def _(t):
    w, client = at_second(t)
    old = w.first["timestamp.json"]
    nothing_moves(t, w, client, mangled("metadata/timestamp.json", lambda _: old), ["rollback"], "rollback")


@case("a CAP put back to an older publication is refused as a rollback")
def _(t):
    w, client = at_second(t)

    def behaviour(r):
        body = w.first.get(r.name.removeprefix("metadata/"))
        return r.serve(body) if body else r.refuse(404)
    nothing_moves(t, w, client, behaviour, ["rollback"], "rollback")


@case("an expired timestamp is refused, and trusted again when the clock is right")
def _(t):
    w, client = at_second(t)
    nothing_moves(t, w, client, hostile.honest, ["expired"], "freeze",
                  env={"PACKWAY_FAKE_TIME": f"+{20 * 86400}"})


@case("a client that slept past every expiry follows the site again")
def _(t):
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("publish")
    client = t.client().enroll(site, cap)
    later = {"PACKWAY_FAKE_TIME": f"+{40 * 86400}"}
    site.env = later
    client.env = {**client.env, **later}
    site("group", "add", "branch")
    site("publish")
    client("sync")
    equal(client.json("status")["verdict"], "ok", "verdict")
    need("targets/group/branch.json" in in_force(client), "no new policy")


@case("another site's metadata is refused")
def _(t):
    w, client = at_second(t)
    other = t.site("NYC", "other")
    other.folder_cap("cap9")
    for _ in range(3):  # its versions are past those that are trusted
        other("group", "add", f"g{random.randrange(1 << 30)}")
        other("publish")
    folder = t.dir / "cap9"

    def behaviour(r):
        path = folder / r.name
        return r.serve(path.read_bytes()) if path.is_file() else r.refuse(404)
    nothing_moves(t, w, client, behaviour, ["below-threshold"], "wrong key")


@case("an endless timestamp, root or snapshot is cut off at its cap")
def _(t):
    for name, verdict in (("metadata/timestamp.json", ["too-large"]),
                          ("metadata/2.root.json", ["too-large"])):
        w, client = model_of(t)
        nothing_moves(t, w, client, hostile.on(lambda r, n=name: r.name == n, hostile.endless),
                      verdict, "endless data")
    w, client = model_of(t)
    before = in_force(client)
    w.cap.behaviour = hostile.on(lambda r: r.name.endswith(".snapshot.json"), hostile.endless)
    refused(client, "sync")
    the_old_set_stays(client, before, w.cap)


@case("a role's file in another's place, or of another publication, is refused as mixed and matched")
def _(t):
    w, client = model_of(t)
    old, new = sorted(n for n in snapshot(w.cap.folder) if n.endswith(".site.json") and n.startswith("metadata/"))[-2:]
    other = (w.cap.folder / old).read_bytes()
    before = in_force(client)
    w.cap.behaviour = mangled(new, lambda _: other)
    status = refused(client, "sync")
    equal((status["verdict_attack"], status["verdict_server"]), ("mix-and-match", "cap1"), status)
    told = [m["text"] for m in client.json("messages") if m.get("id") == 11008]
    need(told and "mix-and-match" in told[-1] and "cap1" in told[-1], "no message", told)
    the_old_set_stays(client, before, w.cap)


@case("a timestamp that drips in is given up as slow retrieval")
def _(t):
    w, client = at_second(t)
    before = trusted(client)
    w.cap.behaviour = hostile.on(lambda r: r.name == "metadata/timestamp.json", hostile.trickle)
    begin = time.monotonic()
    status = refused(client, "sync", code=4)
    print(f"# {time.monotonic() - begin:.0f} s")
    equal((status["verdict"], status["verdict_attack"], status["verdict_server"]), ("slow", "slow retrieval", "cap1"), status)
    told = [m["text"] for m in client.json("messages") if m.get("id") == 11008]
    need(told and "slow retrieval" in told[-1] and "cap1" in told[-1], "no message", told)
    equal(trusted(client), before, "trusted files")


@case("an empty CAP changes nothing")
def _(t):
    w, client = at_second(t)
    nothing_moves(t, w, client, hostile.status(404), ["missing"], "")


@case("a CAP that forbids, is busy, or is silent changes nothing")
def _(t):
    w, client = at_second(t)
    for behaviour in (hostile.status(403), hostile.status(503), hostile.silent):
        nothing_moves(t, w, client, behaviour, ["unreachable"], "", code=4)


@case("beside a CAP that lies the good one is used, and the liar is named")
def _(t):
    site = t.site()
    bad, good = add_cap(t, site, "bad"), add_cap(t, site, "good")
    site("publish")
    client = t.client().enroll(site, bad.url)
    client("prefer", "bad", "--cap")
    timestamp = "metadata/timestamp.json"
    liars = [
        ("flipped", mangled(timestamp, flip(100, 1)), "protocol"),
        ("endless", hostile.on(lambda r: r.name == timestamp, hostile.endless), "protocol"),
        ("empty", hostile.status(404), "content-missing"),
        ("silent", hostile.silent, "timeout"),
    ]
    for number, (why, behaviour, fault) in enumerate(liars):
        site("group", "add", f"g{number}")
        site("publish")
        bad.hide(), good.hide()
        (client.state / "worker/nal.json").unlink()  # or the liar of before would be tried last
        bad.behaviour = behaviour
        good.forget()
        client("sync")
        decision = client.json("explain", "cap")
        # Before its web address each CAP was tried at its folder, which is not on this machine.
        attempts = [(a["server"], a["class"]) for a in decision["attempts"]
                    if a["class"] != "not-found"]
        equal(attempts, [("bad", fault), ("good", "ok")], f"{why}: attempts")
        need(any(s == 200 for _, _, s in good.requests), f"{why}: the good CAP was not read")
        equal(client.json("status")["verdict"], "ok", f"{why}: verdict")
        need(f"targets/group/g{number}.json" in in_force(client), f"{why}: no policy")
        bad.show(), good.show()
    texts = [m["text"] for m in client.json("messages") if m.get("id") == 11008]
    need(texts and all("bad" in text for text in texts), "no message of the lie", texts)


main()
