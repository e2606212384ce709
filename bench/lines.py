"""P6, P8 and P15: small files, new ways and lost packets, on this machine and over a slow line (wan.c)."""
import itertools
import os
import random
import shutil
import subprocess
import time

import corpus
import flow
from measure import in_rounds, put_aside, timed

CORPUS_FILES, LAN_FILES, WAN_FILES = 20000, 5000, 2000
WAN_MS, WAN_MBIT = 25, 100  # each way: a round trip of 50 ms
LOSS_PERCENT = 0.5


class Slow:
    """A network namespace behind a slow line: commands run in it, servers outside at `host`."""
    made = itertools.count()

    def __init__(self, t, delay_ms=WAN_MS, mbit=WAN_MBIT, loss=0):
        self.name = f"pw{os.getpid()}{chr(ord('a') + next(Slow.made) % 26)}"
        near, far = f"{self.name}a", f"{self.name}b"
        net = f"10.77.{random.randrange(256)}"
        self.host = f"{net}.1"
        wan = subprocess.Popen([str(flow.BUILD / "bench" / "wan"), near, far, str(delay_ms), str(mbit), str(loss)],
                               stdout=subprocess.PIPE, text=True)
        t.defer(wan.wait)
        t.defer(wan.kill)
        if wan.stdout.readline() != "ready\n":
            raise RuntimeError("no slow line: it needs root and /dev/net/tun")
        self._ip("netns", "add", self.name)
        t.defer(self._ip, "netns", "del", self.name)
        self._ip("link", "set", far, "netns", self.name)
        self._ip("addr", "add", f"{net}.1/24", "dev", near)
        self._ip("link", "set", near, "up")
        for words in (("addr", "add", f"{net}.2/24", "dev", far), ("link", "set", far, "up"), ("link", "set", "lo", "up")):
            self._ip("-n", self.name, *words)
        # Debian's own, whatever this machine has set: it decides what a lost packet costs.
        self._ip("route", "replace", f"{net}.0/24", "dev", near, "src", self.host, "congctl", "cubic")
        self._ip("-n", self.name, "route", "replace", f"{net}.0/24", "dev", far, "src", f"{net}.2", "congctl", "cubic")

    def _ip(self, *words):
        subprocess.run(["ip", *words], check=True)

    @property
    def inside(self):
        return ["ip", "netns", "exec", self.name]


class Direct:
    """The same without a line between."""
    host, inside = None, []


class SambaAt(flow.Samba):
    """An smbd at a given address."""

    def __init__(self, t, host, **more):
        self.at = host
        super().__init__(t, **more)

    def _free_address(self):
        return self.at or super()._free_address()


def small_tree(bench, files):
    """Text files of 0.2 to 16 KB, from those of P1."""
    whole = corpus.make(bench.data / "small20k", corpus.small_files)
    if files == CORPUS_FILES:
        return whole

    def fill(at):
        for path in sorted(whole.rglob("*.txt"))[:files]:
            (at / path.parent.name).mkdir(exist_ok=True)
            shutil.copy(path, at / path.parent.name)
    return corpus.make(bench.data / f"small{files}", fill)


