#!/usr/bin/python3
"""Canaries for every secret, and a search for their bytes: published files, logs, databases, process listings, core dumps.

Where a secret may stand is in the table `homes`, and nowhere else.
"""
import base64
import re
import resource

from flow import *
from victims import *

CRASHES = int(os.environ.get("PACKWAY_TEST_CRASHES", "8"))
PASSWORDS = {"reader": "canary-Reader 7f3a9c1e", "writer": "canary-Writer 51d0b6e8"}


def forms(secret):
    """As it stands, in hexadecimal, in base64 at each alignment, and in UTF-16 as SMB has it."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        found.add(text[4 if shift else 0:-4])
    with contextlib.suppress(UnicodeDecodeError):
        found.add(secret.decode().encode("utf-16-le"))
    return found


class Canaries:
    """Secrets by name, with the files in which they may stand."""

    def __init__(self):
        self.rows = []  # name, forms, homes

    def add(self, name, secret, *homes):
        secret = secret.encode() if isinstance(secret, str) else secret
        self.rows.append((name, forms(secret), {pathlib.Path(h) for h in homes}))

    def add_key_file(self, path):
        for line in path.read_text().splitlines():
            if line.startswith("secret "):
                self.add(path.name, bytes.fromhex(line.split()[1]), path)

    def inside(self, body):
        return [name for name, needles, _ in self.rows if any(n in body for n in needles)]

    def search(self, folder):
        """Files with a secret that has no business there; and how many were looked at."""
        bad, looked = [], 0
        for path in sorted(all_below(folder)):
            body = b""
            with contextlib.suppress(FileNotFoundError):  # smbd's processes take theirs away as they end
                if path.is_file() and not path.is_symlink():
                    body = path.read_bytes() + os.fsencode(path.name)
            looked += body != b""
            bad += [f"{name} in {path}" for name, needles, homes in self.rows
                    if path not in homes and any(n in body for n in needles)]
        return bad, looked


class Watcher(threading.Thread):
    """Command lines and environments of all processes, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.over = set(), threading.Event()

    def run(self):
        while not self.over.wait(0.003):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.seen.add(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())

    def stop(self):
        self.over.set()
        self.join()
        return self.seen


def with_cores(folder):
    """For a process whose core dump, if it makes one, is to lie in a folder of ours."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    return {"cwd": folder, "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))}


class World:
    """A site with keys, an account for its share, a token, serve, and a client with an account and an agent."""

    def __init__(self, t):
        self.t, self.cores = t, t.new_dir("cores")
        self.smb = t.samba(shares={"packway": t.new_dir("share")}, guest=False, users=PASSWORDS)
        self.site = t.site()
        self.password(self.site, "writer")
        self.site("cap", "add", "cap1", self.smb.url())
        self.site("dp", "add", "dp1", self.smb.url() + "/content")
        self.package = self.site.package("tool", make_tree(t.dir / "source", files=3))
        self.site("program", "add", self.package, "install", "--command", "./install")
        self.site("advertise", self.package, "install", "--collection", "all", "--mandatory", "now")
        self.site("publish")
        self.bundle = t.dir / "bundle.packway"
        self.tokens = [self.site.token(), self.site.json("token", "create", "--uses", "5", "--bundle", self.bundle)["token"]]
        self.client = t.client(config="poll = 1s\nlinger = 60\n")
        self.password(self.client, "reader")

    def password(self, program_of, user):
        program_of("credential", "set", self.smb.host, "--user", user, stdin=PASSWORDS[user] + "\n")

    def work(self):
        """All that has to do with secrets, aloud."""
        self.client("enroll", "--verbose", "--cap", self.smb.url(), "--root", self.site.root, "--token", self.tokens[0])
        second = self.t.client("client2")
        self.password(second, "reader")
        second("enroll", "--verbose", self.bundle)
        for verb in (("intake", "--verbose"), ("publish", "--verbose"), ("keys",), ("credential", "list"), ("token", "list"),
                     ("keys", "rotate", "timestamp"), ("publish",), ("keys", "request", self.t.dir / "request"), ("status",)):
            self.said(self.site(*verb))
        for verb in (("sync", "--verbose"), ("fetch", self.package, "--verbose"), ("credential", "list"), ("config",),
                     ("doctor", "--verbose"), ("connections",), ("status",), ("messages",), ("explain",), ("inventory",)):
            self.said(self.client(*verb, check=False))
            self.said(self.client(*verb, "--json", check=False))
        self.said(self.client("enroll", "--cap", self.smb.url(), "--root", self.site.root, "--token", self.tokens[0], check=False))
        self.site("intake")
        second("sync")
        return second

    def said(self, result):
        with (self.t.dir / "said.log").open("a") as f:
            f.write(result.out + result.err)

    def canaries(self, *clients):
        c = Canaries()
        for path in sorted((self.site.dir / "keys").glob("*.key")):
            c.add_key_file(path)
        for client in clients:
            c.add_key_file(client.state / "client.key")
        for folder in (self.site.dir, *(client.state for client in clients)):
            (key,) = folder.rglob("credential.key")
            c.add(f"{folder.name}/credential.key", key.read_bytes(), key)
        confs = [p for folder in (self.site.dir, *(client.state for client in clients))
                 for d in folder.rglob("credentials.d") for p in d.iterdir()]
        for user, secret in PASSWORDS.items():
            c.add(user, secret, *(p for p in confs if secret in p.read_text()))
        c.add("token", self.tokens[0])
        c.add("token of the bundle", self.tokens[1], self.bundle)
        return c


@shared
def world(t):
    watcher = Watcher()
    w = World(t)
    watcher.start()
    w.watcher, w.second = watcher, w.work()
    return w


@case("no secret stands anywhere but at home, on disk or in a process listing")
def _(t):
    w = world()
    watcher, second = w.watcher, w.second
    agent = w.client.agent("--verbose")
    _, serve = w.site.serve(None, "--verbose")
    w.client("sync", "--verbose")
    time.sleep(2)
    for process in (agent, serve):
        process.terminate()
        process.wait(20)
    canaries = w.canaries(w.client, second)
    need(len(canaries.rows) >= 16, "too few canaries", [row[0] for row in canaries.rows])
    for name, needles, homes in canaries.rows:  # the search can find
        for home in homes:
            need(any(n in home.read_bytes() for n in needles), f"{name} is not in {home}")
            need(home == w.bundle or home.stat().st_mode & 0o077 == 0, f"{home} can be read by others")
    bad, looked = canaries.search(w.t.dir)
    equal(bad, [], "secrets on disk")
    seen = watcher.stop()
    listed = {name for text in seen for name in canaries.inside(text)}
    # `enroll --token` is a person's choice, and a bundle is the way without it.
    equal(listed - {"token"}, set(), "secrets in command lines and environments")
    print(f"# {len(canaries.rows)} canaries; {looked} files, {len(seen)} command lines and environments")


def abort(pid):
    """Whether the process was still at its start: the loader's work, before it can have read a secret and gives up core dumps."""
    limits = b""
    with contextlib.suppress(OSError):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_bytes()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGABRT)
    return re.search(rb"^Max core file size +0 ", limits, re.M) is None


