#!/usr/bin/python3
"""The presence ladder of SMB, with real smbd servers and their own logs as witnesses."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

import hostile
from flow import STRETCH, case, equal, main, need, program, run, wait_for

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
        return smb.trees(since, "disconnect") == smb.trees(since) and not smb.sessions()
    wait_for("the server to see the end", 5, gone)
    equal(smb.open_trees(), [], "trees that are open")


def on_the_usual_port(smb):
    """False for ordinary users, whose smbd has another port: NetServerGetInfo knows none."""
    return smb.port == 445


@case("a server that answers is present, by NetServerGetInfo")
def _(t):
    smb = t.samba()
    if not on_the_usual_port(smb):
        return
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
    if not on_the_usual_port(smb):
        return
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
        answer = probe(make(t))
        equal(rungs(answer), [("negotiate", what)], make.__name__)
        equal(answer["present"], False, make.__name__)
        ms = answer["steps"][0]["ms"]
        need(least <= ms <= most + 1000 * (STRETCH - 1) + 700, make.__name__, f"{ms} ms")


@case("packets that are dropped cost a second")
def _(t):
    """A real black hole: a network of its own, whose packet filter drops what goes to one address."""
    if os.geteuid() != 0 or not shutil.which("nft"):
        return
    name = f"packway{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    if made.returncode != 0:
        return
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
        done = run(*inside, program("packway"), "--state", "/nonexistent", "probe",
                   f"smb://{address}/packway", "--json", check=False)
        equal(rungs(done.json), [("negotiate", what)], address)
        need(least <= done.json["steps"][0]["ms"] <= most * STRETCH, address, done.out)


@case("a call that hangs is ended, and IPC$ asked")
def _(t):
    smb = t.samba()
    if not on_the_usual_port(smb):
        return
    wait_for("NetServerGetInfo", 30, lambda: probe(smb.url())["rung"] == "netservergetinfo")
    helpers = [p for p in smb.pids() if b"smbd" not in command_of(p).split(b"\0")[0]]
    need(helpers, "processes behind the call's pipe")
    for pid in helpers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    before = smb.mark()
    answer = probe(smb.url())
    equal(rungs(answer), [("negotiate", "ok"), ("netservergetinfo", "timeout"), ("ipc", "ok")], "rungs")
    need(answer["steps"][1]["ms"] <= 3000 + 1000 * STRETCH, "the deadline", answer)
    smb.signal(signal.SIGCONT)
    released(smb, before)
    need(not asking(smb.host), "no process that asks is left")


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