class World:
    """One package on an nginx and on an smbd, its tar on the nginx, and clients behind the line."""

    def __init__(self, t, tree, line, name):
        self.t, self.line = t, line
        self.site = t.site(name=f"site{name}")
        self.cap = self.site.folder_cap(f"cap{name}")
        self.web = t.new_dir("web")
        self.site("dp", "add", "web", f"file://{self.web}")
        self.smb = SambaAt(t, line.host)
        self.site("dp", "add", "smb", self.smb.url("dp"))
        self.package = self.site.package("small", tree)
        self.site("publish")
        port = flow.free_port()
        self.nginx = t.nginx(self.web, extra="sendfile on;", server=f"listen {line.host}:{port};" if line.host else "")
        self.url = f"http://{line.host}:{port}" if line.host else self.nginx.url
        subprocess.run(["tar", "-C", tree, "-cf", self.web / "small.tar", "."], check=True)
        self.client = t.client(f"client{name}").join(self.site, f"file://{self.cap}")
        self.client("sync")

    def packway(self, *words):
        return timed([*self.line.inside, flow.program("packway"), "--state", self.client.state, *words], env=self.client.env)[0]

    def fetch(self, dp):
        put_aside(self.client.state / "store")
        subprocess.run(["sync"], check=True)
        return self.packway("fetch", self.package, "--dp", dp)

    def tar(self):
        out = self.t.dir / "tar.out"
        put_aside(out)
        out.mkdir()
        subprocess.run(["sync"], check=True)
        return timed([*self.line.inside, "sh", "-c", f"curl -s {self.url}/small.tar | tar -C {out} -x"])[0]

    def agent(self):
        """Whose session stays open; the socket is reached from everywhere."""
        process = self.t.spawn(*self.line.inside, flow.program("packway"), "--state", self.client.state, "agent", env=self.client.env)
        flow.wait_for("the agent's socket", 10, lambda: (self.client.state / "agent.sock").exists())
        return process


def p6_on(bench, t, label, line, tree, at_most):
    """`at_most`: how the ratios are told, with a limit or without."""
    world = World(t, tree, line, "".join(filter(str.isalnum, label)))
    alone = in_rounds({
        "curl one tar | tar x": world.tar,
        "fetch over HTTP": lambda: world.fetch(world.url),
        "fetch over a new SMB session": lambda: world.fetch("smb"),
    }, bench.rounds)
    agent = world.agent()
    world.fetch("smb")
    held = in_rounds({
        "curl one tar | tar x": world.tar,
        "fetch over HTTP": lambda: world.fetch(world.url),
        "fetch over an open SMB session": lambda: world.fetch("smb"),
    }, bench.rounds)
    agent.terminate()
    agent.wait()
    base, open_base = alone["curl one tar | tar x"], held["curl one tar | tar x"].wall
    http = alone["fetch over HTTP"]
    say = bench.report
    say.row(f"{label}: curl one tar | tar x", f"{base.wall:.2f} s")
    say.row(f"{label}: HTTP, CPU / (curl one tar | tar x)", f"{http.cpu / base.cpu:.2f} x")
    say.row(f"{label}: HTTP, until it is flushed", f"{(http.wall + http.extra['behind']) / base.wall:.2f} x")
    at_most(f"{label}: HTTP / (curl one tar | tar x)", http.wall / base.wall)
    at_most(f"{label}: HTTP, asked of the agent", held["fetch over HTTP"].wall / open_base)
    at_most(f"{label}: open SMB session", held["fetch over an open SMB session"].wall / open_base)
    say.row(f"{label}: new SMB session", f"{alone['fetch over a new SMB session'].wall / base.wall:.2f} x")


def p6_small_files(bench, t):
    def limit(text, ratio):
        bench.report.at_most(text, ratio, 1.3)

    def tell(text, ratio):
        bench.report.row(text, f"{ratio:.2f} x")

    bench.report.say("verified; the peer does not")
    for files, how in ((CORPUS_FILES, limit), (LAN_FILES, limit), (WAN_FILES, tell)):
        p6_on(bench, t, f"LAN, {files} files", Direct(), small_tree(bench, files), how)
    if slow_line_is_possible(bench):
        bench.report.say(f"WAN: {2 * WAN_MS} ms round trip, {WAN_MBIT} Mbit/s")
        p6_on(bench, t, f"WAN, {WAN_FILES} files", Slow(t), small_tree(bench, WAN_FILES), limit)


def slow_line_is_possible(bench):
    if os.geteuid() == 0 and os.path.exists("/dev/net/tun"):
        return True
    bench.report.say("the slow line needs root and /dev/net/tun: not measured")
    return False


