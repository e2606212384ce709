"""Another user of the same machine, and of the same servers, tries to have their bytes run by root.

PACKWAY_TEST_SWAPS says how often they swap files, links and folders (10^5 in the deep suite).
"""
import contextlib
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import subprocess
import time

from flow import SEED, SLOW, TRIES, WORKER_ID, WORKER_USER, all_below, case, equal, main, need, program, skip_unless, wait_for
from victims import of_client

SWAPS = int(os.environ.get("PACKWAY_TEST_SWAPS", "3000"))
NOBODY = pwd.getpwnam("nobody").pw_uid

# As nobody: swaps what stands in the folders given, at random, and counts. Its program would leave
# a file, if root ran it.
RACER = r"""
import os, random, shutil, sys, time
mark, swaps, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r = random.Random(seed)
evil = ("#!/bin/sh\necho evil\ntouch %s\n" % mark).encode()
holds = "HOLDS" in os.environ
held = []
own = sys.argv[4]
tops = sys.argv[5:]
done = refused = 0
def names():
    out = []
    for top in tops:
        for folder, folders, files in os.walk(top):
            out += [os.path.join(folder, n) for n in files + folders]
    return out + tops[1:]
def put(path, kind):
    global done, refused
    spare = os.path.join(own, "spare")
    try:
        if kind == 0:
            with open(spare, "wb") as f:
                f.write(evil)
            os.chmod(spare, 0o755)
        elif kind == 1:
            os.symlink(os.path.join(own, "evil"), spare)
        elif kind == 2:
            os.mkdir(spare)
            with open(os.path.join(spare, "install"), "wb") as f:
                f.write(evil)
        elif kind == 3:
            os.link(path, spare)
        moved = os.path.join(own, "moved")
        os.rename(path, moved)
        os.rename(spare, path)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
        os.rename(moved, path)
        done += 1
    except OSError:
        refused += 1
    for left in ("spare",):
        at = os.path.join(own, left)
        if os.path.isdir(at) and not os.path.islink(at):
            shutil.rmtree(at, ignore_errors=True)
        elif os.path.lexists(at):
            os.unlink(at)
def hold(path):
    # Keep it open for writing, and write into one that was kept.
    try:
        held.append(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK))
        if len(held) > 100:
            os.close(held.pop(0))
    except OSError:
        pass
    if held:
        os.pwrite(r.choice(held), evil, 0)
with open(os.path.join(own, "evil"), "wb") as f:
    f.write(evil)
os.chmod(os.path.join(own, "evil"), 0o755)
seen = names()
while done < swaps and done + refused < 4 * swaps:
    if (done + refused) % (20 if holds else 200) == 0:
        seen = names()
    if not seen:
        time.sleep(0.001)
        seen = names()
        continue
    if holds and r.randrange(3) == 0:
        hold(r.choice(seen))
    put(r.choice(seen), r.randrange(4))
    if (done + refused) % 4 == 0:
        time.sleep(0.001)
print(done, refused)
"""


