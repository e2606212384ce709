#!/usr/bin/python3
"""SMB shares as DPs, CAPs and inboxes: real smbd servers, counted by their own logs."""
import grp
import pwd

from flow import *


def ancestors(pid):
    found = []
    with contextlib.suppress(OSError):
        while pid > 1:
            pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            found.append(pid)
    return found


def is_of_another_test(pid):
    """Whether it descends from a flow test that runs beside this one."""
    for other in set(ancestors(pid)) - set(ancestors(os.getpid())) - {os.getpid()}:
        with contextlib.suppress(OSError):
            if b"/flow/" in pathlib.Path(f"/proc/{other}/cmdline").read_bytes():
                return True
    return False


def none_left():
    wait_for("the end of packway-smb", 5, lambda: not smb_processes())


def smb_processes():
    """Processes of this build's packway-smb, other tests' left out."""
    own = os.fsencode(program("packway-smb"))
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().split(b"\0")[0] == own:
                found += [int(entry.name)] * (not is_of_another_test(int(entry.name)))
    return found


def handover_maps(pid):
    """Mappings of memory that is shared with root's keeper."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/maps").read_text().count("packway-handover")
    return 0


def chunks_landed(client):
    return sum(p.read_bytes().count(1) for p in (client.state / "store" / "building").glob("*/journal"))


def command_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


class Branch:
    """A site whose one CAP and one DP are folders of one share."""

    def __init__(self, t, packages=1, secret=None, **more):
        self.t, self.site = t, t.site()
        self.smb = t.samba(**more)
        if secret:
            self.site("credential", "set", self.smb.host, "--user", "writer", "--secret-file", secret)
        self.site("cap", "add", "cap1", self.smb.url("cap"))
        self.site("dp", "add", "dp1", self.smb.url("dp"))
        self.packages = []
        for i in range(packages):
            make_tree(t.dir / f"source{i}", seed=i)
            made = self.site.package(f"tool{i}", t.dir / f"source{i}")
            self.site("program", "add", made, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
            self.site("advertise", made, "install", "--collection", "all", "--available", "now")
            self.packages.append(made)
        self.site("publish")

    def client(self, name="client1", **more):
        return self.t.client(name, **more).enroll(self.site, self.smb.url("cap"))


@case("a guest fetches a package from a share, in one session")
def _(t):
    site, smb = t.site(), t.samba()
    cap = site.folder_cap()
    site("dp", "add", "dp1", smb.url("content"))
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    before = smb.mark()
    got = client.json("fetch", made)
    same_tree(t.dir / "src", got["path"])
    equal(len(smb.setups(before)), 1, "session setups")
    equal(smb.trees(before, share="packway"), ["packway"], "tree connects")


@case("a site and its client do all their business over one share")
def _(t):
    b = Branch(t)
    client = b.client()
    got = client.json("fetch", b.packages[0])
    same_tree(t.dir / "source0", got["path"])
    client("run", b.packages[0], "install")
    equal((t.dir / "ran").read_text(), "run\n", "runs")
    client("sync")
    need(list((b.smb.folder / "cap" / "inbox").iterdir()), "no record in the inbox")
    b.site("intake")
    equal(list((b.smb.folder / "cap" / "inbox").iterdir()), [], "the inbox after intake")
    client("sync")
    need(any(b.smb.folder.rglob("receipts/*.json")), "no receipt")
    equal(client.json("status")["outbox_records"], 0, "records without receipt")
    b.site("dp", "validate", "dp1", b.packages[0])
    equal([p.name for p in b.smb.folder.rglob(".new-*")], [], "temporary objects left")
    none_left()


@case("three fetches by three commands cost one session with the agent, three without")
def _(t):
    b = Branch(t, 3)
    client = b.client()
    before = b.smb.mark()
    agent = client.agent()
    for package in b.packages:
        client("fetch", package)
    equal(len(b.smb.setups(before)), 1, "session setups with the agent")
    rows = [r for r in client.json("connections") if r["way"] == "session"]
    equal([(r["share"], r["scheme"], r["context"], r["credential"], r["owner"], r["leases"]) for r in rows],
          [("packway", "smb", "system", "guest", "agent", 0)], "connections")
    need(rows[0]["requests"] >= 3 * 2, "requests", rows)
    equal(len(b.smb.sessions()), 1, "sessions at the server")
    equal(client.json("explain")["chosen"]["way"], "session", "way of the last fetch")
    agent.terminate()
    agent.wait(20 * SLOW)
    wait_for("the end of the session", 5, lambda: not b.smb.sessions())
    none_left()
    client("cache", "--clear")
    before = b.smb.mark()
    for package in b.packages:
        client("fetch", package)
    equal(len(b.smb.setups(before)), 3, "session setups without")
    none_left()


@case("commands of all kinds that start at once share one session with the agent, and have one each without")
def _(t):
    b = Branch(t, 4)
    client = b.client()
    verbs = [["fetch", p] for p in b.packages] + [["sync"], ["locate", "--cap"], ["run", b.packages[0], "install"]]

    def at_once(verbs):
        before = b.smb.mark()
        started = [t.spawn(program("packway"), "--state", client.state, *verb, env=client.env) for verb in verbs]
        equal([p.wait(60 * SLOW) for p in started], [0] * len(verbs), "exit codes")
        return len(b.smb.setups(before))
    agent = client.agent()
    equal(at_once(verbs), 1, "session setups with the agent")
    equal((t.dir / "ran").read_text(), "run\n", "runs")
    agent.terminate()
    agent.wait(20 * SLOW)
    wait_for("the end of the session", 5, lambda: not b.smb.sessions())
    client("cache", "--clear")
    equal(at_once(verbs[:4]), 4, "session setups of four commands without")
    none_left()


@case("Q243385: how much a command tells changes nothing of what the server sees")
def _(t):
    b = Branch(t)
    client = b.client()
    seen = []
    for words in ([], ["--verbose"], ["--quiet"]):
        client("cache", "--clear")
        before = b.smb.mark()
        got = client.json("fetch", b.packages[0], *words)
        client("sync", *words)
        seen.append((len(b.smb.setups(before)), b.smb.trees(before), got["bytes_network"], got["chunks_fetched"]))
    equal(seen[1:], seen[:1] * 2, "session setups, trees, bytes and chunks")
    need(seen[0][0] == 2 and seen[0][2] > 0, "nothing was seen", seen)


@case("Q226368: helpers are Packway's own, whatever stands in PATH and in the working folder")
def _(t):
    b = Branch(t)
    client, traps, mark = b.client(), t.new_dir("traps"), t.dir / "mark"
    names = [p.name for p in pathlib.Path(program("packway")).parent.iterdir() if p.name.startswith("packway")]
    for name in {*names, "packway-smb", "smbclient", "mount", "umount", "fusermount3", "sh", "rclone", "klist"}:
        (traps / name).write_text(f"#!/bin/sh\necho {name} >> {mark}\n")
        (traps / name).chmod(0o755)
    t.dir.chmod(0o755)
    traps.chmod(0o755)
    trapped = dict(env={"PATH": str(traps)}, cwd=traps)
    same_tree(t.dir / "source0", client.json("fetch", b.packages[0], **trapped)["path"])
    client("run", b.packages[0], "install", **trapped)
    equal((t.dir / "ran").read_text(), "run\n", "runs")
    client("sync", **trapped)
    client("doctor", **trapped, check=False)
    if pathlib.Path("/dev/fuse").exists():
        client("mount", b.packages[0], t.dir / "at", **trapped)
        t.defer(lambda: client("unmount", t.dir / "at", check=False))
        same_tree(t.dir / "source0", t.dir / "at")
        client("unmount", t.dir / "at", **trapped)
    need(not mark.exists(), "others' programs were run", mark.exists() and mark.read_text())


@case("an account signs and seals as the server wants")
def _(t):
    for i, more in enumerate(("server signing = mandatory", "server smb encrypt = required")):
        home = t.new_dir("more")
        secret = home / "secret"
        secret.write_text("Grüße 7%s$\n")
        inner = Case(f"{t.name} {i}")
        t.defer(inner.close)
        b = Branch(inner, secret=secret, users={"writer": "Grüße 7%s$"}, guest=False,
                   glob=f"{more}\n  map to guest = never")
        client = b.t.client()
        client("credential", "set", b.smb.host, "--user", "writer", "--secret-file", secret)
        client.enroll(b.site, b.smb.url("cap"))
        agent = client.agent()
        same_tree(inner.dir / "source0", client.json("fetch", b.packages[0])["path"])
        (row,) = [r for r in client.json("connections") if r["way"] == "session"]
        equal(row["credential"], "writer", "credential")
        (session,) = b.smb.sessions()
        need(session["signing"]["cipher"] if i == 0 else session["encryption"]["cipher"], "neither signed nor sealed", session)
        equal(b.smb.refusals(), [], "refused logons")
        for name in ("smbd.log",):
            need("Grüße" not in (b.smb.home / "log" / name).read_text(errors="replace"), "the secret stands in a log")
        for pid in smb_processes():
            shown = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() + pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            need("Grüße".encode() not in shown, "the secret stands in arguments or environment")
        agent.terminate()
        agent.wait(20 * SLOW)


@case("clients that read while a site replaces see no mix and no absence")
def _(t):
    b = Branch(t)
    client = b.client()
    began, stop = time.monotonic(), threading.Event()
    seen, faults = set(), []

    def read():
        while not stop.is_set():
            done = client("sync", check=False)
            if done.code:
                faults.append(done.err)
            seen.add(done.out)
    thread = threading.Thread(target=read)
    thread.start()
    count = 0
    while count < 3 or time.monotonic() < began + 8:
        b.site("advertise", b.packages[0], "install", "--collection", "all", "--available", "now")
        b.site("publish")
        count += 1
    stop.set()
    thread.join()
    equal(faults, [], "syncs that failed")


@case("a DP at its connection limit is busy, and the other serves")
def _(t):
    site = t.site()
    cap = site.folder_cap()
    limited = t.samba(share="max connections = 1", name="limited")
    other = t.samba(name="other")
    site("dp", "add", "limited", limited.url())
    site("dp", "add", "other", other.url())
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    client("prefer", "limited")
    holder = subprocess.Popen(["smbclient", limited.url()[4:], "-N"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    t.defer(holder.wait)
    t.defer(holder.kill)
    wait_for("the holder's tree", 10, lambda: "packway" in limited.open_trees())
    got = client.json("fetch", made)
    same_tree(t.dir / "src", got["path"])
    record = client.json("explain", made)
    equal(record["chosen"]["server"], "other", "chosen")
    tried = {a["server"]: a["class"] for a in record["attempts"]}
    equal(tried.get("limited"), "busy", "the class of the full server")


@case("a server that falls silent in mid-file is left in time, and a dead one too")
def _(t):
    for number, (name, act) in enumerate((("silent", signal.SIGSTOP), ("dead", signal.SIGKILL))):
        inner = Case(f"{t.name} {name}")
        t.defer(inner.close)
        site = inner.site()
        cap = site.folder_cap()
        first, second = inner.samba(name="first"), inner.samba(name="second")
        line = inner.line(first)
        site("dp", "add", "first", line.url())
        site("dp", "add", "second", second.url())
        source = make_tree(inner.dir / "src", files=100, size=800000)
        made = site.package("tool", source)
        site("publish")
        client = inner.client().join(site, cap)
        client("sync")
        client("prefer", "first")
        line.rate = 3e6
        command = inner.spawn(program("packway"), "--state", client.state, "fetch", made, env=client.env)
        wait_for("the first chunks", 15, lambda: chunks_landed(client) >= 3, step=0.005)
        need(command.poll() is None, "the fetch was over before")
        first.signal(act)
        began = time.monotonic()
        equal(command.wait(120 * SLOW), 0, "exit code of the fetch")
        record = client.json("explain", made)
        tried = {a["server"]: a["class"] for a in record["attempts"]}
        need(tried.get("first") in (("timeout", "slow") if name == "silent" else ("unreachable",)), "class", record["attempts"])
        equal(record["chosen"]["server"], "second", "chosen")
        none_left()


@case("what is received goes where root's keeper reads it; a fetch that is stopped meanwhile harms no other, on the same session or anew")
def _(t):
    site = t.site()
    cap, smb = site.folder_cap(), t.samba()
    line = t.line(smb)
    site("dp", "add", "dp1", line.url())
    source = make_tree(t.dir / "src", files=24, size=1600000)
    made = site.package("tool", source)
    site("publish")
    client = t.client().join(site, cap)
    client.agent()
    client("sync")
    line.rate = 4e6
    for falls_silent in (True, False):
        landed = chunks_landed(client)
        command = t.spawn(program("packway"), "--state", client.state, "fetch", made, env=client.env)
        wait_for("more chunks", 30, lambda: chunks_landed(client) >= landed + 3 or command.poll() is not None, step=0.005)
        need(command.poll() is None, "the fetch was over before")
        # The slots that lots stand in, and not the memory that is decoded into.
        equal(max(handover_maps(pid) for pid in smb_processes()), 1 if os.geteuid() == 0 else 0, "mappings of the keeper's memory")
        if falls_silent:
            smb.signal(signal.SIGSTOP)
        command.send_signal(signal.SIGINT)
        command.wait(30 * SLOW)
        if falls_silent:
            smb.signal(signal.SIGCONT)
    line.rate = None
    same_tree(source, client.json("fetch", made)["path"])


@case("two shares of one server take turns on it, never two sessions")
def _(t):
    site = t.site()
    smb = t.samba(shares={"caps": t.new_dir("caps"), "content": t.new_dir("content")})
    site("cap", "add", "cap1", smb.url("cap", "caps"))
    site("dp", "add", "dp1", smb.url("dp", "content"))
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client().enroll(site, smb.url("cap", "caps"))
    client.agent()
    seen = []
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            seen.append(set(smb.status().get("sessions", {})))
    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(3):
        client("cache", "--clear")
        client("sync")
        same_tree(t.dir / "src", client.json("fetch", made)["path"])
    stop.set()
    thread.join()
    # An smbd goes a moment after its client, which may be at the next one by then: two that stay are two.
    need(any(seen), "a session", seen)
    need(all(len(now & then) < 2 for now, then in zip(seen, seen[1:])), "sessions at once", seen)
    equal(sorted(p.name for p in smb.shares["content"].iterdir()), ["dp"], "what stands in the second share")
    equal(sorted(p.name for p in smb.shares["caps"].iterdir()), ["cap"], "what stands in the first share")

    def is_at_the_content():
        client("cache", "--clear")
        client("fetch", made)
        (row,) = [r for r in client.json("connections") if r["way"] == "session"]
        return row["share"] == "content"
    # The agent's own cycle may take the session to the CAP's share at any moment.
    wait_for("the session at the second share", 15, is_at_the_content)


@case("a session ends with its worker and with its agent, however they die")
def _(t):
    b = Branch(t)
    client = b.client()
    agent = client.agent()
    for victim in ("worker", "agent"):
        client("cache", "--clear")
        client("fetch", b.packages[0])
        (session,) = smb_processes()
        worker = int(pathlib.Path(f"/proc/{session}/stat").read_text().rsplit(")", 1)[1].split()[1])
        need(b.smb.sessions(), "no session to end")
        os.kill(worker if victim == "worker" else agent.pid, signal.SIGKILL)
        wait_for(f"the session's end after its {victim}'s", 10, lambda: not smb_processes() and not b.smb.sessions())
        if victim == "worker":
            need(agent.poll() is None, "the agent has ended with its worker")
    same_tree(t.dir / "source0", client.json("fetch", b.packages[0])["path"])


@case("an open session whose server's process dies as it is asked is opened anew, and the command does not notice")
def _(t):
    b = Branch(t)
    client = b.client()
    client.agent()
    for words in (["sync"], ["fetch", b.packages[0]], ["sync"]):
        client("sync")
        (session,) = smb_processes()
        os.kill(session, signal.SIGSTOP)
        for pid in b.smb.pids():
            if pid != b.smb.process.pid:
                os.kill(pid, signal.SIGKILL)
        command = subprocess.Popen([program("packway"), "--state", client.state, *words], env={**os.environ, **client.env},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)  # asked, and the session does not know yet that its server is gone
        os.kill(session, signal.SIGCONT)
        said = command.communicate(timeout=60 * SLOW)[1]
        equal((command.returncode, said), (0, ""), words)
    record = client.json("explain", b.packages[0])
    equal([(a["server"], a["class"]) for a in record["attempts"]], [("dp1", "ok")], "attempts")


class Realm:
    """A Kerberos realm of its own: a KDC, the principal `reader` with a ticket, and a server's keytab."""

    def __init__(self, t, server):
        self.home, port = t.new_dir("kdc"), free_port()
        home = self.home
        (home / "krb5.conf").write_text(f"""[libdefaults]
  default_realm = SITE.TEST
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  SITE.TEST = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  {server} = SITE.TEST
""")
        # Without disable_pac smbd takes what this KDC says of the account for a domain controller's word.
        (home / "kdc.conf").write_text(f"""[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  SITE.TEST = {{
    database_name = {home}/principal
    key_stash_file = {home}/stash
    acl_file = {home}/acl
    disable_pac = true
  }}
""")
        self.env = {"KRB5_CONFIG": str(home / "krb5.conf"), "KRB5_KDC_PROFILE": str(home / "kdc.conf"),
                    "KRB5CCNAME": f"FILE:{home}/ccache"}
        run("kdb5_util", "create", "-s", "-P", "master", "-r", "SITE.TEST", env=self.env)
        for query in ("addprinc -pw ticket-only reader", "addprinc -pw ticket-only visitor",
                      "addprinc -pw ticket-only stranger",
                      f"addprinc -randkey cifs/{server}", f"ktadd -k {home}/keytab cifs/{server}"):
            run("kadmin.local", "-r", "SITE.TEST", "-q", query, env=self.env)
        t.spawn("krb5kdc", "-n", "-r", "SITE.TEST", env=self.env)
        wait_for("the KDC", 10, lambda: answers(port))
        self.ticket("reader")

    def ticket(self, principal, cache=None):
        run("kinit", *(["-c", cache] if cache else []), f"{principal}@SITE.TEST", stdin="ticket-only\n", env=self.env)


