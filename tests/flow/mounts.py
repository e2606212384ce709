#!/usr/bin/python3
"""Mounts and contexts: real file systems over real smbd, whose own logs are the witness."""
import grp
import pwd

from flow import *

MOUNTER = "mounter"  # the account of mounts: who else logs on is packway
SECRET = "a secret of the mount"
IS_ROOT = os.geteuid() == 0


def is_mounted(at):
    """By the table: a look at the mount itself may hang."""
    return f" {at} " in pathlib.Path("/proc/self/mountinfo").read_text()


def mount(t, what, at, source, user=None, for_all=IS_ROOT):
    """Mount a remote of rclone, or a folder, as that user. Its source names server and share, as a kernel's cifs does."""
    open_to = ["--allow-other"] if for_all and not user else []
    more = dict(user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[]) if user else {}
    cache = t.new_dir("rclone")
    at.mkdir(exist_ok=True)
    for folder in (at, cache) if user else ():
        shutil.chown(folder, user)
    process = t.spawn("rclone", "mount", what, at, "--devname", source, "--config", "/dev/null", "--cache-dir", cache,
                      "--vfs-cache-mode", "off", "--dir-cache-time", "1s", *open_to, **more)
    t.mounts.append(at)
    wait_for("the mount", 30, lambda: is_mounted(at))
    return process


def source_of(smb):
    """As a kernel writes it; it has no place for a port, and ordinary users' servers share an address: then a URL."""
    return f"//{smb.host}/packway" if smb.port == 445 else smb.url()


def mount_share(t, smb, at):
    secret = run("rclone", "obscure", SECRET).out.strip()
    mount(t, f":smb,host={smb.host},port={smb.port},user={MOUNTER},pass={secret}:packway", at, source_of(smb))
    return at


def unmount(t, at):
    t.mounts.remove(at)
    subprocess.run(["fusermount3", "-uz", str(at)], check=True, capture_output=True)
    wait_for("the unmount", 10, lambda: not is_mounted(at))


class Shares:
    """Systems named KIND1…, each a share of an smbd of its own. The site's machine reaches them as folders, which the
    client does not: after hide() only their shares are left."""

    def __init__(self, t, site, kind, count, *options):
        self.site, self.servers, self.names = site, {}, [f"{kind}{i + 1}" for i in range(count)]
        self.folders = {n: (t.dir / n, t.dir / f"{n}.share") for n in self.names}
        for name, (near, far) in self.folders.items():
            near.mkdir()
            smb = t.samba(shares={"packway": far}, users={MOUNTER: SECRET}, name=name)
            site(kind, "add", name, f"file://{near}", smb.url(), *options)
            self.servers[name] = smb

    def hide(self):
        for near, far in self.folders.values():
            near.rename(far)

    def show(self):
        for near, far in self.folders.values():
            far.rename(near)

    def marks(self):
        return {n: s.mark() for n, s in self.servers.items()}

    def strangers(self, marks):
        """Servers that somebody else than the mount opened a session to, since."""
        return [n for n, s in self.servers.items()
                if any(a["clientAccount"] != MOUNTER for a in s.authentications(marks[n]))]


def site_of_dps(t, count=4, *options):
    """(site, DPs, the package, its source, a CAP's address); a folder CAP, so that only DPs are a matter of SMB."""
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    dps = Shares(t, site, "dp", count)
    source = make_tree(t.dir / "source", files=10)
    package = site.package("tool", source)
    if options:
        site("program", "add", package, "install", "--command", "./install")
        site("advertise", package, "install", "--collection", "all", *options)
    site("publish")
    dps.hide()
    return site, dps, package, source, cap


def chosen(client, *question):
    decision = client.json("locate", *question, check=False)
    return decision["chosen"] or {}


def forget_content(client):
    shutil.rmtree(client.state / "store")


def by_mount(what, at, act):
    """`act` reads content and gives the decision: the mount at that place served it. On a busy machine it may come too
    late, and the next way is taken; then once more."""
    for _ in range(TRIES):
        decision = act()
        if decision["chosen"].get("at") == str(at):
            return
        first = decision["attempts"][0]
        equal((first["way"], first["class"]), ("mount", "timeout"), what)
    need(False, f"{what}: the mount came too late each time")


def mounts_of(rows):
    return [r for r in rows if r["way"] == "mount"]