def as_account(uid, script, *argv, **env):
    return subprocess.Popen(["/usr/bin/python3", "-c", script, *map(str, argv)], user=uid, group=uid, env=dict(os.environ, **env),
                            extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def as_nobody(*argv):
    return as_account(NOBODY, RACER, *argv)


def forget_servers(client):
    """A DP that gave wrong bytes once is left out for a day, and the rest of the test with it."""
    (client.state / "worker/nal.json").unlink(missing_ok=True)


def world_of_one_program(t, size=300000):
    """A site with one package that prints "genuine", and a client that knows of it."""
    t.dir.chmod(0o755)
    source = t.dir / "source"
    source.mkdir()
    (source / "install").write_text("#!/bin/sh\ncat data* | sha256sum\necho genuine\n")
    (source / "install").chmod(0o755)
    rng = random.Random(SEED)
    (source / "data").write_bytes(rng.randbytes(size))
    for i in range(20):
        (source / f"data-{i}").write_bytes(rng.randbytes(5000))
    (source / "open").write_text("everybody's\n")
    (source / "open").chmod(0o666)
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site.folder_dp("dp1")
    package = site.package("tool", source)
    site("program", "add", package, "install", "--command", "./install", "--rerun", "always")
    site("advertise", package, "install", "--collection", "all", "--available", "now")
    site("publish")
    client = t.client().join(site, cap)
    site("intake")
    client("sync")
    return source, client, package


@case("a racer who swaps a DP's files, links and folders, and root's where they may, never has bytes run")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    _, client, package = world_of_one_program(t)
    own = t.dir / "racer"
    own.mkdir()
    mark = own / "was-run-by-root"
    dp = next(p for p in t.dir.rglob("packway-dp.json")).parent
    for path in [own, dp, *dp.rglob("*")]:
        os.chown(path, NOBODY, -1)
    racer = as_nobody(mark, SWAPS, SEED, own, dp, client.state, client.state / "store")
    t.defer(racer.kill)
    ran = kept_out = 0
    while racer.poll() is None:
        done = client("run", package, "install", check=False, timeout=120)
        ran += done.code == 0
        kept_out += done.code != 0
        need(done.code in (0, 4, 5), "run ends in one of the ways it may", done.code, done.err[-800:])
        need("evil" not in done.out + done.err, "the racer's bytes were run", done.out)
        client("cache", "--clear", check=False)
        forget_servers(client)
    swapped, refused = map(int, racer.stdout.read().split())
    print(f"# seed {SEED}: {swapped} swaps, {refused} refused; {ran} runs, {kept_out} kept out")
    need(not mark.exists(), "the racer's program left its mark")
    need(swapped > SWAPS / 20, "the racer swapped something", swapped, refused)
    for line in client.json("messages"):
        need("evil" not in json.dumps(line), "the racer's output in a record", line)
    client("run", package, "install")


@case("root's state below a folder that others write is refused by name")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    t.dir.chmod(0o755)
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("publish")
    client = t.client().join(site, cap)
    os.chown(client.state.parent, NOBODY, -1)
    t.defer(os.chown, client.state.parent, 0, -1)
    refused = client("sync", check=False)
    need(refused.code == 5 and "PW-PERMISSION" in refused.err and str(client.state.parent) in
         refused.err, "refused, with the folder's name", refused.code, refused.err)


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.split() for k, _, v in (line.partition(":") for line in lines)}