def kerberos_server(t):
    """A realm and a server that takes nothing but its tickets."""
    name = socket.gethostname()  # Samba's library has no tickets for "localhost"
    try:
        host = socket.gethostbyname(name)
    except OSError:
        skip_unless(False, f"this machine's name, {name}, to be resolved")
    realm = Realm(t, name)
    smb = t.samba(host=host, port=free_port(), users={"reader": "of no use here", "visitor": "nor this"}, guest=False,
                  glob=f"  realm = SITE.TEST\n  kerberos method = dedicated keytab\n"
                       f"  dedicated keytab file = {realm.home}/keytab\n  map to guest = never\n  full_audit:prefix = audit|%U|%I|%S\n")
    return realm, smb, f"{name}:{smb.port}"


@case("a Kerberos ticket logs on, and no password is asked for")
def _(t):
    realm, smb, name = kerberos_server(t)
    site = t.site()
    site.env.update(realm.env)
    cap = site.folder_cap()
    site("credential", "set", name, "--kerberos")
    site("dp", "add", "dp1", f"smb://{name}/packway/dp")
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client()
    client.env.update(realm.env)
    client.join(site, cap)
    client("sync")
    client("credential", "set", name, "--kerberos")
    client.agent()
    same_tree(t.dir / "src", client.json("fetch", made)["path"])
    client("cache", "--clear")
    same_tree(t.dir / "src", client.json("fetch", made)["path"])  # the library has kept a server's ticket meanwhile
    equal([s["username"] for s in smb.sessions()], ["reader"], "who is logged on")
    equal([r["credential"] for r in client.json("connections") if r["way"] == "session"], ["ticket"], "credential")
    equal(smb.refusals(), [], "refused logons")


