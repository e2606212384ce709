"""What every flow test stands on: real programs, real servers, temporary folders, TAP.

    from flow import case, main, Site, Client, Nginx, ...

    @case("a record survives the loss of its CAP")          # the text is the case's name
    def _(t):
        site = t.site("LON"); ...

    main()

A case gets a `t` whose things (servers, folders, processes) end with it. A case fails by an
exception. PACKWAY_BUILD names the build folder.
"""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import pwd
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BUILD = pathlib.Path(os.environ.get("PACKWAY_BUILD", "build")).resolve()
SLOW = float(os.environ.get("PACKWAY_TEST_SLOW", "4"))  # sanitizers stretch every time limit
STRETCH = float(os.environ.get("PACKWAY_TEST_SLOW", "1"))  # for bounds that a test is about
SEED = int(os.environ.get("PACKWAY_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
_cases, _shared = [], []


def _unused_id():
    """A number that no account has: the workers of root's clients become it."""
    for number in range(64000, 65000):
        with contextlib.suppress(KeyError):
            pwd.getpwuid(number)
            continue
        return number


WORKER_ID = _unused_id() if os.geteuid() == 0 else os.geteuid()
WORKER_USER = f"worker-user = {WORKER_ID}\n" if os.geteuid() == 0 else ""  # a line of packway.conf


class Failed(AssertionError):
    pass


class Skipped(Exception):
    """This machine lacks what the case is about; it counts as neither passed nor failed."""


def skip_unless(condition, what):
    if not condition:
        raise Skipped(what)


def need(condition, text="an expectation did not hold", *shown):
    if not condition:
        raise Failed(text + "".join(f"\n  {s}" for s in shown))


def equal(got, want, text=""):
    need(got == want, f"{text}: got {got!r}, want {want!r}")


def program(name):
    for folder in ("src/cli", "src/agent", "src/site", "src/smb", "tests/support"):
        path = BUILD / folder / name
        if path.exists():
            return str(path)
    raise Failed(f"{name} is not built in {BUILD}")


class Result:
    """How a command ended: code, out, err, and out as JSON."""

    def __init__(self, argv, done):
        self.argv, self.code, self.out, self.err = argv, done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            raise Failed(f"{self.line}: no JSON on stdout", self.out[:2000], self.err[:2000])

    @property
    def line(self):
        return " ".join(map(str, self.argv))

    def want(self, code):
        need(self.code == code, f"{self.line}: exit {self.code}, want {code}",
             self.out[-3000:], self.err[-3000:])
        return self


def run(*argv, env=None, timeout=120, check=True, stdin=None, **more):
    full = dict(os.environ)
    full.pop("PACKWAY_STATE", None)
    full.pop("PACKWAY_SITE", None)
    full.update(env or {})
    argv = [str(a) for a in argv]
    done = subprocess.run(argv, env=full, capture_output=True, timeout=timeout * SLOW, text=True,
                          errors="replace", input=stdin,
                          **({} if stdin is not None else {"stdin": subprocess.DEVNULL}), **more)
    result = Result(argv, done)
    for word in ("AddressSanitizer", "runtime error:", "LeakSanitizer"):
        need(word not in result.err, f"{result.line}: a sanitizer spoke", result.err[-6000:])
    return result.want(0) if check else result


_reserved = []  # sockets, for as long as this program lives


def free_port():
    """A port that nobody else gets: the kernel hands out others, and a name says to tests beside this one that it is taken."""
    first = 0
    with contextlib.suppress(OSError):
        first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10000, first if first > 12000 else 32768)
        name = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as s:
            name.bind(f"\0packway-test-port-{port}")
            s.bind(("127.0.0.1", port))
            _reserved.append(name)
            return port
        name.close()


def wait_for(what, seconds, probe, step=0.05):
    end = time.monotonic() + seconds * SLOW
    while True:
        value = probe()
        if value:
            return value
        need(time.monotonic() < end, f"waited {seconds * SLOW:.0f} s in vain for {what}")
        time.sleep(step)


TRIES = 4  # of what is measured


def in_time(what, seconds, act):
    """`act` gives (seconds that it took, what came of it). A busy machine makes one try late, a fault each of them."""
    took = []
    for _ in range(TRIES):
        one, result = act()
        took.append(one)
        if one <= seconds * STRETCH:
            return result
    need(False, f"{what}: more than {seconds * STRETCH:g} s each time", [f"{s:.2f} s" for s in took])


def answers(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    return False


def is_listening(path):
    """By the kernel's table: an agent that was killed leaves its socket's file behind."""
    with contextlib.suppress(OSError):
        rows = pathlib.Path("/proc/net/unix").read_text().splitlines()
        return any(row.endswith(f" {path}") and row.split()[3] == "00010000" for row in rows)
    return path.exists()


class Site:
    """A site server in a folder of its own; `site("publish")` runs a verb."""

    def __init__(self, t, code="LON", name="site"):
        self.t, self.dir = t, t.dir / name
        self.env = {}
        run(program("packway-site"), "init", self.dir, "--code", code)
        self.root = self.dir / "root.json"

    def __call__(self, *args, **more):
        return run(program("packway-site"), "--site", self.dir, *args, env=self.env, **more)

    def json(self, *args, **more):
        return self(*args, "--json", **more).json

    def folder_cap(self, name="cap1", *options):
        folder = self.t.dir / name
        folder.mkdir(exist_ok=True)
        self("cap", "add", name, f"file://{folder}", *options)
        return folder

    def folder_dp(self, name, *options):
        folder = self.t.dir / name
        folder.mkdir(exist_ok=True)
        self("dp", "add", name, f"file://{folder}", *options)
        return folder

    def package(self, name, source, *dps, distribute=True):
        made = self.json("package", "create", name, "--source", source)
        if distribute:
            self("package", "distribute", made["id"],
                 *(["--dp", *dps] if dps else ["--all"]), "--no-patches")
        return made["id"]

    def token(self, uses=100):
        return self.json("token", "create", "--uses", str(uses))["token"]

    def serve(self, port=None, *options):
        port = port or free_port()
        process = self.t.spawn(program("packway-site"), "--site", self.dir, "serve", "--listen",
                               f"127.0.0.1:{port}", *options, env=self.env)
        wait_for("serve", 10, lambda: answers(port))
        return port, process


class Client:
    """A client with a state folder of its own; `client("sync")` runs a verb."""

    def __init__(self, t, name="client1", address="10.1.0.1", config=""):
        self.t, self.state = t, t.dir / name
        self.state.mkdir()
        self.state.chmod(0o700)
        self.env = {"PACKWAY_MACHINE_ID": hashlib.md5(name.encode()).hexdigest()}
        (self.state / "packway.conf").write_text(f"address = {address}\nname = {name}\n{WORKER_USER}{config}")

    def __call__(self, *args, **more):
        more["env"] = {**self.env, **more.pop("env", {})}
        return run(program("packway"), "--state", self.state, *args, **more)

    def json(self, *args, **more):
        return self(*args, "--json", **more).json

    def enroll(self, site, cap, token=None):
        self("enroll", "--cap", cap, "--root", site.root, "--token", token or site.token())
        site("intake")
        self("sync")
        return self

    def join(self, site, cap):
        """Enrol alone: pending, which is enough to fetch and locate."""
        self("enroll", "--cap", cap, "--root", site.root, "--token", site.token())
        return self

    @property
    def id(self):
        return json.loads((self.state / "identity.json").read_text())["client"]

    def agent(self, *options):
        process = self.t.spawn(program("packway"), "--state", self.state, "agent", *options,
                               env=self.env)
        wait_for("the agent's socket", 10, lambda: is_listening(self.state / "agent.sock"))
        return process


class Nginx:
    """A real nginx over a folder, with a log of connections and requests."""

    def __init__(self, t, folder, port=None, extra="", server=""):
        self.t, self.port = t, port or free_port()
        self.home = t.new_dir("nginx")
        self.log = self.home / "access.log"
        self.folder = pathlib.Path(folder)
        conf = f"""
daemon off; master_process off; pid {self.home}/pid; error_log {self.home}/error.log;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path {self.home}/t1; proxy_temp_path {self.home}/t2; fastcgi_temp_path {self.home}/t3;
  uwsgi_temp_path {self.home}/t4; scgi_temp_path {self.home}/t5; keepalive_timeout 300s;
  log_format c '$connection $connection_requests $request_method $uri $status $body_bytes_sent';
  access_log {self.log} c; {extra}
  server {{ listen 127.0.0.1:{self.port}; root {self.folder}; {server} }}
}}
"""
        (self.home / "conf").write_text(conf)
        self.start()

    def start(self):
        self.process = self.t.spawn("nginx", "-e", self.home / "error.log", "-p", self.home, "-c",
                                    self.home / "conf")
        wait_for("nginx", 10, lambda: answers(self.port))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def lines(self):
        return [l.split() for l in self.log.read_text().splitlines()] if self.log.exists() else []

    def connections(self):
        return {l[0] for l in self.lines()}


class Samba:
    """A real smbd with private folders, an address (or, for ordinary users, a port) of its own, and readers of its logs.

        smb = t.samba()                                  # one share, "packway", open to guests for reading and writing
        smb = t.samba(shares={"content": folder}, guest=False, users={"reader": "secret"})
        smb.url()                                        # smb://127.77.3.9/packway
        before = smb.mark(); ...; smb.setups(before)     # session setups that the server saw since

    `glob` and `share` are lines of smb.conf for [global] and for each share. Accounts of `users` need no
    Unix account: they act as the one who runs the test.
    """
    WELCOME = ("NT_STATUS_OK", "NT_STATUS_NO_SUCH_USER")

    def __init__(self, t, shares=None, guest=True, users=None, port=445, glob="", share="", name="dp",
                 host=None):
        self.t, self.users = t, users or {}
        self.home = t.new_dir("samba")
        self.log = self.home / "log" / "smbd.log"
        self.conf = self.home / "smb.conf"
        self.root = os.geteuid() == 0
        self.port = port if self.root else free_port()
        self.host = host or (self._free_address() if self.root else "127.0.0.1")
        self.name = name
        self.shares = {k: pathlib.Path(v) for k, v in (shares or {"packway": t.new_dir("share")}).items()}
        self.guest, self.glob, self.more = guest, glob, share
        for folder in ("private", "lock", "state", "cache", "pid", "ncalrpc", "log"):
            (self.home / folder).mkdir(mode=0o755)
        self.configure()
        for user, secret in self.users.items():
            self.account(user, secret)
        self.start()

    def _free_address(self):
        while True:  # tests run beside each other
            host = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    s.bind((host, self.port))
                    return host

    def configure(self, glob=None, share=None):
        """Write smb.conf, with other lines if given; a running smbd reads it with reload()."""
        self.glob = self.glob if glob is None else glob
        self.more = self.more if share is None else share
        me = "root" if self.root else os.environ.get("USER", "root")
        lines = [f"""[global]
  netbios name = {self.name.upper()[:15]}
  workgroup = SITE
  server role = standalone server
  interfaces = {self.host}/8
  bind interfaces only = yes
  smb ports = {self.port}
  disable netbios = yes
  private dir = {self.home}/private
  lock directory = {self.home}/lock
  state directory = {self.home}/state
  cache directory = {self.home}/cache
  pid directory = {self.home}/pid
  ncalrpc dir = {self.home}/ncalrpc
  log file = {self.log}
  log level = 1 auth_json_audit:3
  max log size = 0
  passdb backend = tdbsam:{self.home}/private/passdb.tdb
  map to guest = Bad User
  guest account = {"nobody" if self.root else me}
  load printers = no
  printcap name = /dev/null
  disable spoolss = yes
  server min protocol = SMB2_10
  usershare max shares = 0
  vfs objects = full_audit
  full_audit:syslog = false
  full_audit:prefix = audit|%u|%I|%S
  full_audit:success = connect disconnect
  full_audit:failure = connect
{self.glob}"""]
        for share_name, folder in self.shares.items():
            lines.append(f"""[{share_name}]
  path = {folder}
  read only = no
  force user = {me}
  guest ok = {"yes" if self.guest else "no"}
{self.more}""")
        self.conf.write_text("\n".join(lines))

    def account(self, user, secret):
        """Make an account, or change its password."""
        self.users[user] = secret
        self._unix_account(user)
        done = subprocess.run(["pdbedit", "-s", self.conf, "-a", "-u", user, "-t"], text=True,
                              input=f"{secret}\n{secret}\n", capture_output=True, env=self._env())
        need(done.returncode == 0, "pdbedit", done.stdout, done.stderr)

    def _unix_account(self, user):
        """Accounts are Unix accounts for smbd: faked by nss_wrapper, so that none is made here."""
        passwd = self.home / "passwd"
        if not passwd.exists():
            passwd.write_text(pathlib.Path("/etc/passwd").read_text())
            (self.home / "group").write_text(pathlib.Path("/etc/group").read_text())
        if f"\n{user}:" not in passwd.read_text():
            with passwd.open("a") as f:
                f.write(f"{user}:x:{60000 + len(self.users)}:65534:test:/nonexistent:/usr/sbin/nologin\n")

    def _env(self):
        env, preload = dict(os.environ), []
        if (self.home / "passwd").exists():
            preload.append("libnss_wrapper.so")
            env.update(NSS_WRAPPER_PASSWD=str(self.home / "passwd"),
                       NSS_WRAPPER_GROUP=str(self.home / "group"))
        if not self.root:
            preload.append("libuid_wrapper.so")
            env.update(UID_WRAPPER="1", UID_WRAPPER_ROOT="1")
        if preload:
            env["LD_PRELOAD"] = " ".join(preload)
        return env

    def start(self):
        self.process = self.t.spawn("smbd", "-F", "--no-process-group", "-s", self.conf,
                                    env=self._env())
        wait_for("smbd", 20, self.answers)
        self.t.defer(self.stop)

    def answers(self):
        with contextlib.suppress(OSError):
            socket.create_connection((self.host, self.port), 0.2).close()
            return True
        return False

    def pids(self):
        """Every process of this server: smbd, its children, samba-dcerpcd and its rpcd_* workers."""
        found, conf = [], os.fsencode(self.conf)
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and conf in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def cpu(self):
        """Seconds of processor time of all of them, with those that ended."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self):
        """End it and all that it started (samba-dcerpcd would outlive it)."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        end = time.monotonic() + 5
        while self.pids():
            if time.monotonic() > end:
                self.signal(signal.SIGKILL)
            time.sleep(0.02)
            self.process.poll()

    def reload(self):
        subprocess.run(["smbcontrol", "-s", self.conf, "all", "reload-config"], env=self._env(),
                       capture_output=True, check=True)

    def url(self, path="", share=None):
        port = "" if self.port == 445 else f":{self.port}"
        share = share or next(iter(self.shares))
        return f"smb://{self.host}{port}/{share}" + (f"/{path}" if path else "")

    @property
    def folder(self):
        """The folder behind the first share."""
        return next(iter(self.shares.values()))

    # What the server saw. A mark is a place in the log; without one everything counts.

    def mark(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def _lines(self, since):
        if not self.log.exists():
            return []
        with self.log.open("rb") as f:
            f.seek(since)
            return f.read().decode(errors="replace").splitlines()

    def authentications(self, since=0):
        """One per session setup, failed ones too: what auth_json_audit says of it."""
        found = []
        for line in self._lines(since):
            with contextlib.suppress(ValueError):
                if line.lstrip().startswith("{"):
                    entry = json.loads(line)
                    if entry.get("type") == "Authentication":
                        found.append(entry["Authentication"])
        return found

    def setups(self, since=0):
        """Session setups that succeeded; an unknown user's is a guest's (map to guest = Bad User)."""
        return [a for a in self.authentications(since) if a["status"] in self.WELCOME]

    def refusals(self, since=0):
        """Logons that failed."""
        return [a for a in self.authentications(since) if a["status"] not in self.WELCOME]

    def trees(self, since=0, what="connect", share=None):
        """Tree connects (or what="disconnect") in order, as the names of shares; failed ones end in "!"."""
        found = []
        for line in self._lines(since):
            part = line.strip().split("audit|", 1)
            word = part[1].split("|") if len(part) == 2 else []
            if len(word) >= 6 and word[3] == what:
                name = word[5] + ("" if word[4] == "ok" else "!")
                if share is None or name == share:
                    found.append(name)
        return found

    def status(self):
        """smbstatus --json: .sessions, .tcons, .open_files as they are now."""
        done = subprocess.run(["smbstatus", "-s", self.conf, "--json"], env=self._env(), text=True,
                              capture_output=True)
        return json.loads(done.stdout)

    def sessions(self):
        return list(self.status().get("sessions", {}).values())

    def open_trees(self):
        return sorted(tree["service"] for tree in self.status().get("tcons", {}).values())


class Line:
    """A slow line to a TCP server: bytes are handed on after a delay and at a rate, each way, and requests are noted.

        line = t.line(smb, delay=0.05, rate=2e6); line.host    # an address that leads there, at the same port
        line.commands                                          # what was asked of it, if it is SMB and not sealed
    """

    def __init__(self, t, server, delay=0.0, rate=None):
        self.server, self.delay, self.rate, self.commands = server, delay, rate, []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.host = server._free_address() if os.geteuid() == 0 else "127.0.0.1"
        self.port = server.port if os.geteuid() == 0 else free_port()
        self.listener.bind((self.host, self.port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        t.defer(self.listener.close)

    def url(self, path="", share=None):
        return self.server.url(path, share).replace(f"{self.server.host}:{self.server.port}", f"{self.host}:{self.port}") \
            .replace(f"{self.server.host}/", f"{self.host}/")

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection((self.server.host, self.server.port))
                for a, b, way in ((near, far, "up"), (far, near, "down")):
                    a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    bytes_due = queue.Queue()
                    threading.Thread(target=self._take, args=(a, bytes_due, way), daemon=True).start()
                    threading.Thread(target=self._hand_on, args=(b, bytes_due), daemon=True).start()

    def _take(self, source, bytes_due, way):
        free = 0.0
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if way == "up":
                    self._note(piece)
                now = time.monotonic()
                free = max(free, now) + (len(piece) / self.rate if self.rate else 0)
                bytes_due.put((free + self.delay, piece))
                if free - now > 0.2:  # no endless buffer
                    time.sleep(free - now - 0.2)
        bytes_due.put((0, b""))

    COMMANDS = ("NEGOTIATE SESSION_SETUP LOGOFF TREE_CONNECT TREE_DISCONNECT CREATE CLOSE FLUSH READ WRITE LOCK IOCTL CANCEL "
                "ECHO QUERY_DIRECTORY CHANGE_NOTIFY QUERY_INFO SET_INFO OPLOCK_BREAK").split()

    def _note(self, piece):
        """SMB2 requests by their headers (MS-SMB2 2.2.1): small ones come in one piece."""
        at = piece.find(b"\xfeSMB")
        while at >= 0 and at + 14 <= len(piece):
            number = int.from_bytes(piece[at + 12:at + 14], "little")
            if number < len(self.COMMANDS):
                self.commands.append(self.COMMANDS[number])
            at = piece.find(b"\xfeSMB", at + 4)

    def _hand_on(self, sink, bytes_due):
        with contextlib.suppress(OSError):
            while True:
                due, piece = bytes_due.get()
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                time.sleep(max(0.0, due - time.monotonic()))
                sink.sendall(piece)


class Case:
    """What a case holds: folders, servers, processes; close() ends them all."""

    def __init__(self, name):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="packway-flow."))
        self.rng = random.Random(f"{SEED} {name}")
        self.processes, self.mounts, self.count = [], [], 0
        self.at_end = contextlib.ExitStack()

    def new_dir(self, name):
        self.count += 1
        path = self.dir / f"{name}{self.count}"
        path.mkdir()
        return path

    def site(self, code="LON", name="site"):
        return Site(self, code, name)

    def client(self, name="client1", address="10.1.0.1", config=""):
        return Client(self, name, address, config)

    def defer(self, function, *args):
        """Call that when the case ends, the last one first, before processes are ended."""
        self.at_end.callback(function, *args)

    def nginx(self, folder, **more):
        return Nginx(self, folder, **more)

    def samba(self, **more):
        return Samba(self, **more)

    def line(self, server, **more):
        return Line(self, server, **more)

    def spawn(self, *argv, env=None, **more):
        full = dict(os.environ)
        full.update(env or {})
        log = open(self.dir / f"process{len(self.processes)}.log", "wb")
        process = subprocess.Popen([str(a) for a in argv], env=full, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True, **more)
        self.processes.append(process)
        return process

    def bind_mount(self, source, at):
        """A FUSE mount of a folder; False where this machine cannot."""
        at.mkdir(exist_ok=True)
        done = subprocess.run(["bindfs", str(source), str(at)], capture_output=True)
        if done.returncode == 0:
            self.mounts.append(at)
        return done.returncode == 0

    def close(self):
        self.at_end.close()
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        for at in self.mounts:
            subprocess.run(["fusermount3", "-uz", str(at)], capture_output=True)
        subprocess.run(["chmod", "-R", "u+rwX", str(self.dir)], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def tail(self):
        for log in sorted(self.dir.glob("process*.log")):
            text = log.read_text(errors="replace").splitlines()[-15:]
            for line in text:
                print(f"# {log.name}: {line}")


def shared(build):
    """What many cases read and none changes: made by the first that asks, with a `t` of its own."""
    t = Case(build.__name__)
    _shared.append(t)
    made = []

    def get():
        if not made:
            made.append(None)  # once only: the cases behind a failure say so in one line
            made[0] = build(t)
        need(made[0] is not None, f"{build.__name__}() failed before")
        return made[0]
    return get


def case(name):
    def add(function):
        _cases.append((name, function))
        return function
    return add


def main():
    wanted = [c for c in _cases if len(sys.argv) < 2 or sys.argv[1] in c[0]]
    print(f"1..{len(wanted)}\n# seed {SEED}")
    failed = 0
    for number, (name, function) in enumerate(wanted, 1):
        t = Case(name)
        began = time.monotonic()
        try:
            function(t)
            print(f"ok {number} - {name}  # {time.monotonic() - began:.1f} s")
        except Skipped as lack:
            print(f"ok {number} - {name}  # SKIP needs {lack}")
        except Exception as fault:
            failed += 1
            print(f"not ok {number} - {name}")
            text = str(fault) if isinstance(fault, Failed) else traceback.format_exc()
            print("".join(f"# {line}\n" for line in text.splitlines()), end="")
            if isinstance(fault, Failed):
                where = traceback.extract_tb(fault.__traceback__)
                print("".join(f"# at {f.name}:{f.lineno}: {f.line}\n" for f in where), end="")
            t.tail()
        finally:
            t.close()
        sys.stdout.flush()
    for t in _shared:
        t.close()
    sys.exit(1 if failed else 0)


# -- content -----------------------------------------------------------------------------------

def all_below(folder):
    """Files and folders beneath; of what somebody works on meanwhile, some may be gone by now."""
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield pathlib.Path(top, name)


def tree_digest(folder):
    """Names, kinds, modes, link targets and bytes of a whole tree as one text per entry."""
    out = {}
    folder = pathlib.Path(folder)
    for path in sorted(folder.rglob("*")):
        name = os.fsencode(path.relative_to(folder))
        info = path.lstat()
        if path.is_symlink():
            out[name] = ("link", os.readlink(path))
        elif path.is_dir():
            out[name] = ("dir", info.st_mode & 0o777)
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            out[name] = ("file", info.st_mode & 0o777, digest)
    return out


def same_tree(a, b):
    one, two = tree_digest(a), tree_digest(b)
    for name in sorted(set(one) | set(two)):
        need(one.get(name) == two.get(name), f"{name!r} differs: {one.get(name)} and {two.get(name)}")


def others_may_run(name):
    """False beneath a folder that we alone may enter, as a clone in /root is: no process of another user starts there."""
    return all(folder.stat().st_mode & 0o001 for folder in pathlib.Path(program(name)).resolve().parents)


def make_tree(folder, files=20, size=20000, seed=1):
    """A small tree of text and noise with a program `install` that writes a line into $HOME-free places."""
    rng = random.Random(seed)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(files):
        path = folder / f"d{i % 5}" / f"file {i}.bin"
        path.parent.mkdir(exist_ok=True)
        body = rng.randbytes(rng.randrange(size))
        path.write_bytes(body if i % 2 else body.hex().encode())
    script = folder / "install"
    script.write_text("#!/bin/sh\necho installed $PACKWAY_PACKAGE $PACKWAY_VERSION\n")
    script.chmod(0o755)
    return folder


def chi_square(counts):
    """How far the counts are from a uniform draw. For fixed seeds, names and packages it is always the same."""
    mean = sum(counts) / len(counts)
    return sum((c - mean) ** 2 / mean for c in counts)


CHI_SQUARE_0_001 = {4: 18.467, 6: 22.458}  # degrees of freedom → bound at 0.001