class Lossy:
    """10 MB that do not compress, as a package and as a file, behind a line that loses packets."""

    def __init__(self, t):
        self.t, self.line = t, Slow(t, loss=LOSS_PERCENT)
        source, self.web = t.new_dir("source"), t.new_dir("web")
        (source / "file.bin").write_bytes(random.Random(15).randbytes(10_000_000))
        shutil.copy(source / "file.bin", self.web)
        site = t.site()
        cap = site.folder_cap("cap1")
        site("dp", "add", "web", f"file://{self.web}")
        self.package = site.package("ten", source)
        site("publish")
        port = flow.free_port()
        t.nginx(self.web, extra="sendfile on;", server=f"listen {self.line.host}:{port};")
        self.url = f"http://{self.line.host}:{port}"
        self.client = t.client().join(site, f"file://{cap}")
        self.client("sync")

    def run(self, *words, env=None):
        return timed([*self.line.inside, *words], env=env)[0]

    def fetch(self):
        put_aside(self.client.state / "store")
        return self.run(flow.program("packway"), "--state", self.client.state, "fetch", self.package, "--dp", self.url,
                        env=self.client.env)

    def aria2c(self):
        out = self.t.dir / "aria2.out"
        out.unlink(missing_ok=True)
        return self.run("aria2c", "-q", "-x4", "-s4", "-k1M", "--file-allocation=none", "-d", self.t.dir, "-o", out.name,
                        f"{self.url}/file.bin")

    def curl(self):
        return self.run("curl", "-s", "-o", self.t.dir / "curl.out", f"{self.url}/file.bin")


def p15_lossy_line(bench, t):
    if not slow_line_is_possible(bench):
        return
    if shutil.which("aria2c") is None:
        bench.report.say("the peer is missing: apt-get install aria2")
        return
    bench.report.say(f"10 MB, {2 * WAN_MS} ms round trip, {WAN_MBIT} Mbit/s, {LOSS_PERCENT} % lost, cubic")
    world = Lossy(t)
    cost = in_rounds({"aria2c -x4": world.aria2c, "packway fetch": world.fetch}, bench.rounds)
    bench.report.row("curl, one round", f"{world.curl().wall:.2f} s")
    bench.report.row("aria2c -x4, packway fetch",
                     f"{cost['aria2c -x4'].wall:.2f}, {cost['packway fetch'].wall:.2f} s")
    bench.report.at_most("packway fetch / aria2c -x4", cost["packway fetch"].wall / cost["aria2c -x4"].wall, 1.2)


def until_read(line, run):
    """How many requests `run` makes up to and with its first READ."""
    line.commands.clear()
    run()
    time.sleep(0.2)
    return line.commands.index("READ") + 1


def p8_new_way(bench, t):
    """A new session beside libsmbclient's own: smbget is that library and little else."""
    site, smb = t.site(), t.samba()
    cap, line = site.folder_cap("cap1"), t.line(smb)
    site("dp", "add", "dp1", line.url("dp"))
    package = site.package("tool", flow.make_tree(t.dir / "source", files=3))
    site("publish")
    (smb.folder / "thing").write_bytes(os.urandom(100000))
    client = t.client().join(site, f"file://{cap}")
    client("sync")

    def smbget():
        (t.dir / "got").unlink(missing_ok=True)
        subprocess.run(["smbget", "-a", "-q", "-o", t.dir / "got", line.url("thing")], check=True, capture_output=True)

    theirs = until_read(line, smbget)
    before = smb.mark()
    ours = until_read(line, lambda: client("fetch", package))
    bench.report.row("libsmbclient's own (smbget): requests to the first byte", str(theirs))
    bench.report.at_most("a new session: requests to the first byte, NEGOTIATE too", ours, theirs + 1, "")
    bench.report.at_most("sessions that one fetch opens", len(smb.setups(before)), 1, "")
    client("cache", "--clear")
    client.agent()
    before = smb.mark()
    commands = [client.t.spawn(flow.program("packway"), "--state", client.state, "fetch", package, env=client.env) for _ in range(4)]
    for command in commands:
        command.wait()
    bench.report.at_most("sessions of four commands at once, by the agent", len(smb.setups(before)), 1, "")
