#!/usr/bin/python3
"""What goes wrong on the machine itself: coded three-line errors, no damage, and a way back."""
import concurrent.futures
import resource
import socket

from flow import *
from smalldisk import SmallDisk

NOBODY = 65534
YEAR_S = 365 * 86400


@shared
def world(t):
    """A site over folders with one package; nothing in it changes."""
    class World:
        pass

    w = World()
    t.dir.chmod(0o755)
    w.source = make_tree(t.dir / "source", files=8, size=40000)
    w.site = t.site()
    w.cap = f"file://{w.site.folder_cap('cap1')}"
    w.site.folder_dp("dp1")
    w.package = w.site.package("tool", w.source)
    w.site("program", "add", w.package, "install", "--command", "./install")
    w.site("advertise", w.package, "install", "--collection", "all", "--available", "now")
    w.site("publish")
    return w


def three_lines(result, what):
    # What a command warns of on its way stands before them.
    lines = [line for line in result.err.rstrip("\n").split("\n") if ": warning: " not in line]
    need(len(lines) == 3 and lines[2].endswith("]") and "[PW-" in lines[2],
         f"{what}: not three lines with a code", result.line, result.err)
    return lines[2].rsplit("[", 1)[1][:-1]


def fails(program_of, codes, *args, names=None, **more):
    """Fails for people and for programs; returns the code's name."""
    if isinstance(codes, int):
        codes = (codes,)
    shown = program_of(*args, check=False, **more)
    need(shown.code in codes, f"{shown.line}: exit {shown.code}, want {codes}", shown.out, shown.err)
    name = three_lines(shown, "plain")
    need(names is None or name in names, f"{shown.line}: {name}, want {names}", shown.err)
    as_json = program_of(*args, "--json", check=False, **more)
    need(as_json.code in codes, f"--json: exit {as_json.code}", as_json.out)
    error = as_json.json.get("error")
    need(error and set(error) == {"code", "what", "why", "fix"} and all(error.values()),
         f"{as_json.line}: no error object", as_json.out)
    return name


def undamaged(client):
    for path in client.state.rglob("*.json"):
        json.loads(path.read_bytes())
    need(not list(client.state.rglob("*.damaged")), "a file was set aside")


def delivers(client, w):
    """It works as if nothing had been."""
    client("sync")
    client("cache", "--clear")
    fetched = client.json("fetch", w.package)
    same_tree(w.source, fetched["path"])
    undamaged(client)


# -- disk ------------------------------------------------------------------------------------------

def client_on(t, disk, name="small"):
    client = t.client(name)
    shutil.copy(client.state / "packway.conf", disk.at)
    client.state = disk.at
    return client


FULL = ("PW-DISK-FULL", "PW-IO", "PW-DB")


@case("a full disk stops a fetch with a code, harms nothing, and is forgotten when there is room")
def _(t):
    w = world()
    disk = SmallDisk(t, t.dir / "state", 4096)
    client = client_on(t, disk).join(w.site, w.cap)
    failures = 0
    for kib in (0, 4, 16, 64, 128, 200):
        more = disk.leave(kib)
        done = client("fetch", w.package, check=False, **more)
        if done.code != 0:
            failures += 1
            equal(done.code, 5, f"{kib} KiB left: {done.err}")
            need(three_lines(done, kib) in FULL, "code", done.err)
        disk.free()
        undamaged(client)
        delivers(client, w)
        client("cache", "--clear")
    need(failures >= 3, "the disk was never full")


