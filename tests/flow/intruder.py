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
import subprocess
import time

from flow import SEED, WORKER_ID, WORKER_USER, all_below, case, equal, main, need, skip_unless, wait_for

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


def world_of_one_program(t):
    """A site with one package that prints "genuine", and a client that knows of it."""
    t.dir.chmod(0o755)
    source = t.dir / "source"
    source.mkdir()
    (source / "install").write_text("#!/bin/sh\ncat data* | sha256sum\necho genuine\n")
    (source / "install").chmod(0o755)
    rng = random.Random(SEED)
    (source / "data").write_bytes(rng.randbytes(300000))
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
    state, rooms = client.state, ("worker", "metadata", "policy", "decisions", "store/partial", "store/locks")
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
    need({"client.key", "identity.json", "plan.json", "journal", "outbox", "lock", "store", f"store/{package}/1/install"} <=
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


def unfinish(client, package):
    """The finished tree as its worker had built it, before it was taken over."""
    part, store = client.state / f"store/partial/{package}-1", client.state / "store" / package
    part.mkdir()
    (store / "1").rename(part / "tree")
    (store / "1.manifest").rename(part / "manifest")
    subprocess.run(["chown", "-R", "-h", f"{WORKER_ID}:0", part], check=True)
    return part / "tree"


# As the worker's account: keeps files open, and by another name; told to, it writes to what it kept, and tries all that it may
# on the finished tree.
HOLDER = r"""
import json, os, sys
mark, tree, finished, own = sys.argv[1:]
evil = ("#!/bin/sh\necho evil\ntouch %s\n" % mark).encode()
held = [os.open(os.path.join(tree, n), os.O_RDWR) for n in sorted(os.listdir(tree))]
os.link(os.path.join(tree, "data"), own)
folder = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
print("ready", flush=True)
sys.stdin.readline()
for fd in held:
    os.pwrite(fd, evil, 0)
with open(own, "wb") as f:
    f.write(evil)
done = []
def attempt(name, act):
    try:
        act()
        done.append(name)
    except OSError:
        pass
program = os.path.join(finished, "install")
spare = own + ".spare"
with open(spare, "wb") as f:
    f.write(evil)
os.chmod(spare, 0o755)
attempt("write", lambda: os.open(program, os.O_WRONLY))
attempt("write to everybody's", lambda: os.open(os.path.join(finished, "open"), os.O_WRONLY))
attempt("truncate", lambda: os.truncate(program, 0))
attempt("mode", lambda: os.chmod(program, 0o777))
attempt("mode of the tree", lambda: os.chmod(finished, 0o777))
attempt("rename over", lambda: os.rename(spare, program))
attempt("rename over, by the folder kept", lambda: os.rename(spare, "install", dst_dir_fd=folder))
attempt("add, by the folder kept", lambda: os.open("more", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
attempt("unlink", lambda: os.unlink(program))
attempt("move the tree", lambda: os.rename(finished, own + ".moved"))
attempt("move the package", lambda: os.rename(os.path.dirname(finished), own + ".moved"))
attempt("replace the manifest", lambda: os.rename(spare, finished + ".manifest"))
attempt("add a package", lambda: os.mkdir(os.path.dirname(finished) + "/2"))
print(json.dumps(done), flush=True)
"""


@case("whoever has the worker's account changes no finished tree: by what they kept open, by other names, or at its place")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    mark = t.dir / "was-run"
    client("fetch", package)
    tree = unfinish(client, package)
    holder = as_account(WORKER_ID, HOLDER, mark, tree, client.state / f"store/{package}/1", client.state / "store/locks/other")
    t.defer(holder.kill)
    equal(holder.stdout.readline(), "ready\n", "the holder")
    got = client.json("fetch", package)
    equal(got["path"], str(client.state / f"store/{package}/1"), "where it is")
    holder.stdin.write("go\n")
    holder.stdin.flush()
    equal(json.loads(holder.stdout.readline()), [], "what the worker's account could do")
    for name in sorted(p.name for p in source.iterdir()):
        equal((tree.parents[2] / package / "1" / name).read_bytes(), (source / name).read_bytes(), name)
    equal(client.json("verify"), [], "verify")
    done = client("run", package, "install")
    need(not mark.exists() and "evil" not in done.out + done.err, "their bytes were run", done.out)
    equal({p.lstat().st_uid for p in (client.state / "store" / package).rglob("*")}, {0}, "whose it is")


@case("a racer with the worker's account, who swaps and writes while trees are built and taken over, never has bytes run")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    partial, own = client.state / "store/partial", client.state / "store/locks/racer"
    client("fetch", package)
    kept = shutil.copytree(client.state / "store" / package, t.dir / "kept")
    own.mkdir()
    os.chown(own, WORKER_ID, -1)
    mark = t.dir / "was-run"
    racer = as_account(WORKER_ID, RACER, mark, SWAPS // 3, SEED, own, partial, client.state / "store" / package, HOLDS="1")
    t.defer(racer.kill)
    codes, slowest = {}, 0
    while racer.poll() is None:
        client("cache", "--clear", check=False)
        if sum(codes.values()) % 2:
            # Built, under its final name, and to be taken over by the next run.
            shutil.copytree(kept, client.state / "store" / package, dirs_exist_ok=True)
            subprocess.run(["chown", "-R", "-h", str(WORKER_ID), *(client.state / "store" / package).iterdir()], check=True)
        began = time.monotonic()
        done = client("run", package, "install", check=False, timeout=120)
        slowest = max(slowest, time.monotonic() - began)
        codes[done.code] = codes.get(done.code, 0) + 1
        need(done.code in (0, 3, 4, 5), "run ends in one of the ways it may", done.code, done.err[-800:])
        need("evil" not in done.out + done.err and not mark.exists(), "the racer's bytes were run", done.out)
        forget_servers(client)
    swapped, refused = map(int, racer.stdout.read().split())
    print(f"# seed {SEED}: {swapped} swaps, {refused} refused; runs by exit code: {codes}, the slowest {slowest:.1f} s")
    shutil.rmtree(own)
    client("run", package, "install")
    equal(client.json("verify"), [], "verify")
    for line in client.json("messages"):
        need("evil" not in json.dumps(line), "the racer's output in a record", line)


@case("trees of a version before, which are the worker's, are taken over where they stand, and are its no more")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    source, client, package = world_of_one_program(t)
    store, dp = client.state / "store", next(p for p in t.dir.rglob("packway-dp.json")).parent
    client("run", package, "install")
    # As it was: store and all in it the worker's.
    shutil.rmtree(store / "taking", ignore_errors=True)
    subprocess.run(["chown", "-R", "-h", f"{WORKER_ID}:0", store], check=True)
    store.chmod(0o771)
    dp.rename(t.dir / "away")  # nothing is fetched
    inode = (store / package / "1/install").stat().st_ino
    client("run", package, "install")
    equal((store / package / "1/install").stat().st_ino, inode, "the same file")
    equal({p.lstat().st_uid for p in [store, *(store / package).rglob("*")]}, {0}, "whose it is")
    equal(client.json("verify"), [], "verify")
    # And one that was changed while it was the worker's is mended, or not run.
    subprocess.run(["chown", "-R", "-h", f"{WORKER_ID}:0", store], check=True)
    (store / package / "1/install").write_text("#!/bin/sh\necho evil\n")
    refused = client("run", package, "install", check=False)
    need(refused.code == 4 and "evil" not in refused.out, "not run without a server", refused.code, refused.out)
    (t.dir / "away").rename(dp)
    need("evil" not in client("run", package, "install").out, "mended")
    equal((store / package / "1/install").read_text(), (source / "install").read_text(), "the program")


main()