def children_of(pid):
    text = ""
    with contextlib.suppress(OSError):  # it may have ended
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [c for child in map(int, text.split()) for c in (*children_of(child), child)]


@case("a process that crashes leaves no secret in its core dump")
def _(t):
    skip_unless(b"|" not in pathlib.Path("/proc/sys/kernel/core_pattern").read_bytes(), "core dumps in files")
    w = world()
    canaries, real = w.canaries(w.client, w.second), []
    probe = t.spawn("sleep", "60", **with_cores(w.cores))
    need(abort(probe.pid), "core dumps are off for what is started here")
    probe.wait()
    need(list(w.cores.iterdir()), "no core dump is made here at all")
    dumped = {}

    def check(what, starting):
        cores = [p.read_bytes() for p in w.cores.iterdir()]
        dumped.setdefault(what, []).append(0 if starting else len(cores))
        real.extend(os.fsencode(w.t.dir) in core for core in cores)
        equal([s for core in cores for s in canaries.inside(core)], [], f"secrets in the core dump of {what}")
        for path in w.cores.iterdir():
            path.unlink()

    check_those_that_stay(t, w, check)
    check_those_at_work(t, w, check)
    print(f"# processes, and core dumps of each: { {what: f'{len(n)}, {sum(n)}' for what, n in dumped.items()} }")
    for what in ("packway-site", "packway-serve", "packway-worker", "packway-smb"):  # they compute with secrets
        equal(sum(dumped.get(what, [])), 0, f"core dumps of {what}")
    need("packway-smb" in dumped and all(real), "no SMB session was met, or a core is none", dumped, real)


def is_over(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] == "Z"
    return True


def check_those_that_stay(t, w, check):
    """The agent and `serve`, with all that they started."""
    (w.cores / "core").unlink(missing_ok=True)
    for name, argv in (("agent", [program("packway"), "--state", w.client.state, "agent"]),
                       ("serve", [program("packway-site"), "--site", w.site.dir, "serve", "--listen", f"127.0.0.1:{free_port()}"])):
        process = t.spawn(*argv, env=w.client.env, **with_cores(w.cores))
        if name == "agent":
            wait_for("the agent", 20, lambda: (w.client.state / "agent.sock").exists())
            w.client("sync")
            w.client("fetch", w.package)
        else:
            w.site("group", "add", "branch")
            time.sleep(2 * STRETCH)
        for pid in (*children_of(process.pid), process.pid):
            with contextlib.suppress(OSError):
                what = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                abort(pid)
                wait_for("its end", 20, lambda: is_over(pid))
                check(what, starting=False)


def check_those_at_work(t, w, check):
    """Commands, at random moments."""
    site, client = [program("packway-site"), "--site", w.site.dir], [program("packway"), "--state", w.client.state]
    lines = [[*site, "publish"], [*site, "intake"], [*site, "keys", "rotate", "site"], [*client, "sync"]]
    for number in range(CRASHES):
        w.site("group", "add", f"g{number}")
        line = lines[number % len(lines)]
        process = t.spawn(*line, env=w.client.env, **with_cores(w.cores))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(t.rng.uniform(0, 0.15 * STRETCH))
        pids = (*children_of(process.pid), process.pid) if process.poll() is None else ()
        starting = any([abort(pid) for pid in pids])
        for pid in pids:  # a core dump is whole when its process is over
            wait_for("its end", 20, lambda: is_over(pid))
        process.wait(20)
        check(os.path.basename(line[0]), starting)


main()