@case("a limit on the sizes of files stops fetch and create with a code, and is forgotten when it goes")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    site = t.site("PAR")
    source = make_tree(t.dir / "source", files=2)
    (source / "large").write_bytes(random.Random(1).randbytes(1 << 20))

    def under(program_of, limit, *args):
        return program_of(*args, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    for limit in (0, 4096):
        for told in (under(client, limit, "fetch", w.package), under(site, limit, "package", "create", "big", "--source", source)):
            equal(told.code, 5, f"at most {limit} bytes: {told.err}")
            need(three_lines(told, limit) in FULL, "code", told.err)
    undamaged(client)
    delivers(client, w)
    site("package", "create", "big", "--source", source)


@case("a full disk stops sync and enroll with a code, and the identity is whole afterwards")
def _(t):
    w = world()
    disk = SmallDisk(t, t.dir / "state", 4096)
    client = client_on(t, disk)
    token = w.site.token()
    failures = 0
    for kib in (0, 4, 8, 16, 24, 40):
        more = disk.leave(kib)
        done = client("enroll", "--cap", w.cap, "--root", w.site.root, "--token", token,
                      check=False, **more)
        if done.code != 0:
            failures += 1
            equal(done.code, 5, f"enroll with {kib} KiB left: {done.err}")
            need(three_lines(done, kib) in FULL, "code", done.err)
        disk.free()
    need(failures >= 2, "the disk was never full")
    client("enroll", "--cap", w.cap, "--root", w.site.root, "--token", token)
    w.site("intake")
    before = client.id
    for kib in (0, 4, 12, 30):
        more = disk.leave(kib)
        done = client("sync", check=False, **more)
        need(done.code in (0, 5), f"sync with {kib} KiB left: exit {done.code}", done.err)
        if done.code:
            need(three_lines(done, kib) in FULL, "code", done.err)
        disk.free()
    equal(client.id, before, "client id")
    delivers(client, w)


# -- rights ----------------------------------------------------------------------------------------

class OtherUser(Client):
    """Runs as nobody where we are root, so that rights mean something."""

    def __init__(self, t, name):
        super().__init__(t, name)
        t.dir.chmod(0o755)
        self.more = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        self.own()

    def own(self):
        if self.more:
            for path in (self.state, *self.state.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def __call__(self, *args, **more):
        return super().__call__(*args, **self.more, **more)


@case("a state folder that cannot be written is a coded error, and works again when it can")
def _(t):
    w = world()
    skip_unless(os.geteuid() != 0 or others_may_run("packway"), "a build that others may run")
    client = OtherUser(t, "client2").join(w.site, w.cap)
    folders = [client.state, *(p for p in client.state.rglob("*") if p.is_dir())]
    modes = [p.stat().st_mode & 0o777 for p in folders]
    for p in folders:
        p.chmod(0o500)
    for verb in (["sync"], ["fetch", w.package], ["cache", "--clear"], ["reset"],
                 ["prefer", "dp1"]):
        # A cycle that finds nothing new has nothing to write.
        if verb[0] in ("cache", "sync"):
            client(*verb, check=False)
            continue
        fails(client, 5, *verb, names=("PW-PERMISSION", "PW-IO"))
    for p, mode in zip(folders, modes):
        p.chmod(mode)
    delivers(client, w)


@case("a state folder of another user is refused")
def _(t):
    w = world()
    skip_unless(os.geteuid() == 0 and others_may_run("packway"), "root, and a build that others may run")
    ours = t.client("ours").join(w.site, w.cap)
    theirs = OtherUser(t, "theirs")
    theirs.state = ours.state
    fails(theirs, 5, "sync", names=("PW-PERMISSION", "PW-IO"))
    fails(theirs, 5, "fetch", w.package, names=("PW-PERMISSION", "PW-IO"))
    delivers(ours, w)


# -- trust and clock -------------------------------------------------------------------------------

@case("without its trusted root a client refuses everything, and asks nobody")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    root, trust = client.state / "metadata" / "root.json", client.state / "trust"
    root.unlink()
    trust.rename(client.state / "kept")
    fails(client, 1, "sync", names=("PW-TRUST",))
    fails(client, 1, "fetch", w.package, names=("PW-TRUST", "PW-REFUSED", "PW-NOT-ENROLLED"))
    need(not root.exists() and not trust.exists(), "a root came from somewhere")
    (client.state / "kept").rename(trust)
    delivers(client, w)


@case("what rots or vanishes in the state folder is fetched again")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    client("fetch", w.package)
    names = sorted(p for folder in ("metadata", "policy") for p in (client.state / folder).rglob("*")
                   if p.is_file())
    names += [client.state / n for n in ("worker/nal.json", "worker/cap.json", "worker/status.json", "plan.json")]
    for path in names:
        for change in (lambda b: b[:len(b) // 2], lambda b: b[:40] + b"#" + b[41:], None):
            if not path.exists():
                continue
            body = path.read_bytes()
            path.unlink()
            if change:
                path.write_bytes(change(body))
            done = client("sync", check=False)
            need(done.code == 0, f"{path.relative_to(client.state)}: exit {done.code}", done.err)
    for path in client.state.rglob("*.damaged"):
        path.unlink()
    delivers(client, w)


@case("half of a decision is passed over, and asked for by its number it is a clear error")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    client("fetch", w.package)
    client("cache", "--clear")
    client("fetch", w.package)
    older, newest = sorted((client.state / "decisions").iterdir())[-2:]
    newest.write_bytes(newest.read_bytes()[:40])
    equal(client.json("explain", w.package)["id"], older.name, "the decision that is shown")
    refused = client("explain", newest.name, check=False)
    equal(refused.code, 1, "exit code")
    need("[PW-FORMAT]" in refused.err and newest.name in refused.err, "what is told", refused.err)


@case("policy that rots where no CAP is in reach is missing and not withdrawn: with the CAP all is offered again")
def _(t):
    w = world()
    client = t.client().enroll(w.site, w.cap)
    cap = pathlib.Path(w.cap.removeprefix("file://"))
    for role in ("assignments.json", "packages.json", "site.json"):
        client("sync")
        offered = client.json("list")
        newest = (client.state / "policy" / "current").read_text().strip()
        (client.state / "policy" / newest / "metadata" / role).write_bytes(b"{}")
        for name in ("plan.json", "quiet.json"):
            (client.state / name).unlink(missing_ok=True)
        away = cap.rename(cap.with_name("away"))
        try:
            need(client("sync", check=False).code in (3, 4), "a sync without a CAP")
        finally:
            away.rename(cap)
        # The number of what comes next is the same once more.
        shutil.rmtree(client.state / "policy")
        client("sync")
        equal(client.json("list"), offered, f"offered after {role} was damaged")
    need(offered, "nothing was offered")


@case("a missing root file stops enroll before anything is made")
def _(t):
    w = world()
    client = t.client()
    options = ["--cap", w.cap, "--token", "x"]
    fails(client, 3, "enroll", *options, "--root", t.dir / "absent", names=("PW-NOT-FOUND",))
    (t.dir / "junk").write_text("{}")
    fails(client, 1, "enroll", *options, "--root", t.dir / "junk")
    (t.dir / "junk").write_text("no json")
    fails(client, 1, "enroll", *options, "--root", t.dir / "junk", names=("PW-FORMAT",))
    need(not (client.state / "identity.json").exists(), "an identity was made")
    client.join(w.site, w.cap)
    delivers(client, w)


@case("a clock at 1970 or ten years ahead is told, and never locks the client out")
def _(t):
    w = world()
    for name, clock in (("past", "86400"), ("future", f"+{10 * YEAR_S}")):
        client = t.client(f"client-{name}").join(w.site, w.cap)
        client("sync")
        wrong = {"PACKWAY_FAKE_TIME": clock}
        done = client("sync", env=wrong, check=False)
        need(done.code in (0, 1), f"{name}: exit {done.code}", done.err)
        if name == "future":
            equal(three_lines(done, name), "PW-EXPIRED", "code")
            equal(client.json("status", env=wrong)["verdict"], "expired", "verdict")
        fresh = t.client(f"fresh-{name}")
        done = fresh("enroll", "--cap", w.cap, "--root", w.site.root, "--token", w.site.token(),
                     env=wrong, check=False)
        need(done.code in (0, 1), f"enroll, {name}: exit {done.code}", done.err)
        if done.code:
            three_lines(done, f"enroll, {name}")
        delivers(client, w)
        if done.code:
            fresh.join(w.site, w.cap)
        delivers(fresh, w)


# -- standard descriptors --------------------------------------------------------------------------

def closed(*fds):
    """Started with these closed, as `>&-` does: what it opens next must not get their numbers."""
    return {"preexec_fn": lambda: [os.close(fd) for fd in fds]}


def holds_no_words_of(folder, name):
    """Nothing that was meant for people stands in a file."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            need(f"{name}: ".encode() not in path.read_bytes(), f"a message went into {path}")


@case("with standard output and error closed no file gets what was meant for them")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    for fds in ((0,), (1,), (2,), (1, 2), (0, 1, 2)):
        for verb in (["sync", "--verbose"], ["fetch", w.package, "--verbose"], ["fetch", "LON0FFFF"],
                     ["fetch", w.package, "--policy", "frob"], ["prefer", "dp1"], ["status"],
                     ["explain", "--json"], ["cache", "--clear"], ["prefer", "--clear"]):
            done = client(*verb, check=False, **closed(*fds))
            good = 0 if verb[1:2] != ["LON0FFFF"] and "frob" not in verb else None
            # What was printed is lost, and that is told by the exit code at most.
            need(good is None or done.code in ((0, 5) if 1 in fds else (0,)),
                 f"{verb} without {fds}: exit {done.code}", done.out, done.err)
            holds_no_words_of(client.state, "packway")
    undamaged(client)
    delivers(client, w)


@case("a full or vanished standard output is told by the exit code, and harms nothing")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    rows = [(client, ["status"]), (client, ["status", "--json"]), (client, ["--help"]), (client, ["fetch", "--help"]),
            (client, ["--version"]), (client, ["config"]), (client, ["fetch", w.package]), (w.site, ["dp", "list"]),
            (w.site, ["dp", "list", "--json"]), (w.site, ["--help"]), (w.site, ["dp", "add", "--help"])]
    for program_of, words in rows:
        done = program_of(*words, check=False, **{"preexec_fn": lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 1)})
        equal(done.code, 5, f"{done.line} > /dev/full")
        need(three_lines(done, words) in ("PW-DISK-FULL", "PW-IO"), "code", done.err)
        done = program_of(*words, check=False, **closed(1))
        equal(done.code, 5, f"{done.line} >&-")
        three_lines(done, words)
    delivers(client, w)


@case("a reader that goes away early ends a command quietly enough")
def _(t):
    w = world()
    for words in (["--help"], ["config"], ["config", "--json"]):
        argv = [program("packway"), *words]
        done = subprocess.run(["bash", "-c", '"$@" | true; echo ${PIPESTATUS[0]}', "bash", *argv], capture_output=True,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)
        need(done.stdout.strip() in ("0", "5"), "exit code", done.stdout)
        need(done.stderr.count("\n") in (0, 3), "words on standard error", done.stderr)


# -- limits, and many at once ----------------------------------------------------------------------

@case("with few descriptors a command works or says so, and nothing is damaged")
def _(t):
    w = world()
    client = t.client().join(w.site, w.cap)
    ended = {}
    for limit in (6, 10, 16, 32, 64, 66, 70, 80, 256):
        more = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))}
        for words in (["sync"], ["fetch", w.package], ["locate", w.package]):
            done = client(*words, check=False, **more)
            ended.setdefault(words[0], []).append(done.code)
            need(done.code in (0, 4, 5), f"{done.line} with {limit}: exit {done.code}", done.err)
            if done.code:
                three_lines(done, f"{done.line} with {limit}")
        done = w.site("publish", check=False, **more)
        # With a few more only what brings it to the CAP fails.
        need(done.code in (0, 4, 5), f"publish with {limit}: exit {done.code}", done.err)
        client("cache", "--clear")
    print(f"# exit codes by limit: {ended}")
    need(all(codes[-1] == 0 for codes in ended.values()), "256 descriptors are not enough", ended)
    w.site("publish")
    delivers(client, w)


@case("commands at once wait for each other or say who is in the way, and all is whole")
def _(t):
    site = t.site()
    cap = site.folder_cap("cap1")
    package = site.package("tool", make_tree(t.dir / "source"), distribute=False)
    site.folder_dp("dp1")

    def at_once(program_of, *lines):
        with concurrent.futures.ThreadPoolExecutor(len(lines)) as pool:
            done = list(pool.map(lambda words: program_of(*words, check=False), lines))
        for result in done:
            need(result.code == 0 or three_lines(result, result.line) in ("PW-LOCKED", "PW-EXISTS", "PW-INTERRUPTED"),
                 "neither done nor a reason", result.line, result.err)
        return [result.code for result in done]

    equal(sorted(at_once(site, *[["group", "add", "g"]] * 6))[:2], [0, 1], "one of six adds the group")
    need(0 in at_once(site, *[["publish"]] * 3, *[["package", "distribute", package, "--all"]] * 3), "nobody got through")
    site("package", "distribute", package, "--all")
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    codes = at_once(client, *[["sync"]] * 4, *[["fetch", package]] * 4, *[["prefer", "dp1"]] * 4)
    need(codes.count(0) >= 8, "hardly anybody got through", codes)
    undamaged(client)
    same_tree(t.dir / "source", client.json("fetch", package)["path"])


@case("help needs neither state nor site, for every verb")
def _(t):
    for name in ("packway", "packway-site"):
        verbs = [line.split("  ")[1] for line in run(program(name), "--help").out.splitlines()
                 if line.startswith("  ") and line[2:3].isalpha()]
        need(len(verbs) >= 15, f"{name}: verbs in its help", verbs)
        for verb in verbs:
            words = [word for word in verb.split() if word.islower()]
            done = run(program(name), *words, "--help", env={"PACKWAY_STATE": "/nonexistent", "PACKWAY_SITE": "/nonexistent",
                                                             "HOME": "/nonexistent"})
            need(done.out.strip() and not done.err, f"{name} {verb}", done.out, done.err)


@case("sources that cannot be packed are told by name, and leave nothing")
def _(t):
    site = t.site()
    source = t.dir / "source"

    def refused(codes, what, path=source, **more):
        before = tree_digest(site.dir / "library") if (site.dir / "library").exists() else {}
        fails(site, codes, "package", "create", "tool", "--source", path, **more)
        equal(site.json("package", "list"), [], f"{what}: packages")
        after = tree_digest(site.dir / "library") if (site.dir / "library").exists() else {}
        equal(after, before, f"{what}: the library")

    refused(3, "absent")
    refused((1, 2, 5), "a file", path=site.root)
    refused((1, 2, 3), "no name at all", path="")
    for what, make in (("a pipe", lambda p: os.mkfifo(p)),
                       ("a socket", lambda p: socket.socket(socket.AF_UNIX).bind(str(p))),
                       ("a link out of it", lambda p: p.symlink_to("/etc/passwd")),
                       ("a link out of it by a detour", lambda p: p.symlink_to("d0/../../outside"))):
        make_tree(source, files=3)
        make(source / "odd")
        refused(1, what)
        shutil.rmtree(source)
    make_tree(source, files=3)
    if os.geteuid() != 0:
        (source / "install").chmod(0)
        refused(5, "a file that may not be read")
        (source / "install").chmod(0o755)
    refused((1, 5), "the site inside its own source", path=t.dir)
    equal(site.json("package", "create", "tool", "--source", source)["version"], 1, "version")
    (t.dir / "empty").mkdir()
    done = site("package", "create", "empty", "--source", t.dir / "empty", check=False)
    need(done.code == 0 or three_lines(done, "empty"), "an empty folder", done.err)


# -- names and environment -------------------------------------------------------------------------

@case("names and folders may be odd")
def _(t):
    w = world()
    rows = [
        ("host name of 64 characters", "client1", "name = " + "h" * 64, {}),
        ("no TMPDIR", "client2", "", {"TMPDIR": "/nonexistent/folder"}),
        ("a state folder with spaces", "client with  spaces", "", {}),
        ("a state folder with a newline", "client\nline", "", {}),
        ("a state folder with UTF-8, quotes and percent", "klïent '\"%41$x", "", {}),
        ("no HOME, no PATH, another locale", "client3", "", {"HOME": "", "PATH": "",
                                                             "LC_ALL": "de_DE.UTF-8"}),
    ]
    for why, name, config, env in rows:
        client = t.client(name.replace("/", "_"), config="")
        (client.state / "packway.conf").write_text(f"address = 10.1.0.1\n{WORKER_USER}{config}\n")
        client.env = {**client.env, **env}
        try:
            client.enroll(w.site, w.cap)
            delivers(client, w)
        except Failed as fault:
            raise Failed(f"{why}: {fault}")


CLIENT_LINES = [  # exit code(s), words
    (2, []), (2, ["frobnicate"]), (2, [""]), (2, ["sync", "--frobnicate"]), (2, ["sync", "extra"]),
    (2, ["fetch"]), ((2, 3), ["fetch", ""]), ((2, 3), ["fetch", "a" * 5000]),
    ((2, 3), ["fetch", "../../etc/passwd"]), ((2, 3), ["fetch", "LON00001/../x"]),
    ((2, 3), ["fetch", "LON99999"]), ((2, 3), ["fetch", "\x1b[31mred"]), ((2, 3), ["fetch", "%s%n"]),
    (2, ["fetch", "LON00001", "--version", "0"]), (2, ["fetch", "LON00001", "--version", "-1"]),
    (2, ["fetch", "LON00001", "--version", "99999999999999999999999"]),
    (3, ["fetch", "LON00001", "--version", "4000000"]),
    (2, ["fetch", "LON00001", "--rate", "fast"]), (2, ["fetch", "LON00001", "--rate", "1e9"]),
    (2, ["fetch", "LON00001", "--rate", ""]), (2, ["fetch", "LON00001", "--version"]),
    (2, ["fetch", "LON00001", "--policy", "frob"]), (2, ["fetch", "LON00001", "--policy", ""]),
    ((2, 3), ["fetch", "LON00001", "--dp", "nobody"]), ((2, 3), ["fetch", "LON00001", "--dp", ""]),
    ((1, 2, 4), ["fetch", "LON00001", "--dp", "gopher://x/"]),
    (2, ["locate"]), (2, ["locate", "LON00001", "--cap"]), (2, ["locate", "LON00001", "--seed", "x"]),
    (2, ["locate", "LON00001", "--seed", "99999999999999999999"]),
    ((2, 3), ["locate", "LON0000G"]), (3, ["explain", "9999999999"]), (3, ["explain", "nothing"]),
    (2, ["probe"]), (2, ["probe", ""]), (2, ["probe", "http://"]), (2, ["probe", "http://x:99999/"]),
    (2, ["prefer", "--policy", "frob"]), (2, ["prefer", ""]),
    (2, ["run"]), (2, ["run", "LON00001"]), (3, ["run", "LON00001", "nothing"]),
    (2, ["enroll"]), (3, ["enroll", "/nonexistent"]), (2, ["enroll", "--cap", "x"]),
    ((2, 3), ["verify", "../.."]), (2, ["cache", "--clear=yes"]),
]

SITE_LINES = [
    (2, []), (2, ["frobnicate"]), (2, ["package"]), (2, ["package", "create"]),
    (2, ["package", "create", "x"]), (2, ["package", "create", "", "--source", "/tmp"]),
    (3, ["package", "show", "LON00009"]), ((2, 3), ["package", "show", "../x"]),
    ((2, 3), ["package", "show", ""]), ((2, 3), ["package", "rollback", "LON00001", "--to", "99"]),
    (2, ["package", "rollback", "LON00001", "--to", "0"]), (2, ["package", "rollback", "LON00001"]),
    (2, ["package", "distribute", "LON00001"]),
    (3, ["package", "distribute", "LON00001", "--dp", "nobody"]),
    (2, ["cap", "add"]), (2, ["cap", "add", "x"]), ((1, 2), ["cap", "add", "x", "frob"]),
    (2, ["cap", "add", "a/b", "file:///tmp/x"]), (2, ["dp", "add", "a" * 65, "file:///tmp/x"]),
    ((1, 2), ["dp", "add", "x", "gopher://x/"]), (3, ["dp", "remove", "nobody"]),
    (2, ["dp", "add", "x", "file:///tmp/x", "--max-rate", "fast"]),
    (2, ["dp", "add", "x", "file:///tmp/x", "--window", "25:00-26:00"]),
    (2, ["boundary", "add", "300.1.1.1/8", "--group", "g"]),
    ((2, 3), ["boundary", "add", "10.0.0.0/33", "--group", "g"]),
    (3, ["boundary", "add", "10.0.0.0/8", "--group", "nobody"]), (2, ["boundary", "add", "10.0.0.0/8"]),
    (2, ["group", "add", "g", "--default-after", "soon"]), (2, ["group", "add", ""]),
    ((1, 2), ["collection", "add", "c", "--query", "DROP TABLE client"]),
    ((1, 2), ["collection", "add", "c", "--query", ""]), (2, ["collection", "add", "c"]),
    (2, ["collection", "add", "c", "--query", "SELECT client_id FROM client", "--percent", "101"]),
    (3, ["advertise", "LON00001", "nothing", "--collection", "all"]),
    (3, ["advertise", "LON00001", "install", "--collection", "nobody"]),
    (2, ["advertise", "LON00001", "install", "--collection", "all", "--mandatory", "soon"]),
    ((2, 3), ["advertisement", "show", "LON2FFFF"]), ((2, 3), ["advertisement", "stop", ""]),
    (2, ["program", "add", "LON00001", "p"]), (2, ["program", "add", "LON00001", "p", "--command", ""]),
    (2, ["program", "add", "LON00001", "p", "--command", "x", "--timeout", "-1"]),
    (2, ["token", "create", "--uses", "0"]), (2, ["token", "create", "--expires", "never"]),
    (2, ["token", "revoke", "nothing"]), (3, ["token", "revoke", "99"]), ((2, 3), ["client", "show", "nobody"]),
    ((2, 3), ["client", "approve", "0" * 32]), (1, ["query", "DELETE FROM client"]),
    ((1, 2), ["query", ""]), (1, ["query", "SELECT 1; SELECT 2"]),
    (2, ["serve", "--listen", "nowhere"]), (2, ["serve", "--listen", "127.0.0.1:99999"]),
    ((2, 3), ["messages", "--client", "x"]), ((2, 3), ["status", "LON2FFFF"]),
]


def each_line(program_of, lines):
    wrong = []
    for codes, words in lines:
        try:
            fails(program_of, codes, *words)
        except Failed as fault:
            wrong.append(f"{words!r}: {fault}")
    need(not wrong, f"{len(wrong)} lines", *wrong)


@case("bad command lines of packway end with their exit code and three lines")
def _(t):
    w = world()
    client = t.client().enroll(w.site, w.cap)
    each_line(client, CLIENT_LINES)
    delivers(client, w)


@case("bad command lines of packway-site end with their exit code and three lines")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source"))
    site("program", "add", package, "install", "--command", "./install")
    site("publish")
    before = site.json("package", "list"), site.json("dp", "list"), site.json("group", "list")
    each_line(site, SITE_LINES)
    equal((site.json("package", "list"), site.json("dp", "list"), site.json("group", "list")),
          before, "the site's lists")
    site("publish")


main()
