#!/usr/bin/python3
"""Each way in which an SMB server can fail, with a good one beside it: its class, its price, and whole content."""
import os
import shutil
import subprocess
import sys


def with_a_network_of_our_own():
    """As root, start again where a packet filter of ours harms nobody."""
    inside = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if os.geteuid() == 0 and shutil.which("nft") and "PACKWAY_TEST_NETWORK" not in os.environ and \
            subprocess.run([*inside, "true"], capture_output=True).returncode == 0:
        sys.exit(subprocess.run([*inside, sys.executable, *sys.argv],
                                env={**os.environ, "PACKWAY_TEST_NETWORK": "own"}).returncode)


with_a_network_of_our_own()

import hostile
from flow import *

FULL_AT = 2  # connections that a share takes which is said to be at its limit


class World:
    """A site with a good DP in the client's group, and one for each failure elsewhere, that only who prefers it will use.
    Every one is an smbd of its own, and version 2 of a package is on all."""

    def __init__(self, t, *names):
        self.t, self.site = t, t.site()
        self.cap = f"file://{self.site.folder_cap('cap1')}"
        self.dps = {name: t.samba(name=name) for name in ("good", *names)}
        for group in ("near", "far"):
            self.site("group", "add", group)
        self.site("boundary", "add", "10.1.0.0/16", "--group", "near")
        self.lines = {}
        self.clients = 0

    def add(self, name, line=None):
        self.lines[name] = line
        self.site("dp", "add", name, (line or self.dps[name]).url(), "--group", "near" if name == "good" else "far")

    def fill(self):
        for name in self.dps:
            if name not in self.lines:
                self.add(name)
        self.source = make_tree(self.t.dir / "source", files=10, size=100000)
        self.package = self.site.package("tool", self.source)
        self.first = {n: shutil.copytree(s.folder, self.t.dir / f"{n}.first") for n, s in self.dps.items()}
        (self.source / "more").write_bytes(self.t.rng.randbytes(300000))
        self.site("package", "update", self.package)
        self.site("package", "distribute", self.package, "--all", "--no-patches")
        self.site("publish")
        self.plain_s = min(self.fetch("good")[1] for _ in range(2))
        return self

    def fetch(self, name, *options):
        """(the decision record, seconds) of a fetch by a client that has met nobody yet and prefers that one."""
        self.clients += 1
        client = self.t.client(f"client{self.clients}").join(self.site, self.cap)
        client("sync")
        client("prefer", name, "--dp")
        began = time.monotonic()
        got = client.json("fetch", self.package, *options)
        took = time.monotonic() - began
        equal(got["server"], "good", f"who served beside {name}")
        same_tree(self.source, got["path"])
        self.client = client
        return client.json("explain", self.package), took


def refused(w, smb):
    smb.stop()


def dropped(w, smb):
    """A packet filter drops what goes there."""
    if "PACKWAY_TEST_NETWORK" not in os.environ:
        smb.stop()
        return hostile.BlackHole(w.t, smb.port, smb.host)
    rules = w.t.dir / "rules"
    rules.write_text("table inet t {\nchain out {\ntype filter hook output priority 0;\n"
                     f"ip daddr {smb.host} drop\n}}\n}}\n")
    run("nft", "-f", rules)


def no_route(w, smb):
    if "PACKWAY_TEST_NETWORK" not in os.environ:
        return smb.stop()
    rules = w.t.dir / "rules2"
    rules.write_text("table inet u {\nchain out {\ntype filter hook output priority 0;\n"
                     f"ip daddr {smb.host} reject with icmp type host-unreachable\n}}\n}}\n")
    run("nft", "-f", rules)


def silent(w, smb):
    smb.signal(signal.SIGSTOP)
    w.t.defer(smb.signal, signal.SIGCONT)


def denying(w, smb):
    """Whom it lets in may still not enter the share."""
    smb.configure(share="  valid users = nobody-at-all")
    smb.reload()