def claim_ticket_place(t):
    """A system account and where its ticket usually lies, which nobody has; the file is ours until the case ends."""
    for user in ("games", "news", "lp", "uucp", "list", "irc"):
        cache = pathlib.Path(f"/tmp/krb5cc_{pwd.getpwnam(user).pw_uid}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(cache, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            t.defer(lambda: cache.unlink(missing_ok=True))
            return user, cache
    raise Failed("all of these accounts have tickets here")


class Offered:
    """A package on a DP that takes nothing but tickets, offered to one system account; the agent has the machine's ticket."""

    def __init__(self, t, realm, smb, name, user):
        self.t, self.smb, self.user = t, smb, pwd.getpwnam(user)
        t.dir.chmod(0o755)
        realm.home.chmod(0o755)
        site = t.site()
        site.env.update(realm.env)
        site("credential", "set", name, "--kerberos")
        site("cap", "add", "cap1", f"smb://{name}/packway/cap1")
        site("dp", "add", "dp1", f"smb://{name}/packway/dp1")
        self.source = make_tree(t.dir / "src", files=4, size=30000)
        self.package = site.package("tool", self.source)
        site("program", "add", self.package, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
        site("advertise", self.package, "install", "--collection", "all", "--available", "now",
             "--offer-to", grp.getgrgid(self.user.pw_gid).gr_name)
        site("program", "add", self.package, "mounted", "--command", f"sh -c 'cp -r . {t.dir}/copy'", "--mount", "any")
        site("advertise", self.package, "mounted", "--collection", "all", "--available", "now",
             "--offer-to", grp.getgrgid(self.user.pw_gid).gr_name)
        site("publish")
        self.client = t.client()
        self.client.env.update(realm.env)
        self.client.enroll(site, f"smb://{name}/packway/cap1")
        self.client.state.chmod(0o711)
        self.client.agent()

    def argv(self, *args):
        return ["setpriv", "--reuid", str(self.user.pw_uid), "--regid", str(self.user.pw_gid), "--clear-groups", program("packway"),
                "--state", str(self.client.state), *args]

    def ask(self, *args):
        """Ask the agent as the user, whose environment says nothing of tickets."""
        return run(*self.argv(*args), "--json", env={"PACKWAY_MACHINE_ID": self.client.env["PACKWAY_MACHINE_ID"]}).json

    def logged_on(self, since=0):
        """Who connected the share: of logons by tickets smbd writes no audit record."""
        words = [line.split("audit|", 1)[1].split("|") for line in self.smb._lines(since) if "audit|" in line]
        return {w[0] for w in words if w[3:5] == ["connect", "ok"] and w[5] == "packway"}

    def forget(self):
        store = self.client.state / "store"  # the agent may be about to make a folder there
        wait_for("an empty store", 10, lambda: shutil.rmtree(store, ignore_errors=True) or not store.exists())


def uids_of_sessions():
    """The accounts of packway-smb's processes, and whether the machine's ticket is known to them."""
    found = {}
    for pid in smb_processes():
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            uids = {line.split(":")[0]: line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Groups"))}
            found[int(uids["Uid"][0])] = b"KRB5CCNAME" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    return found


@case("Q263279: content that a user asks for comes with that user's own ticket, by a process of that user; all else with the machine's")
def _(t):
    skip_unless(os.geteuid() == 0 and others_may_run("packway-smb"), "root, and a build that users may run")
    realm, smb, name = kerberos_server(t)
    user, cache = claim_ticket_place(t)
    o = Offered(t, realm, smb, name, user)
    uid = o.user.pw_uid
    o.ask("fetch", o.package)
    equal(o.logged_on(), {"reader"}, "who has no ticket gets what is offered with the machine's")
    need("context" not in o.ask("locate", o.package)["chosen"], "a ticket that is none counts")
    realm.ticket("visitor", cache)
    shutil.chown(cache, user)
    o.forget()
    equal(o.ask("locate", o.package)["chosen"].get("context"), user, "whose way the user's choice is")
    need("context" not in o.client.json("locate", o.package)["chosen"], "the system takes a user's ticket")
    before = smb.mark()
    fetch = t.spawn(*o.argv("fetch", o.package, "--rate", "60K"), env={"PACKWAY_MACHINE_ID": o.client.env["PACKWAY_MACHINE_ID"]})
    equal(wait_for("the user's session", 10, lambda: {u: k for u, k in uids_of_sessions().items() if u == uid}), {uid: False},
          "its process has the user's account, and hears nothing of the machine's ticket")
    equal(fetch.wait(60 * SLOW), 0, "the user's fetch")
    need("visitor" in o.logged_on(before), "the user's ticket was not used", o.logged_on(before))
    wait_for("the end of the user's session", 10, lambda: uid not in uids_of_sessions())
    same_tree(o.source, o.client.json("fetch", o.package)["path"])
    o.forget()
    before = smb.mark()
    o.client("fetch", o.package)
    equal(o.logged_on(before) - {"reader"}, set(), "whom the system fetches as")
    o.forget()
    before = smb.mark()
    o.ask("run", o.package, "install")
    equal((t.dir / "ran").read_text(), "run\n", "runs")
    need("visitor" in o.logged_on(before), "what a user runs did not come with the user's ticket", o.logged_on(before))
    o.forget()
    before = smb.mark()
    o.ask("run", o.package, "mounted")
    same_tree(o.source, t.dir / "copy")
    equal(o.logged_on(before) - {"reader"}, {"visitor"}, "whom a program's mount reads as")


@case("a user's ticket that may not read is tried once, is no fault of the server, and the machine's serves at once")
def _(t):
    skip_unless(os.geteuid() == 0 and others_may_run("packway-smb"), "root, and a build that users may run")
    realm, smb, name = kerberos_server(t)
    user, cache = claim_ticket_place(t)
    o = Offered(t, realm, smb, name, user)
    realm.ticket("stranger", cache)
    shutil.chown(cache, user)
    o.ask("run", o.package, "mounted")
    same_tree(o.source, t.dir / "copy")
    classes = []
    for _ in range(3):
        shutil.rmtree(o.client.state / "store", ignore_errors=True)
        o.ask("fetch", o.package)
        classes.append([a["class"] for a in o.client.json("explain", o.package)["attempts"]])
    equal(classes, [["ok"]] * 3, "attempts of the last choices")
    denied = [m for m in o.client.json("messages") if m.get("id") == 11002 and "denied" in json.dumps(m)]
    equal(len(denied), 1, "choices in which the user's ticket was refused")
    equal(o.logged_on(), {"reader"}, "who connected the share")
    same_tree(o.source, o.client.json("fetch", o.package)["path"])
    remembered = json.loads((o.client.state / "worker/nal.json").read_text())["servers"].get("dp1", {})
    equal(remembered.get("back_off_until", 0), 0, "the server is remembered for it")


@case("a server on IPv6 is read by its address")
def _(t):
    smb = t.samba()
    smb.stop()
    smb.port = free_port()
    smb.configure(glob="  bind interfaces only = no")
    smb.conf.write_text("\n".join(l for l in smb.conf.read_text().splitlines()
                                  if "interfaces =" not in l and "interfaces only = yes" not in l))
    smb.start()
    site = t.site()
    cap = site.folder_cap()
    site("dp", "add", "dp1", f"smb://[::1]:{smb.port}/packway/dp")
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    same_tree(t.dir / "src", client.json("fetch", made)["path"])
    need(all("ipv6:" in a["localAddress"] for a in smb.setups()[-2:]), "not by IPv6", smb.setups())


CYCLES = 1000 if os.environ.get("PACKWAY_TEST_LARGE") else 200


@case("cycles with random kills of packway-smb and smbd leave nothing")
def _(t):
    smb = t.samba()
    (smb.folder / "thing").write_bytes(b"x" * 50000)
    home = t.new_dir("bin")  # a helper is looked for beside the program that asks
    for name in ("smbcycles", "packway-smb"):
        shutil.copy(program(name), home / name)
    shutil.copytree(BUILD / "src" / "smb" / "home", home / "smb-home")
    process = subprocess.Popen([home / "smbcycles", smb.url(), "thing", str(CYCLES), str(t.rng.randrange(1 << 30))],
                               stdout=subprocess.PIPE, text=True)
    t.defer(process.kill)
    while process.poll() is None:
        time.sleep(t.rng.random())
        sessions = [pid for pid in smb.pids() if pid != smb.process.pid]
        if sessions and t.rng.random() < 0.3:
            with contextlib.suppress(ProcessLookupError):
                os.kill(t.rng.choice(sessions), signal.SIGKILL)
    told = json.loads(process.communicate()[0])
    print(f"# {told}")
    equal((process.returncode, told["leases"], told["leaks"], told["descriptors"], told["children"]), (0, 0, 0, 0, 0), "left")
    need(told["done"] > CYCLES / 2, "cycles that served", told)
    # A sanitizer keeps freed memory aside for a while.
    room_kib = 16384 if b"__asan_init" in pathlib.Path(program("smbcycles")).read_bytes() else 512
    need(told["grown_kib"] < room_kib, "memory grows", told)
    own = os.fsencode(home / "packway-smb")
    equal([p for p in filter(str.isdigit, os.listdir("/proc")) if command_of(p).startswith(own)], [], "processes left")
    wait_for("the end of the sessions", 10, lambda: not smb.sessions())


@case("an open session costs two round trips to an object and four to a package's first byte")
def _(t):
    site, smb = t.site(), t.samba()
    cap = site.folder_cap()
    line = t.line(smb)
    site("dp", "add", "dp1", line.url())
    made = [site.package(f"tool{i}", make_tree(t.dir / f"src{i}", seed=i)) for i in range(3)]
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    client.agent()
    line.commands.clear()
    client("fetch", made[0])
    print(f"# new session: {' '.join(line.commands)}")
    client("fetch", made[1])
    before = smb.mark()
    for _ in range(TRIES):  # on a busy machine it rests between two objects, and closes the first
        client("cache", "--clear")
        time.sleep(1)  # closes what it had open
        line.commands.clear()
        client("fetch", made[2])
        print(f"# open session: {' '.join(line.commands)}")
        if line.commands[:4] == ["CREATE", "READ", "CREATE", "READ"]:
            break
    equal(line.commands[:4], ["CREATE", "READ", "CREATE", "READ"], "index, then pack")
    equal((smb.authentications(before), smb.trees(before)), ([], []), "logons and tree connects")


@case("a new session takes the round trips of libsmbclient alone and one NEGOTIATE, and four commands at once share it")
def _(t):
    site, smb = t.site(), t.samba()
    cap, line = site.folder_cap(), t.line(smb)
    site("dp", "add", "dp1", line.url("dp"))
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    (smb.folder / "thing").write_bytes(t.rng.randbytes(100000))
    client = t.client().join(site, cap)
    client("sync")
    line.commands.clear()
    run("smbget", "-a", "-q", "-o", t.dir / "got", line.url("thing"), env={"HOME": str(t.dir)})
    theirs = line.commands.index("READ") + 1
    line.commands.clear()
    before = smb.mark()
    client("fetch", made)
    ours = line.commands.index("READ") + 1
    print(f"# smbget {theirs}, a fetch {ours} requests to the first byte")
    need(ours <= theirs + 1, "requests to the first byte", ours, theirs)
    equal(len(smb.setups(before)), 1, "session setups of one fetch")
    client("cache", "--clear")
    client.agent()
    before = smb.mark()
    at_once = [t.spawn(program("packway"), "--state", client.state, "fetch", made, env=client.env) for _ in range(4)]
    equal([p.wait(60 * SLOW) for p in at_once], [0] * 4, "four fetches at once")
    equal(len(smb.setups(before)), 1, "session setups of four at once")


main()
