#!/usr/bin/python3
"""The presence ladder of SMB, with real smbd servers and their own logs as witnesses."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import hostile
from flow import (CHI_SQUARE_0_001, STRETCH, case, chi_square, equal, free_port, in_time, main, make_tree, need,
                  program, run, same_tree, skip_unless, wait_for)

NO_CALL = "rpc start on demand helpers = no"  # NetServerGetInfo finds no service behind its pipe


def probe(url, state="/nonexistent", **more):
    """What `packway probe --json` says; it needs no state. Its exit code has to agree."""
    done = run(program("packway"), "--state", state, "probe", url, "--json", check=False, **more)
    equal(done.code, 0 if done.json["present"] else 4, "exit code")
    return done.json


def rungs(answer):
    return [(s["rung"], s["class"]) for s in answer["steps"]]


def released(smb, since):
    """Every tree that was connected since then was released, and nothing is open now."""
    def gone():
        return (sorted(smb.trees(since, "disconnect")) == sorted(smb.trees(since)) and
                not smb.sessions())
    wait_for("the server to see the end", 5, gone)
    equal(smb.open_trees(), [], "trees that are open")


def on_the_usual_port(smb):
    """False for ordinary users, whose smbd has another port: NetServerGetInfo knows none."""
    return smb.port == 445


@case("a server that answers is present, by NetServerGetInfo")
def _(t):
    smb = t.samba()
    skip_unless(on_the_usual_port(smb), "port 445, which only root may use")
    # Its RPC services start with the first call, which on a busy machine outlasts the deadline.
    wait_for("NetServerGetInfo", 30, lambda: probe(smb.url())["rung"] == "netservergetinfo")
    before = smb.mark()
    answer = probe(smb.url())
    equal(answer["present"], True)
    equal(rungs(answer), [("negotiate", "ok"), ("netservergetinfo", "ok")], "rungs")
    equal(len(smb.setups(before)), 1, "session setups")
    equal(smb.authentications(before)[0]["clientAccount"], "", "account")
    equal(smb.refusals(before), [], "refused logons")
    released(smb, before)


@case("where NetServerGetInfo does not work, IPC$ answers and is released")  # Q226113, Q207429
def _(t):
    smb = t.samba(glob=NO_CALL)
    skip_unless(on_the_usual_port(smb), "port 445, which only root may use")
    best = None
    for _ in range(5):
        before = smb.mark()
        answer = probe(smb.url())
        equal(answer["present"], True)
        equal(answer["rung"], "ipc")
        equal(rungs(answer), [("negotiate", "ok"), ("netservergetinfo", "not-found"), ("ipc", "ok")],
              "rungs")
        # The call that did not work, and the rung behind it: each connected IPC$ once.
        equal(smb.trees(before), ["IPC$", "IPC$"], "tree connects")
        released(smb, before)
        took = answer["steps"][-1]["ms"], sum(s["ms"] for s in answer["steps"])
        best = min(best or took, took)
    print(f"# IPC$ {best[0]} ms, all rungs {best[1]} ms")
    need(best[0] <= 100 * STRETCH, "IPC$ within 100 ms", best)


@case("on another port there is no NetServerGetInfo, and IPC$ answers")
def _(t):
    smb = t.samba(port=4450)
    before = smb.mark()
    answer = probe(smb.url())
    equal(rungs(answer),
          [("negotiate", "ok"), ("netservergetinfo", "not-applicable"), ("ipc", "ok")], "rungs")
    equal((answer["present"], answer["rung"]), (True, "ipc"))
    equal(smb.trees(before), ["IPC$"], "tree connects")
    equal(len(smb.setups(before)), 1, "session setups")
    released(smb, before)
    text = run(program("packway"), "--state", "/nonexistent", "probe", smb.url()).out
    need("is present (rung ipc)" in text and "not-applicable" in text, "words for people", text)


@case("being refused for lack of rights does not mean absent")
def _(t):
    for glob in ("restrict anonymous = 2", "smb encrypt = required"):
        smb = t.samba(glob=glob, port=4450)
        answer = probe(smb.url())
        equal((answer["present"], answer["rung"]), (True, "ipc"), glob)
        equal(answer["steps"][-1]["class"], "denied", glob)
        released(smb, 0)
    for glob in ("server signing = mandatory", "server min protocol = SMB3_11", "max protocol = SMB2_10"):
        answer = probe(t.samba(glob=glob, port=4450).url())
        equal((answer["present"], answer["steps"][-1]["class"]), (True, "ok"), glob)


@case("a server that shuts this machine out is there")
def _(t):
    answer = probe(t.samba(glob="hosts deny = ALL", port=4450).url())
    equal(rungs(answer), [("negotiate", "denied")], "rungs")
    equal(answer["present"], True)


def refusing(t):
    smb = t.samba(port=4450)
    smb.stop()
    return smb.url()


def silent(t):
    """Connects are taken by the kernel; nobody ever reads what is sent."""
    smb = t.samba(port=4450)
    smb.signal(signal.SIGSTOP)
    return smb.url()


def black_hole(t):
    return f"smb://127.0.0.1:{hostile.BlackHole(t).port}/packway"


def web_server(t):
    return f"smb://127.0.0.1:{t.nginx(t.new_dir('www')).port}/packway"


ABSENT = [  # what it is, its class, ms from and to
    (refusing, "unreachable", 0, 300),
    (black_hole, "timeout", 990, 1300),
    (silent, "timeout", 490, 800),
    (web_server, "protocol", 0, 300),
]


@case("absent, silent and foreign servers are told apart, each in its time")
def _(t):
    for make, what, least, most in ABSENT:
        url = make(t)

        def once():
            answer = probe(url)
            equal(rungs(answer), [("negotiate", what)], make.__name__)
            equal(answer["present"], False, make.__name__)
            ms = answer["steps"][0]["ms"]
            need(least <= ms, f"{make.__name__}: too early", ms)
            return ms / 1000, answer
        in_time(make.__name__, most / 1000, once)


@case("packets that are dropped cost a second")
def _(t):
    """A real black hole: a network of its own, whose packet filter drops what goes to one address."""
    skip_unless(os.geteuid() == 0 and shutil.which("nft"), "root and nft")
    name = f"packway{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    skip_unless(made.returncode == 0, "network namespaces")
    t.defer(subprocess.run, ["ip", "netns", "del", name])
    inside = ["ip", "netns", "exec", name]
    rules = t.dir / "rules"
    rules.write_text("table inet t {\nchain out {\ntype filter hook output priority 0;\n"
                     "ip daddr 127.66.0.13 drop\n"
                     "ip daddr 127.66.0.12 reject with icmp type host-unreachable\n}\n}\n")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "nft", "-f", rules)
    for address, what, least, most in (("127.66.0.13", "timeout", 990, 2000),
                                       ("127.66.0.12", "unreachable", 0, 700)):
        def once():
            done = run(*inside, program("packway"), "--state", "/nonexistent", "probe",
                       f"smb://{address}/packway", "--json", check=False)
            equal(rungs(done.json), [("negotiate", what)], address)
            ms = done.json["steps"][0]["ms"]
            need(least <= ms, f"{address}: too early", ms)
            return ms / 1000, done
        in_time(address, most / 1000, once)


@case("a call that hangs is ended, and IPC$ asked")
def _(t):
    smb = t.samba()
    skip_unless(on_the_usual_port(smb), "port 445, which only root may use")
    wait_for("NetServerGetInfo", 30, lambda: probe(smb.url())["rung"] == "netservergetinfo")
    helpers = [p for p in smb.pids() if b"smbd" not in command_of(p).split(b"\0")[0]]
    need(helpers, "processes behind the call's pipe")
    for pid in helpers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    before = smb.mark()

    def once():
        answer = probe(smb.url())
        equal(rungs(answer), [("negotiate", "ok"), ("netservergetinfo", "timeout"), ("ipc", "ok")], "rungs")
        return answer["steps"][1]["ms"] / 1000, answer
    in_time("a call with a deadline of 3 s", 4, once)
    smb.signal(signal.SIGCONT)
    released(smb, before)
    need(not asking(smb.host), "no process that asks is left")


# -- a site over SMB -------------------------------------------------------------------------------

class Shares:
    """A site whose DPs are smbd servers, with a package on all of them, and clients of it."""

    def __init__(self, t, count, **samba):
        self.t, self.site = t, t.site()
        ports = [samba.pop(f"port{i}", 445) for i in range(1, count + 1)]
        self.dps = {f"dp{i}": t.samba(name=f"dp{i}", port=port, **samba)
                    for i, port in enumerate(ports, 1)}
        self.cap = f"file://{self.site.folder_cap('cap1')}"
        for name, smb in self.dps.items():
            self.site("dp", "add", name, smb.url())
        self.source = make_tree(t.dir / "source", files=4)
        self.package = self.site.package("tool", self.source)
        self.site("publish")
        for smb in self.dps.values():
            released(smb, 0)

    def client(self, name="client1", **more):
        client = self.t.client(name, **more).join(self.site, self.cap)
        client("sync")
        return client

    def marks(self):
        return {name: smb.mark() for name, smb in self.dps.items()}

    def first_fetch(self, *preferred):
        """(seconds, the client) of a fetch by one that has met no server yet. The last DP serves it."""
        self.clients = getattr(self, "clients", 0) + 1
        client = self.client(f"fresh{self.clients}")
        client("prefer", *preferred, "--dp")
        began = time.monotonic()
        got = client.json("fetch", self.package)
        took = time.monotonic() - began
        equal(got["server"], list(self.dps)[-1], "server")
        same_tree(self.source, got["path"])
        return took, client


@case("an open session answers, and none is made beside it")  # Q312512, Q226113
def _(t):
    world = Shares(t, 1)
    client, smb = world.client(), world.dps["dp1"]
    client.agent()
    client("fetch", world.package)
    equal([c["way"] for c in client.json("connections")], ["session"], "connections")
    before = smb.mark()
    answer = probe(smb.url(), client.state)
    equal(rungs(answer), [("session", "ok")], "rungs")
    equal((answer["present"], answer["rung"]), (True, "session"))
    checks = [c for c in client.json("doctor") if c["subject"] == smb.url()]
    need(checks and "present by session" in checks[0]["text"], "doctor", checks)
    equal((smb.setups(before), smb.refusals(before), smb.trees(before)), ([], [], []),
          "session setups and tree connects")
    equal(len(smb.sessions()), 1, "sessions")
    # Another user's session, or none at all: the rungs below answer.
    answer = probe(smb.url())
    need(answer["rung"] in ("netservergetinfo", "ipc"), "without the agent", answer)


@case("sms2 climbs the ladder before it connects to the server that was drawn")  # Q226113
def _(t):
    world = Shares(t, 3, glob=NO_CALL)
    client = world.client()
    for seed in ("1", "2", "3"):
        marks = world.marks()
        got = client.json("fetch", world.package, "--policy", "sms2", "--seed", seed)
        record = client.json("explain")
        shutil.rmtree(client.state / "store", ignore_errors=True)
        need(record["policy"] == "sms2" and record["chosen"]["way"] == "new", "the choice", record)
        equal(record["presence"]["rung"], "ipc", "rung")
        for name, smb in world.dps.items():
            trees = smb.trees(marks[name])
            if name != got["server"]:
                equal((trees, smb.setups(marks[name])), ([], []), f"{name} was not drawn")
                continue
            share = trees.index("packway")
            need(trees[:share].count("IPC$") >= 1 and trees.count("packway") == 1,
                 "IPC$ before the share", trees)
            released(smb, marks[name])


@case("sms2 reuses an open session to the server that was drawn, and asks over it")  # Q226113
def _(t):
    world = Shares(t, 2)
    client = world.client()
    client.agent()
    first = client.json("fetch", world.package, "--policy", "sms2", "--seed", "1")
    smb = world.dps[first["server"]]
    more = world.site.package("second", make_tree(t.dir / "second", files=3, seed=2))
    world.site("publish")
    client("sync")
    seed = next(str(n) for n in range(1, 100) if first["server"] == client.json(
        "locate", more, "--policy", "sms2", "--seed", str(n))["chosen"]["server"])
    before = smb.mark()
    got = client.json("fetch", more, "--policy", "sms2", "--seed", seed)
    equal(got["server"], first["server"], "server")
    equal(client.json("explain", more)["presence"]["rung"], "session", "rung")
    equal((smb.setups(before), smb.trees(before)), ([], []), "session setups and tree connects")
    same_tree(t.dir / "second", got["path"])


@case("where sms2 finds the drawn server absent, the next is drawn")
def _(t):
    world = Shares(t, 2)
    client = world.client()
    ranked = client.json("locate", world.package, "--policy", "sms2", "--seed", "1")["candidates"]
    dead, good = ranked[0]["server"], ranked[1]["server"]
    world.dps[dead].signal(signal.SIGSTOP)
    began = time.monotonic()
    got = client.json("fetch", world.package, "--policy", "sms2", "--seed", "1")
    took = time.monotonic() - began
    equal(got["server"], good, "server")
    attempts = [(a["server"], a["class"]) for a in client.json("explain")["attempts"]]
    equal(attempts, [(dead, "timeout"), (good, "ok")], "attempts")
    print(f"# {took:.1f} s")


@case("dead SMB servers are passed in rank order, each with its class, within three seconds")
def _(t):
    ports = {f"port{i}": free_port() for i in range(1, 6)}
    world = Shares(t, 5, **ports)
    for name in ("dp1", "dp2", "dp4"):
        world.dps[name].stop()
    world.dps["dp3"].signal(signal.SIGSTOP)
    hostile.BlackHole(t, world.dps["dp2"].port, world.dps["dp2"].host)
    web = world.dps["dp4"]
    t.nginx(t.new_dir("www"), server=f"listen {web.host}:{web.port};")

    def once():
        plain_s, _ = world.first_fetch("dp5")
        took, client = world.first_fetch("dp1", "dp2", "dp3", "dp4")
        classes = {a["server"]: a["class"] for a in client.json("explain")["attempts"]}
        equal(classes, {"dp1": "unreachable", "dp2": "timeout", "dp3": "timeout", "dp4": "protocol",
                        "dp5": "ok"}, "classes")
        print(f"# {took - plain_s:.1f} s beside a plain fetch")
        return took - plain_s, client
    in_time("four dead servers", 3, once)


class HalfServer:
    """Answers the first NEGOTIATE as the corpus has it, and then falls silent for ever."""

    def __init__(self, t, host, port):
        self.answer = (pathlib.Path(__file__).parents[2] / "fuzz/corpus/negotiate/smb311").read_bytes()
        self.listener = socket.create_server((host, port))
        self.held = []
        t.defer(self.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                self.held.append(s)
                if len(self.held) == 1:
                    s.recv(4096)
                    s.sendall(self.answer)

    def begin(self):
        """The next NEGOTIATE is the first again."""
        while self.held:
            self.held.pop().close()

    def close(self):
        for s in (self.listener, *self.held):
            s.close()


@case("a server that answers and lets nobody in is looked at, and passed")
def _(t):
    world = Shares(t, 2, port1=free_port())
    bad = world.dps["dp1"]
    bad.stop()
    half = HalfServer(t, bad.host, bad.port)

    def once():
        half.begin()
        took, client = world.first_fetch("dp1")
        record = client.json("explain")
        first = record["attempts"][0]
        equal((first["server"], first["class"]), ("dp1", "timeout"), "the first attempt")
        equal(record["presence"]["rung"], "negotiate", "how far the ladder went")
        print(f"# {took:.1f} s, of it {record['presence']['ms']} ms for the ladder")
        return took, record
    in_time("a fetch beside it", 8, once)


@case("a server that falls silent while a session to it is open is left within three seconds")
def _(t):
    world = Shares(t, 2, port1=free_port(), port2=free_port())
    more = world.site.package("second", make_tree(t.dir / "second", files=3, seed=2))
    world.site("publish")
    names = iter(range(9))

    def once():
        client = world.client(f"client{next(names)}")
        client("prefer", "dp1", "--dp")
        client.agent()
        equal(client.json("fetch", world.package)["server"], "dp1", "server")
        world.dps["dp1"].signal(signal.SIGSTOP)
        began = time.monotonic()
        got = client.json("fetch", more)
        took = time.monotonic() - began
        world.dps["dp1"].signal(signal.SIGCONT)
        equal(got["server"], "dp2", "server")
        record = client.json("explain", more)
        equal([(a["server"], a["way"], a["class"]) for a in record["attempts"]],
              [("dp1", "session", "timeout"), ("dp2", "new", "ok")], "attempts")
        need("presence" not in record, "a session that had been open is no unclear failure", record)
        print(f"# {took:.1f} s")
        return took, record
    in_time("three seconds, and a fetch", 3 + 2, once)


@case("sms2 draws SMB DPs and CAPs evenly, whatever is mounted, and asks none of them in order to choose")
def _(t):
    names = [f"dp{i}" for i in range(1, 8)] + [f"cap{i}" for i in range(1, 6)]
    smb = t.samba(shares={name: t.new_dir(name) for name in names}, port=4450)
    site = t.site()
    for name in names:
        site(name.rstrip("0123456789"), "add", name, smb.url(share=name))
    package = site.package("tool", make_tree(t.dir / "source", files=2))
    site("publish")
    table = t.dir / "mountinfo"
    table.write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
                     "".join(f"{n} 22 0:{n} / {t.dir}/at-{name} rw - fuse {smb.url(share=name)} rw,user_id={os.geteuid()}\n"
                             for n, name in ((36, "dp3"), (37, "cap2"))))
    client = t.client(config=f"mounts = {table}\n").join(site, smb.url(share="cap1"))
    client("sync")
    client("locate", package)  # it may look for newer policy first
    released(smb, 0)
    before, draws = smb.mark(), 200
    for question, servers, mounted in (([package], names[:7], "dp3"), (["--cap"], names[7:], "cap2")):
        by_default = client.json("locate", *question)["chosen"]
        equal((by_default["server"], by_default["way"]), (mounted, "mount"), "by the policy 'existing'")
        chosen = [client.json("locate", *question, "--policy", "sms2", "--seed", str(seed))["chosen"]
                  for seed in range(draws)]
        equal({c["way"] for c in chosen}, {"new"}, "ways")
        seen = [c["server"] for c in chosen]
        value = chi_square([seen.count(name) for name in servers])
        print(f"# chi-square {value:.1f} over {len(servers)}")
        need(value < CHI_SQUARE_0_001[len(servers) - 1], "the draw is not even", value,
             {name: seen.count(name) for name in servers})
    equal((smb.authentications(before), smb.trees(before)), ([], []), "what the server saw")


@case("sms2 draws a CAP anew each time, with the ladder before each connection")
def _(t):
    caps = {f"cap{i}": t.samba(name=f"cap{i}", glob=NO_CALL) for i in range(1, 4)}
    site = t.site()
    for name, smb in caps.items():
        site("cap", "add", name, smb.url())
    site("publish")
    client = t.client().join(site, caps["cap1"].url())
    client("sync")
    client("prefer", "--policy", "sms2")
    used, rounds = set(), 0
    # Three in a row are the same one time in nine, forty never.
    while rounds < 3 or (len(used) < 2 and rounds < 40):
        rounds += 1
        marks = {name: smb.mark() for name, smb in caps.items()}
        client("sync")
        record = client.json("explain")
        name = record["chosen"]["server"]
        equal((record["kind"], record["policy"], record["presence"]["rung"]), ("cap", "sms2", "ipc"),
              "the choice")
        trees = caps[name].trees(marks[name])
        need("IPC$" in trees[:trees.index("packway")], "IPC$ before the share", trees)
        used.add(name)
    need(len(used) > 1, "one CAP only in forty draws of three", used)


def command_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    return b""


def asking(host):
    """Processes packway-smb that ask that server."""
    return [p for p in os.listdir("/proc") if p.isdigit() and
            b"--server-info\0" + host.encode() in command_of(p)]


main()