def workers_below(pid):
    """Processes named packway-worker with that parent, any generation down."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            it = status_of(stat.parent.name)
            if it["Name"] == ["packway-worker"] and it["PPid"] == [str(pid)]:
                found.append(it)
    return found


def owners(state):
    """{uid: names of the state's files and folders}, without what is gone by now."""
    out = {}
    for path in [state, *all_below(state)]:
        with contextlib.suppress(FileNotFoundError):
            out.setdefault(path.lstat().st_uid, set()).add(str(path.relative_to(state)))
    return out


@case("root's worker has an account of its own and owns its rooms alone; an older state is made over, and back")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    site, source = t.site(), t.dir / "source"
    source.mkdir()
    (source / "install").write_text(f"#!/bin/sh\nid -u >>{t.dir}/ran\n")
    (source / "install").chmod(0o755)
    cap = f"file://{site.folder_cap('cap1')}"
    site.folder_dp("dp1")
    package = site.package("tool", source)
    site("program", "add", package, "install", "--command", "./install", "--rerun", "always")
    site("advertise", package, "install", "--collection", "all", "--available", "now")
    site("publish")
    client = t.client().enroll(site, cap)
    state, rooms = client.state, ("worker", "metadata", "policy", "decisions", "store/partial")
    agent = client.agent()
    client("fetch", package)
    (worker,) = wait_for("the worker", 10, lambda: workers_below(agent.pid))
    equal((set(worker["Uid"]), set(worker["Gid"]), worker["Groups"]), ({str(WORKER_ID)}, {str(WORKER_ID)}, []), "who it is")
    equal((int(worker["CapEff"][0], 16), int(worker["CapBnd"][0], 16), worker["NoNewPrivs"]), (4, 4, ["1"]), "its rights")
    client("run", package, "install")
    equal((t.dir / "ran").read_text().split(), ["0"], "who the program is")
    by = owners(state)
    equal({n for n in by.pop(WORKER_ID) if not n.startswith(rooms)}, set(), "what is the worker's elsewhere")
    equal(set(by), {0}, "others who own something")
    need({"client.key", "identity.json", "plan.json", "journal", "outbox", "lock", "store", "store/locks", "store/building",
          f"store/{package}/1/install"} <=
         by[0], "what is root's", by[0])
    agent.terminate()
    agent.wait(20)
    # As an older version left it: all root's, and the worker's documents in the state itself.
    subprocess.run(["chown", "-R", "-h", "0:0", state], check=True)
    for document in (state / "worker").iterdir():
        document.rename(state / document.name)
    shutil.rmtree(state / "worker")
    client("sync")
    client("run", package, "install")
    need((state / "worker/nal.json").exists() and not (state / "nal.json").exists(), "documents moved")
    equal({p.stat().st_uid for p in [state / r for r in rooms]}, {WORKER_ID}, "made over")
    equal({p.stat().st_uid for p in (state / "store").rglob("install")}, {0}, "finished trees")
    (t.dir / "cap1/inbox").chmod(0o700)
    (row,) = [r for r in client.json("doctor", check=False) if r["check"] == "inbox"]
    need(row["result"] == "failed" and "chmod 1733" in row["text"], "doctor on an inbox that root alone may write", row)
    (state / "packway.conf").write_text((state / "packway.conf").read_text().replace(WORKER_USER, "worker-user = root\n"))
    client("sync")
    client("run", package, "install")
    equal(set(owners(state)), {0}, "owners after the way back")
    (row,) = [r for r in client.json("doctor", check=False) if r["check"] == "worker"]
    need("is root" in row["text"], "doctor says so", row)


# As the worker's account, with the one right of root's that it has: tries all that it may on what the keeper builds, on the keeper
# and on the command that has started it; told to, on the finished tree, by what it could keep open as well. Says what was not
# forbidden; another refusal than that would mean that the attempt is none.
PRYER = r"""
import ctypes, errno, json, os, resource, signal, sys
mark, state, package, *pids = sys.argv[1:]
evil = ("#!/bin/sh\necho evil\ntouch %s\n" % mark).encode()
libc = ctypes.CDLL(None, use_errno=True)
store, own = os.path.join(state, "store"), os.path.join(state, "store/partial")
built, finished = os.path.join(store, "building", package + "-1"), os.path.join(store, package, "1")
done, tried = [], 0
def attempt(name, act, *args, **more):
    global tried
    tried += 1
    try:
        act(*args, **more)
        done.append(name)
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.EACCES):
            done.append(name + ": " + str(e))
def call(number, *args):
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), "a system call")
def trace(pid):
    if libc.ptrace(16, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "attach")
def new_file(path, **more):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, **more))
def tamper(tree, name, folder=None):
    program = os.path.join(tree, name)
    spare = os.path.join(own, "spare")
    with open(spare, "wb") as f:
        f.write(evil)
    attempt("write " + program, os.open, program, os.O_WRONLY)
    attempt("truncate " + program, os.truncate, program, 0)
    attempt("mode of " + program, os.chmod, program, 0o777)
    attempt("times of " + program, os.utime, program, (1, 1))
    attempt("rename over " + program, os.rename, spare, program)
    attempt("unlink " + program, os.unlink, program)
    attempt("add in " + tree, new_file, os.path.join(tree, "more"))
    attempt("mode of " + tree, os.chmod, tree, 0o777)
    attempt("owner of " + tree, os.chown, tree, os.geteuid(), -1)
    attempt("move " + tree, os.rename, tree, os.path.join(own, "moved"))
    attempt("replace " + tree, os.rename, own, tree)
    if folder is not None:
        attempt("rename over by the folder kept", os.rename, spare, name, dst_dir_fd=folder)
        attempt("add by the folder kept", new_file, "more", dir_fd=folder)
        attempt("unlink by the folder kept", os.unlink, name, dir_fd=folder)
# What it may: or nothing of the rest means anything.
os.mkdir(os.path.join(own, "may"))
os.rmdir(os.path.join(own, "may"))
tree = os.path.join(built, "tree")
names = sorted(os.listdir(tree))
folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
held = [os.open(os.path.join(tree, n), os.O_RDONLY) for n in names]
tamper(tree, names[0], folder)
for name in ("manifest", "journal"):
    tamper(built, name)
tamper(os.path.join(store, "locks"), package + "-1")
for name in ("1", "record"):
    attempt("add to the store", new_file, os.path.join(store, name))
attempt("move what is built", os.rename, os.path.join(store, "building"), os.path.join(own, "moved"))
attempt("move its own room", os.rename, own, os.path.join(store, package))
for pid in map(int, pids):
    proc = "/proc/%d/" % pid
    attempt("read its memory", os.open, proc + "mem", os.O_RDONLY)
    attempt("write its memory", os.open, proc + "mem", os.O_RDWR)
    attempt("what its file 3 is", os.readlink, proc + "fd/3")
    attempt("its file 3", os.open, proc + "fd/3", os.O_RDWR)
    attempt("its maps", lambda: open(proc + "maps").read())
    attempt("its mapped files", os.listdir, proc + "map_files")
    attempt("its environment", lambda: open(proc + "environ").read())
    attempt("its folder", os.readlink, proc + "cwd")
    attempt("attach", trace, pid)
    word = ctypes.create_string_buffer(8)
    class iovec(ctypes.Structure):
        _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    part = iovec(ctypes.addressof(word), 8)
    def foreign(act):
        if act(pid, ctypes.byref(part), 1, ctypes.byref(part), 1, 0) < 0:
            raise OSError(ctypes.get_errno(), "foreign memory")
    attempt("read foreign memory", foreign, libc.process_vm_readv)
    attempt("write foreign memory", foreign, libc.process_vm_writev)
    pidfd = os.pidfd_open(pid)
    for fd in range(8):
        attempt("take a descriptor", call, 438, pidfd, fd, 0)
    for number in (0, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        attempt("signal", os.kill, pid, number)
    attempt("limits", resource.prlimit, pid, resource.RLIMIT_FSIZE, (0, 0))
    attempt("priority", os.setpriority, os.PRIO_PROCESS, pid, 19)
    attempt("processors", os.sched_setaffinity, pid, {0})
print(json.dumps([tried, done]), flush=True)
sys.stdin.readline()
done, tried = [], 0
for fd in held:
    attempt("write by what was kept", os.open, "/proc/self/fd/%d" % fd, os.O_WRONLY)
    attempt("mode by what was kept", os.fchmod, fd, 0o777)
tamper(finished, "install", folder)
attempt("write to everybody's", os.open, os.path.join(finished, "open"), os.O_WRONLY)
attempt("replace the manifest", os.rename, os.path.join(own, "spare"), finished + ".manifest")
attempt("add a version", os.mkdir, os.path.join(store, package, "2"))
attempt("move the package", os.rename, os.path.join(store, package), os.path.join(own, "moved"))
print(json.dumps([tried, done]), flush=True)
"""


def as_worker(script, *argv):
    """What the worker's account may, and reading as root does: no more has a worker."""
    right = "-all,+dac_read_search"
    return subprocess.Popen(
        ["setpriv", f"--reuid={WORKER_ID}", f"--regid={WORKER_ID}", "--clear-groups", f"--inh-caps={right}", f"--ambient-caps={right}",
         f"--bounding-set={right}", "--no-new-privs", "/usr/bin/python3", "-c", script, *map(str, argv)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def built(client, package):
    return client.state / f"store/building/{package}-1/tree"


def stop_within(t, client, package, source):
    """A fetch whose worker stands still with a part given, and its keeper; None where it was too fast."""
    slow = t.spawn(program("packway"), "--state", client.state, "fetch", package, "--rate", "1500kB/s", env=client.env)
    tree = built(client, package)

    def is_in_part():
        with contextlib.suppress(FileNotFoundError):
            return any(p.stat().st_size for p in tree.iterdir())

    wait_for("a part of the tree", 60, lambda: is_in_part() or slow.poll() is not None, 0.01)
    workers = {w for w in of_client(client, "worker") if status_of(w)["Uid"][0] == str(WORKER_ID)}
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    time.sleep(0.2)  # what was given is taken
    with contextlib.suppress(FileNotFoundError, ValueError):
        (keeper,) = of_client(client, "keeper")
        if contents(tree) != contents(source):
            return slow, keeper
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    return slow, None


@case("whoever has the worker's account changes neither what is built nor what is finished, and nothing of who keeps it")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t, size=6_000_000)
    mark = t.dir / "was-run"
    for _ in range(TRIES):
        slow, keeper = stop_within(t, client, package, source)
        if keeper:
            break
        slow.wait(60 * SLOW)
        client("cache", "--clear")
    need(keeper, "the fetch was over before the attempts, each time")
    equal(status_of(keeper)["Uid"], ["0"] * 4, "who keeps")
    pryer = as_worker(PRYER, mark, client.state, package, keeper, slow.pid)
    t.defer(pryer.kill)
    tried, could = json.loads(pryer.stdout.readline())
    equal(could, [], "what the worker's account could do to what is built")
    need(tried > 50 and slow.poll() is None and keeper in of_client(client, "keeper"), "the fetch lives", tried, slow.poll())
    os.killpg(slow.pid, signal.SIGKILL)
    slow.wait()
    got = client.json("fetch", package)
    equal(got["path"], str(client.state / f"store/{package}/1"), "where it is")
    pryer.stdin.write("go\n")
    pryer.stdin.flush()
    tried, could = json.loads(pryer.stdout.readline())
    equal(could, [], "what the worker's account could do to what is finished")
    equal(contents(client.state / "store" / package / "1"), contents(source), "what was fetched")
    equal(client.json("verify"), [], "verify")
    done = client("run", package, "install")
    need(not mark.exists() and "evil" not in done.out + done.err, "their bytes were run", done.out)
    equal({p.lstat().st_uid for p in (client.state / "store" / package).rglob("*")}, {0}, "whose it is")


# What the two scripts below find the worker by: a function of its state and account.
WORKERS = r"""
import os
def workers():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                argv = open("/proc/%s/cmdline" % name, "rb").read().split(b"\0")
                uid = open("/proc/%s/status" % name).read().split("Uid:")[1].split()[0]
                if argv[0].endswith(b"packway-worker") and state in argv and uid == own_uid:
                    yield int(name)
            except (OSError, IndexError):
                pass
"""


# What a worker that was taken over can do to its line to the keeper, by root's rights over it: while one gives, bytes of the memory
# that both share change at any moment, and packets come by its sockets that are none, or ask for what is not there.
TAMPERER = WORKERS + r"""
import ctypes, os, random, socket, struct, sys, time
state, own_uid, seed = sys.argv[1].encode(), sys.argv[2], int(sys.argv[3])
r = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
evil = b"#!/bin/sh\necho evil\n"
writes = packets = gave = 0
def room_of(pid):
    maps = [[int(x, 16) for x in line.split()[0].split("-")] for line in open("/proc/%d/maps" % pid) if "packway-handover" in line]
    if len(maps) == 2 and maps[0][1] == maps[1][0]:
        return maps[0][0], maps[1][1] - maps[0][0]
def hands_of(pid):
    out, pidfd = [], os.pidfd_open(pid)
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            if not os.readlink("/proc/%d/fd/%s" % (pid, name)).startswith("socket:"):
                continue
        except OSError:
            continue
        fd = libc.syscall(438, pidfd, int(name), 0)
        if fd < 0:
            continue
        s = socket.socket(fileno=fd)
        if s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET:
            out.append(s)
        else:
            s.close()
    os.close(pidfd)
    return out
def packet(size):
    kind = r.randrange(4)
    if kind == 0:
        return r.randbytes(r.randrange(1, 200))
    count = r.randrange(9) if kind < 3 else r.choice([9, 1 << 16, 0xffffffff])
    items = b"".join(struct.pack("=II", r.choice([r.randrange(40), 0xffffffff, 1 << 20]), r.choice([r.randrange(size), size, size - 1, 0xffffffff]))
                     for _ in range(min(count, 20)))
    return struct.pack("=I", count) + items
def tamper(pid, size, at, speaks):
    global writes, packets
    pause = r.choice([0, 0.0002, 0.002, 0.02])
    hands = hands_of(pid) if speaks else []
    with open("/proc/%d/mem" % pid, "r+b", buffering=0) as memory:
        while True:
            for _ in range(20):
                memory.seek(at + (r.randrange(size >> 22) << 22) + r.randrange(1 << r.randrange(10, 20)))
                if memory.write(r.choice([evil, r.randbytes(1), bytes(64)])) == 0:
                    return  # it has ended
                writes += 1
            if hands and r.randrange(50) == 0:
                r.choice(hands).send(packet(size), socket.MSG_DONTWAIT)
                packets += 1
            time.sleep(pause)
print("ready", flush=True)
while os.path.exists(sys.argv[4]):
    for pid in workers():
        try:
            room = room_of(pid)
            if room:
                gave += 1
                tamper(pid, room[1], room[0], r.randrange(3) == 0)
        except OSError:
            pass
    time.sleep(0.002)
print(writes, packets, gave)
"""


@case("a worker that changes what it gives at any moment has fetches fail, or be right")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    goes_on = t.dir / "goes-on"
    goes_on.touch()
    tamperer = subprocess.Popen(["/usr/bin/python3", "-c", TAMPERER, client.state, str(WORKER_ID), str(SEED), goes_on], text=True,
                                stdout=subprocess.PIPE)
    t.defer(tamperer.kill)
    equal(tamperer.stdout.readline(), "ready\n", "the tamperer")
    codes = {}
    for turn in range(max(6, SWAPS // 300)):
        done = client("fetch", package, *([] if turn % 3 else ["--rate", "1MB"]), check=False, timeout=120)
        codes[done.code] = codes.get(done.code, 0) + 1
        need(done.code in (0, 4, 5), "fetch ends in one of the ways it may", done.code, done.err[-800:])
        if done.code == 0:
            equal(contents(client.state / "store" / package / "1"), contents(source), "what was fetched")
            equal(client.json("verify"), [], "verify")
            client("cache", "--clear")
        forget_servers(client)
    goes_on.unlink()
    writes, packets, gave = map(int, tamperer.stdout.read().split())
    print(f"# seed {SEED}: {writes} writes and {packets} packets while {gave} fetches gave; fetches by exit code: {codes}")
    need(writes and gave, "the tamperer met no fetch", writes, gave)
    client("run", package, "install")
    equal(client.json("verify"), [], "verify")


# By the same rights: says for a worker, while it fetches, that the package is there, and where.
LIAR = WORKERS + r"""
import ctypes, json, os, socket, struct, sys, time
state, own_uid, package, tree, ends = sys.argv[1].encode(), *sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)
lies = 0
def fetching():
    for pid in workers():
        try:
            if "packway-handover" in open("/proc/%d/maps" % pid).read():
                yield pid
        except OSError:
            pass
lie = json.dumps({"done": {"package": package, "version": 1, "path": tree, "server": "dp1", "way": "session", "bytes_content": 1,
                           "bytes_network": 1, "bytes_seed": 0, "chunks_fetched": 1, "how": "ranges", "ms": 1}}).encode()
print("ready", flush=True)
told = set()
while os.path.exists(ends):
    for pid in set(fetching()) - told:
        told.add(pid)
        try:
            pidfd = os.pidfd_open(pid)
            fd = libc.syscall(438, pidfd, 3, 0)
            os.close(pidfd)
            if fd < 0:
                continue
            with socket.socket(fileno=fd) as line:
                line.sendall(struct.pack("<I", len(lie)) + lie)
                lies += 1
        except OSError:
            pass
    time.sleep(0.002)
print(lies)
"""


@case("a worker that says of a package that it is there, and where, has nothing of its own run")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    mark, goes_on, evil = t.dir / "was-run", t.dir / "goes-on", t.dir / "evil"
    goes_on.touch()
    evil.mkdir()
    (evil / "install").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (evil / "install").chmod(0o755)
    liar = subprocess.Popen(["/usr/bin/python3", "-c", LIAR, client.state, str(WORKER_ID), package, evil, goes_on], text=True,
                            stdout=subprocess.PIPE)
    t.defer(liar.kill)
    equal(liar.stdout.readline(), "ready\n", "the liar")
    codes = {}
    for _ in range(4):
        done = client("run", package, "install", check=False, timeout=120)
        codes[done.code] = codes.get(done.code, 0) + 1
        need(done.code in (0, 3, 4, 5) and not mark.exists(), "run ends in one of the ways it may", done.code, done.err[-800:])
        client("cache", "--clear")
        forget_servers(client)
    goes_on.unlink()
    lies = int(liar.stdout.read())
    print(f"# {lies} lies; runs by exit code: {codes}")
    client("run", package, "install")
    equal(client.json("verify"), [], "verify")
    skip_unless(lies > 0, "a fetch that the liar meets")


@case("a racer with the worker's account, who swaps and writes in all of its rooms while packages are fetched, never has bytes run")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    rooms = [client.state / r for r in ("store/partial", "metadata", "policy", "worker")]
    own = client.state / "decisions/racer"
    client("fetch", package)
    own.mkdir()
    os.chown(own, WORKER_ID, -1)
    mark = t.dir / "was-run"
    store = client.state / "store"
    racer = as_account(WORKER_ID, RACER, mark, SWAPS // 6, SEED, own, *rooms, store / "building", store / package, HOLDS="1")
    t.defer(racer.kill)
    codes, slowest = {}, 0
    while racer.poll() is None:
        client("cache", "--clear", check=False)
        began = time.monotonic()
        done = client("run", package, "install", check=False, timeout=120)
        slowest = max(slowest, time.monotonic() - began)
        codes[done.code] = codes.get(done.code, 0) + 1
        need(done.code in (0, 3, 4, 5) or (done.code == 1 and ("PW-NOT-ENROLLED" in done.err or "PW-TRUST" in done.err)), "run ends in one of the ways it may", done.code, done.err[-800:])
        need("evil" not in done.out + done.err and not mark.exists(), "the racer's bytes were run", done.out)
        forget_servers(client)
    swapped, refused = map(int, racer.stdout.read().split())
    print(f"# seed {SEED}: {swapped} swaps, {refused} refused; runs by exit code: {codes}, the slowest {slowest:.1f} s")
    # Whatever is left of them: they are there to be fetched again.
    for room in (own, *rooms):
        shutil.rmtree(room)
    client("sync")
    client("run", package, "install")
    equal(client.json("verify"), [], "verify")
    for line in client.json("messages"):
        need("evil" not in json.dumps(line), "the racer's output in a record", line)


@case("a store that is the worker's, of a version before, goes, and is fetched again; without a server nothing of it is run")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    store, dp = client.state / "store", next(p for p in t.dir.rglob("packway-dp.json")).parent
    mark = t.dir / "was-run"
    evil = f"#!/bin/sh\necho evil\ntouch {mark}\n".encode()

    def give_to_worker(*tops):
        subprocess.run(["chown", "-R", "-h", f"{WORKER_ID}:0", *tops], check=True)
        kept = open(store / package / "1/install", "r+b")
        t.defer(kept.close)
        kept.write(evil)
        kept.flush()
        return kept

    for what, tops in (("all of it", [store]), ("one tree in it", [store / package / "1"])):
        client("run", package, "install")
        inode = (store / package / "1/install").stat().st_ino
        kept = give_to_worker(*tops)
        if tops == [store]:
            store.chmod(0o771)
        dp.rename(t.dir / "away")
        refused = client("run", package, "install", check=False)
        need(refused.code == 4 and not mark.exists(), f"{what}: not run without a server", refused.code, refused.out, refused.err)
        (t.dir / "away").rename(dp)
        forget_servers(client)
        client("run", package, "install")
        need((store / package / "1/install").stat().st_ino != inode, "another file")
        kept.seek(0)
        kept.write(evil)
        kept.flush()
        equal((store / package / "1/install").read_text(), (source / "install").read_text(), f"{what}: the program")
        equal({p.lstat().st_uid for p in [store, store / "locks", *(store / package).rglob("*")]}, {0}, f"{what}: whose it is")
        equal(client.json("verify"), [], "verify")
        client("run", package, "install")
        need(not mark.exists(), f"{what}: their bytes were run")


main()