def full(w, smb):
    smb.configure(share=f"  max connections = {FULL_AT}")
    smb.reload()
    for _ in range(FULL_AT):
        holder = subprocess.Popen(["smbclient", f"//{smb.host}/packway", "-p", str(smb.port), "-N"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        w.t.defer(holder.wait)
        w.t.defer(holder.kill)
    wait_for("those who hold it", 10, lambda: smb.open_trees().count("packway") == FULL_AT)


def empty(w, smb):
    shutil.rmtree(smb.folder / w.package)


def older(w, smb):
    shutil.rmtree(smb.folder)
    shutil.copytree(w.first[smb.name], smb.folder)


def corrupt(w, smb):
    for path in (smb.folder / w.package).rglob("*.pack"):
        body = bytearray(path.read_bytes())
        for at in range(0, len(body), 512):
            body[at] ^= 0x40
        path.write_bytes(body)


def short(w, smb):
    for path in (smb.folder / w.package).rglob("*.pack"):
        os.truncate(path, path.stat().st_size // 2)


def no_share(w, smb):
    smb.shares = {"elsewhere": smb.folder}
    smb.configure()
    smb.reload()


FAILURES = {  # what happens, the classes that say so, seconds that it may cost
    refused: (("unreachable",), 3),
    dropped: (("timeout",), 3),
    no_route: (("unreachable",), 3),
    silent: (("timeout",), 3),
    denying: (("denied",), 3),
    full: (("busy",), 3),
    empty: (("content-missing",), 3),
    older: (("wrong-version",), 3),
    corrupt: (("corrupt",), 3),
    short: (("corrupt", "protocol", "content-missing"), 3),
    no_share: (("not-found",), 3),
}


def passes(w, name, classes, limit_s, way="new", before=lambda: None):
    """The one that fails is tried first, has its class, and costs no more than that beside a plain fetch."""
    def once():
        before()
        record, took = w.fetch(name)
        first = record["attempts"][0]
        print(f"# {name}: {first['class']} in {first['ms']} ms, the fetch {took - w.plain_s:.1f} s more than plain")
        equal((first["server"], first["way"]), (name, way), "the first attempt")
        need(first["class"] in classes, f"{name}: class {first['class']}, want {classes}", record["attempts"])
        equal(record["attempts"][-1]["class"], "ok", "the last attempt")
        need(name in record["because"], "the sentence does not name it", record["because"])
        return took - w.plain_s, record
    return in_time(f"{name} beside a plain fetch", limit_s, once)


@case("eleven ways to fail: each has its class, costs three seconds at most, and the good server serves")
def _(t):
    w = World(t, *(f.__name__ for f in FAILURES)).fill()
    for break_it, (classes, limit_s) in FAILURES.items():
        break_it(w, w.dps[break_it.__name__])
        passes(w, break_it.__name__, classes, limit_s)
        remembered = json.loads((w.client.state / "worker/nal.json").read_text())["servers"]
        need(any(break_it.__name__ in name for name in remembered), "nothing is remembered of it", remembered)


class Trickle(Line):
    """Everything until a content's bytes are asked for, and from then on a byte a second."""
    from_read = 2  # the index is the first

    def _hand_on(self, sink, bytes_due):
        down = sink.getsockname()[:2] == (self.host, self.port)
        with contextlib.suppress(OSError):
            while piece := bytes_due.get()[1]:
                while piece and down and self.commands.count("READ") >= self.from_read:
                    time.sleep(1)
                    sink.sendall(piece[:1])
                    piece = piece[1:]
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)


@case("a byte a second costs three seconds where the session begins so, and fifteen in the middle of content")
def _(t):
    w = World(t, "at_once", "in_content")
    for name in ("at_once", "in_content"):
        w.add(name, Trickle(t, w.dps[name]))
    w.lines["at_once"].from_read = w.lines["in_content"].from_read = 1 << 30
    w.fill()
    w.lines["at_once"].from_read = 0
    passes(w, "at_once", ("timeout",), 3)
    w.lines["in_content"].from_read = 2
    passes(w, "in_content", ("slow",), 15, before=w.lines["in_content"].commands.clear)


@case("a share that refers to another server (DFS) is not followed there, and the good server serves")
def _(t):
    w = World(t, "referring", "other").fill()
    w.dps["referring"].configure(share=f"  msdfs root = yes\n  msdfs proxy = \\{w.dps['other'].host}\\packway")
    w.dps["referring"].reload()
    before = w.dps["other"].mark()
    record = passes(w, "referring", ("protocol",), 3)
    equal(w.dps["other"].authentications(before), [], "logons at the server that it refers to")
    equal([a["server"] for a in record["attempts"]], ["referring", "good"], "attempts")


@case("a share that shows another server's content is read by what it holds, never by what it says")
def _(t):
    w = World(t, "swapped").fill()
    strange = t.new_dir("strange")
    site = t.site(code="PAR", name="stranger")
    smb = w.dps["swapped"]
    smb.shares = {"packway": strange}
    smb.configure()
    smb.reload()
    site("dp", "add", "theirs", smb.url())
    site.package("tool", make_tree(t.dir / "theirs", seed=9))
    passes(w, "swapped", ("content-missing",), 3)


@case("a mount whose server falls silent is left within three seconds, and so is the server itself")
def _(t):
    skip_unless(shutil.which("rclone"), "rclone")
    w = World(t, "mounted").fill()
    smb, at = w.dps["mounted"], t.dir / "mnt"
    at.mkdir()
    process = t.spawn("rclone", "mount", f":smb,host={smb.host},port={smb.port},user=guest,pass={run('rclone', 'obscure', 'x').out.strip()}:packway",
                      at, "--devname", f"//{smb.host}/packway", "--config", "/dev/null", "--vfs-cache-mode", "off",
                      "--cache-dir", t.new_dir("cache"), "--dir-cache-time", "1s",
                      *(["--allow-other"] if os.geteuid() == 0 else []))  # the worker is not root
    t.mounts.append(at)
    t.defer(process.kill)
    wait_for("the mount", 30, lambda: f" {at} " in pathlib.Path("/proc/self/mountinfo").read_text())
    list(at.iterdir())
    smb.signal(signal.SIGSTOP)
    t.defer(smb.signal, signal.SIGCONT)
    record = passes(w, "mounted", ("timeout",), 3, way="mount")
    equal([(a["server"], a["class"]) for a in record["attempts"] if a["way"] == "new"],
          [("mounted", "timeout"), ("good", "ok")], "then")
    need(f" {at} " in pathlib.Path("/proc/self/mountinfo").read_text(), "the mount was undone")


main()