# -- the open way first ----------------------------------------------------------------------------

@case("a DP whose share is mounted is read 20 of 20 through the mount, and no server sees a session (Q226113)")
def _(t):
    site, dps, package, source, cap = site_of_dps(t)
    client = t.client().join(site, cap)
    at = mount_share(t, dps.servers["dp3"], t.dir / "mnt")
    (row,) = [r for r in mounts_of(client.json("connections")) if r["evidence"] == "same-path"]
    equal((row["server"], row["share"], row["at"], row["fstype"], row["context"]),
          ("dp3", "packway", str(at), "fuse.rclone", "system" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name), "connections")
    for seed in range(20):
        def once():
            forget_content(client)
            marks = dps.marks()
            got = client.json("fetch", package, "--seed", str(seed))
            need(got["bytes_network"] > 0, "bytes through a mount were not counted", got)
            same_tree(source, got["path"])
            if got["way"] == "mount":
                equal((got["server"], dps.strangers(marks)), ("dp3", []), "the server, and those that saw a session")
            return client.json("explain", package)
        by_mount(f"seed {seed}", at, once)
    unmount(t, at)
    equal(mounts_of(client.json("connections")), [], "connections without the mount")
    (client.state / "worker/nal.json").unlink()  # the last success is nothing to hold on to here
    drawn = [chosen(client, package, "--seed", str(seed)) for seed in range(20)]
    equal({c.get("way") for c in drawn}, {"new"}, "ways without the mount")
    need(len({c["server"] for c in drawn}) > 1, "no draw without the mount", drawn)
    forget_content(client)
    marks = dps.marks()
    got = client.json("fetch", package)
    equal(dps.strangers(marks), [got["server"]], "the server that saw a session without the mount")


@case("a mount that root alone may enter is passed over, and doctor says what to do")
def _(t):
    skip_unless(IS_ROOT, "root")
    site, dps, package, source, cap = site_of_dps(t)
    client = t.client().join(site, cap)
    at = t.dir / "mnt"
    mount(t, dps.folders["dp3"][1], at, source_of(dps.servers["dp3"]), for_all=False)
    got = client.json("fetch", package)
    same_tree(source, got["path"])
    tried = client.json("explain", package)["attempts"]
    equal([a["class"] for a in tried if a["way"] == "mount"], ["denied"], "the attempt through it")
    (row,) = [r for r in client.json("doctor", check=False) if r["check"] == "mount"]
    need(row["subject"] == str(at) and "worker-user" in row["text"], "what doctor says", row)
    conf = client.state / "packway.conf"
    conf.write_text(conf.read_text().replace(WORKER_USER, "worker-user = root\n"))
    need("mount" not in [r["check"] for r in client.json("doctor", check=False)], "a worker that is root may")
    forget_content(client)
    equal(client.json("fetch", package)["way"], "mount", "root's worker goes in")


@case("policy is read and records are dropped through the mount of a CAP, and no other CAP sees a connection")
def _(t):
    site = t.site()
    caps = Shares(t, site, "cap", 3)
    site.folder_dp("dp1")
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    package = site.package("tool", make_tree(t.dir / "source", files=4))
    site("program", "add", package, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
    adv = site("advertise", package, "install", "--collection", "all", "--mandatory", "now").out.strip()
    site("program", "add", package, "again", "--command", "/bin/true", "--rerun", "always")
    site("advertise", package, "again", "--collection", "all", "--available", "now")
    site("publish")
    caps.hide()
    at = t.dir / "mnt"
    if IS_ROOT:
        mount_share(t, caps.servers["cap2"], at)
    else:  # smbd in its wrapper does not take us for the owner of the inbox: the folder, under the share's name
        mount(t, caps.folders["cap2"][1], at, source_of(caps.servers["cap2"]))
    client("sync")
    equal((t.dir / "ran").read_text(), "run\n", "the program of the policy that came through the mount")
    decision = client.json("locate", "--cap")
    equal((decision["chosen"]["server"], decision["chosen"]["way"]), ("cap2", "mount"), "the CAP")
    for _ in range(TRIES):  # on a busy machine the mount may come too late, and the next CAP is taken
        marks = caps.marks()
        client("run", package, "again")  # makes records
        client("sync")
        sessions = [n for n in ("cap1", "cap3") if caps.servers[n].authentications(marks[n])] + caps.strangers(marks)
        if not sessions:
            break
    equal(sessions, [], "servers that saw a session")
    unmount(t, at)
    caps.show()
    site("intake")
    equal(site.json("status", adv)[0]["succeeded"], 1, "what the record said that was dropped through the mount")


@case("a marker decides, whatever a mount's source claims")
def _(t):
    site, dps, package, source, cap = site_of_dps(t, 2)
    client = t.client().join(site, cap)
    at = t.dir / "mnt"
    mount(t, dps.folders["dp2"][1], at, source_of(dps.servers["dp1"]))
    equal(chosen(client, package).get("at"), str(at), "the claim makes a candidate")
    client("fetch", package, check=False)
    decision = client.json("explain")
    equal([a["class"] for a in decision["attempts"] if a["way"] == "mount"], ["not-found"], "the attempt through it")


@case("a mount that appears ends the wait for a server of another group, long before the next poll")
def _(t):
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("group", "add", "hub")
    site("group", "add", "branch", "--neighbour", "hub:120", "--open-ways", "cross-tier")
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    dps = Shares(t, site, "dp", 1, "--group", "hub")
    package = site.package("tool", make_tree(t.dir / "source", files=4))
    site("program", "add", package, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
    site("advertise", package, "install", "--collection", "all", "--mandatory", "now")
    site("publish")
    dps.hide()
    client = t.client(config="poll = 1h\n").enroll(site, cap)
    client.agent()
    client("sync")
    need("wait" in json.dumps(client.json("list")), "it does not wait")
    need(not (t.dir / "ran").exists(), "the branch crossed to its neighbour")
    at = mount_share(t, dps.servers["dp1"], t.dir / "mnt")
    wait_for("the program", 15, lambda: (t.dir / "ran").exists())
    equal(client.json("explain", package)["chosen"]["at"], str(at), "what it was read through")


# -- contexts --------------------------------------------------------------------------------------

class Users:
    """A site whose package is offered to the group `games`, and the agent of its client, run by root."""

    def __init__(self, t):
        self.t = t
        self.site, self.dps, self.package, self.source, cap = site_of_dps(
            t, 2, "--available", "now", "--offer-to", grp.getgrgid(pwd.getpwnam("games").pw_gid).gr_name)
        t.dir.chmod(0o755)
        for _, far in self.dps.folders.values():
            subprocess.run(["chmod", "-R", "go+rX", far], check=True)
        self.client = t.client()
        self.client.join(self.site, cap)
        self.site("intake")
        self.client("sync")
        self.client.state.chmod(0o711)
        self.agent = self.client.agent()

    def ask(self, user, *args, **more):
        who = pwd.getpwnam(user)
        return run("setpriv", "--reuid", who.pw_uid, "--regid", who.pw_gid, "--clear-groups", program("packway"), "--state",
                   self.client.state, *args, "--json", env=self.client.env, **more)


def reads_as_its_user(u, name, at):
    """The mount counts for games alone, who gets the content through it."""
    rows = mounts_of(u.ask("games", "connections").json)
    equal([(r["server"], r["at"], r["context"]) for r in rows], [(name, str(at), "games")], "the user's connections")
    equal(mounts_of(u.client.json("connections")), [], "the system's connections")
    equal(mounts_of(u.ask("news", "connections").json), [], "another user's connections")
    need(chosen(u.client, u.package).get("way") != "mount", "the system is attracted by a user's mount")
    decision = u.ask("games", "locate", u.package).json
    equal((decision["chosen"]["server"], decision["chosen"]["way"], decision["context"]), (name, "mount", "games"),
          "the user's choice")
    with contextlib.suppress(OSError):
        os.listdir(at)
        need(False, "root itself can enter the mount: the test proves nothing")
    own = u.t.dir / "own"
    own.mkdir()
    shutil.chown(own, "games")

    def once():
        shutil.rmtree(own / "out", ignore_errors=True)
        u.client("cache", "--clear")
        marks = u.dps.marks()
        u.ask("games", "fetch", u.package, "-o", own / "out")
        same_tree(u.source, own / "out")
        decision = u.client.json("explain", u.package)
        if decision["chosen"]["way"] == "mount":
            equal(u.dps.strangers(marks), [], "servers that saw a session")
        return decision
    by_mount("the user's fetch", at, once)


@case("a user's FUSE mount that claims a DP's share never attracts the system's agent, and serves its user")
def _(t):
    skip_unless(IS_ROOT, "root")
    u = Users(t)
    at = t.dir / "mnt"
    mount(t, u.dps.folders["dp2"][1], at, source_of(u.dps.servers["dp2"]), user="games")
    reads_as_its_user(u, "dp2", at)


@case("what a user mounts, or has run from a mount, is read over that user's own mount (Q263279)")
def _(t):
    skip_unless(IS_ROOT, "root")
    u = Users(t)
    own = t.dir / "own"
    own.mkdir()
    shutil.chown(own, "games")
    u.site("program", "add", u.package, "look", "--command", f"sh -c 'cp -r . {t.dir}/ran'", "--mount", "any",
           "--rerun", "always")
    u.site("advertise", u.package, "look", "--collection", "all", "--available", "now", "--offer-to",
           grp.getgrgid(pwd.getpwnam("games").pw_gid).gr_name)
    u.site("publish")
    u.client("sync")
    at = t.dir / "mnt"
    mount(t, u.dps.folders["dp2"][1], at, source_of(u.dps.servers["dp2"]), user="games")
    place, games = own / "place", pwd.getpwnam("games")

    def reads(act, result):
        def once():
            shutil.rmtree(result, ignore_errors=True)
            u.client("cache", "--clear")
            marks = u.dps.marks()
            act()
            same_tree(u.source, result)
            decision = u.client.json("explain", u.package)
            equal(u.dps.strangers(marks), [] if decision["chosen"]["way"] == "mount" else [decision["chosen"]["server"]],
                  "servers that saw a session")
            return decision
        return once

    def look_into_mount():
        u.ask("games", "mount", u.package, place)
        run("setpriv", "--reuid", games.pw_uid, "--regid", games.pw_gid, "--clear-groups", "cp", "-r", place, own / "copy")
        u.ask("games", "unmount", place)
    by_mount("what the user mounts", at, reads(look_into_mount, own / "copy"))
    by_mount("what the user has run", at, reads(lambda: u.ask("games", "run", u.package, "look"), t.dir / "ran"))
    equal(reads(lambda: u.client("run", u.package, "look"), t.dir / "ran")()["chosen"]["way"], "new", "what the system runs")


@case("what a user's mount does is no fault of the server whose name it bears")
def _(t):
    skip_unless(IS_ROOT, "root")
    u = Users(t)
    false = shutil.copytree(u.dps.folders["dp2"][1], t.dir / "false")
    for path in false.rglob("*"):
        if path.is_file() and path.name != "packway-dp.json":
            path.write_bytes(bytes(len(path.read_bytes())))
    subprocess.run(["chmod", "-R", "go+rX", false], check=True)
    mount(t, false, t.dir / "mnt", source_of(u.dps.servers["dp2"]), user="games")
    u.ask("games", "fetch", u.package, check=False)
    attempts = u.client.json("explain")["attempts"]
    need(any(a["way"] == "mount" and a["class"] == "corrupt" for a in attempts), "the mount was not tried", attempts)
    remembered = json.loads((u.client.state / "worker/nal.json").read_text())["servers"].get("dp2", {})
    equal(remembered.get("quarantined", {}), {}, "what is quarantined of dp2")
    need(remembered.get("class") in (None, "ok"), "the server is remembered for it", remembered)
    need(11007 not in [m.get("id") for m in u.client.json("messages")], "the site was told that the server is at fault")


@case("a desktop's share (GVFS) counts for its user, and for nobody else")
def _(t):
    skip_unless(IS_ROOT, "root")
    u = Users(t)
    runtime, home = t.dir / "runtime", t.dir / "home"
    for folder in (runtime, home):
        folder.mkdir(mode=0o700)
        shutil.chown(folder, "games")
    smb = u.dps.servers["dp1"]
    who = pwd.getpwnam("games")
    # The daemon that this starts mounts its folder by itself.
    script = 'n=0; until gio mount -a "$1" || [ $n = 50 ]; do n=$((n+1)); sleep 0.2; done; sleep 600'
    t.spawn("dbus-run-session", "--", "sh", "-c", script, "gvfs", smb.url(), user="games", group=who.pw_gid, extra_groups=[],
            env={"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": ""})
    t.mounts.append(runtime / "gvfs")
    entry = runtime / "gvfs" / f"smb-share:server={smb.host},share=packway"
    wait_for("the desktop's share", 30, lambda: mounts_of(u.ask("games", "connections").json))
    reads_as_its_user(u, "dp1", entry)


# -- a mount that hangs ----------------------------------------------------------------------------

def hanging_site(t, size=20000):
    """(makes a client by name, the mount's process, package, source): dp1's share is mounted, dp2 is a folder."""
    site = t.site()
    host = f"127.{t.rng.randrange(1, 64)}.{t.rng.randrange(256)}.7"  # nobody listens there
    cap = f"file://{site.folder_cap('cap1')}"
    near, far = t.dir / "dp1", t.dir / "dp1.share"
    near.mkdir()
    site("dp", "add", "dp1", f"file://{near}", f"smb://{host}/packway")
    site.folder_dp("dp2")
    source = make_tree(t.dir / "source", files=10, size=size)
    package = site.package("tool", source)
    site("publish")
    near.rename(far)
    process = mount(t, far, t.dir / "mnt", f"//{host}/packway")
    t.defer(lambda: process.send_signal(signal.SIGCONT))
    return lambda name: t.client(name).join(site, cap), process, package, source


def processes_that_wait(client):
    """Workers of this client, the children of their time boxes among them."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"packway-worker" in (entry / "cmdline").read_bytes() and \
                    os.fsencode(client.state) in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found


@case("a mount that hangs costs a second once, is marked, and the next server is read")
def _(t):
    new_client, process, package, source = hanging_site(t)
    names = iter(range(TRIES))

    def once():
        process.send_signal(signal.SIGCONT)
        client = new_client(f"client{next(names)}")
        client.agent()
        equal(chosen(client, package)["way"], "mount", "before it hangs")
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        got = client.json("fetch", package)
        took = time.monotonic() - began
        equal(got["server"], "dp2", "the server")
        same_tree(source, got["path"])
        return took, client
    client = in_time("the fetch", 5, once)
    attempts = client.json("explain")["attempts"]
    equal([(a["server"], a["class"]) for a in attempts if a["way"] == "mount"], [("dp1", "timeout")], "attempts")
    equal([r.get("hung") for r in mounts_of(client.json("connections"))], [True], "hung")
    forget_content(client)
    equal(client.json("fetch", package)["server"], "dp2", "the second fetch")
    equal([a for a in client.json("explain")["attempts"] if a["way"] == "mount"], [], "it is not tried again at once")
    wait_for("the children to end", 5, lambda: len(processes_that_wait(client)) <= 1)
    need(is_mounted(t.dir / "mnt"), "the mount was undone")


@case("a folder that answers late is waited for where there is no other")
def _(t):
    site = t.site()
    cap = site.folder_cap("cap1")
    site("publish")
    far = t.dir / "far"
    cap.rename(far)
    process = mount(t, far, cap, "folder")
    t.defer(lambda: process.send_signal(signal.SIGCONT))
    client = t.client().join(site, f"file://{cap}")
    process.send_signal(signal.SIGSTOP)
    sync = t.spawn(program("packway"), "--state", client.state, "sync", env=client.env)
    wait_for("its worker", 10, lambda: processes_that_wait(client))
    time.sleep(2)
    process.send_signal(signal.SIGCONT)
    equal(sync.wait(60 * SLOW), 0, "the sync")


@case("a mount that hangs in the middle of a transfer is left for the next server, and what came stays")
def _(t):
    new_client, process, package, source = hanging_site(t, size=2000000)
    client = new_client("client1")
    fetch = t.spawn(program("packway"), "--state", client.state, "fetch", package, "--rate", "1MB", env=client.env)
    wait_for("the first chunks", 15, lambda: any(p.read_bytes().count(1) >= 3
             for p in (client.state / "store" / "building").glob("*/journal")))
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    equal(fetch.wait(60 * SLOW), 0, "the fetch")
    attempts = client.json("explain")["attempts"]
    tried = [(a["server"], a["way"], a["class"]) for a in attempts]
    need(tried[0] in (("dp1", "mount", "timeout"), ("dp1", "mount", "slow")), "the first attempt", attempts)
    equal(tried[-1], ("dp2", "new", "ok"), "the last attempt")
    same_tree(source, client.json("fetch", package)["path"])


main()
