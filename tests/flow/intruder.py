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
with open(os.path.join(own, "evil"), "wb") as f:
    f.write(evil)
os.chmod(os.path.join(own, "evil"), 0o755)
seen = names()
while done < swaps and done + refused < 4 * swaps:
    if (done + refused) % 200 == 0:
        seen = names()
    put(r.choice(seen), r.randrange(4))
    if (done + refused) % 4 == 0:
        time.sleep(0.001)
print(done, refused)
"""


def as_nobody(t, *argv):
    return subprocess.Popen(["/usr/bin/python3", "-c", RACER, *map(str, argv)], user=NOBODY,
                            group=pwd.getpwuid(NOBODY).pw_gid, extra_groups=[],
                            stdout=subprocess.PIPE, text=True)


@case("a racer who swaps a DP's files, links and folders, and root's where they may, never has bytes run")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    t.dir.chmod(0o755)
    source = t.dir / "source"
    source.mkdir()
    (source / "install").write_text("#!/bin/sh\ncat data | sha256sum\necho genuine\n")
    (source / "install").chmod(0o755)
    (source / "data").write_bytes(random.Random(SEED).randbytes(300000))
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
    own = t.dir / "racer"
    own.mkdir()
    mark = own / "was-run-by-root"
    dp = next(p for p in t.dir.rglob("packway-dp.json")).parent
    for path in [own, dp, *dp.rglob("*")]:
        os.chown(path, NOBODY, -1)
    racer = as_nobody(t, mark, SWAPS, SEED, own, dp, client.state, client.state / "store")
    t.defer(racer.kill)
    ran = kept_out = 0
    while racer.poll() is None:
        done = client("run", package, "install", check=False, timeout=120)
        ran += done.code == 0
        kept_out += done.code != 0
        need(done.code in (0, 4, 5), "run ends in one of the ways it may", done.code, done.err[-800:])
        need("evil" not in done.out + done.err, "the racer's bytes were run", done.out)
        client("cache", "--clear", check=False)
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
    state, rooms = client.state, ("worker", "metadata", "policy", "decisions", "store")
    agent = client.agent()
    client("fetch", package)
    (worker,) = wait_for("the worker", 10, lambda: workers_below(agent.pid))
    equal((set(worker["Uid"]), set(worker["Gid"]), worker["Groups"]), ({str(WORKER_ID)}, {str(WORKER_ID)}, []), "who it is")
    equal((int(worker["CapEff"][0], 16), int(worker["CapBnd"][0], 16), worker["NoNewPrivs"]), (4, 4, ["1"]), "its rights")
    client("run", package, "install")
    equal((t.dir / "ran").read_text().split(), ["0"], "who the program is")
    by = owners(state)
    equal({n for n in by.pop(WORKER_ID) if n.split("/")[0] not in rooms}, set(), "what is the worker's elsewhere")
    equal(set(by), {0}, "others who own something")
    need({"client.key", "identity.json", "plan.json", "journal", "outbox", "lock"} <= by[0], "what is root's", by[0])
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
    equal({p.stat().st_uid for p in [state / r for r in rooms] + list((state / "store").rglob("install"))}, {WORKER_ID}, "made over")
    (t.dir / "cap1/inbox").chmod(0o700)
    (row,) = [r for r in client.json("doctor", check=False) if r["check"] == "inbox"]
    need(row["result"] == "failed" and "chmod 1733" in row["text"], "doctor on an inbox that root alone may write", row)
    (state / "packway.conf").write_text((state / "packway.conf").read_text().replace(WORKER_USER, "worker-user = root\n"))
    client("sync")
    client("run", package, "install")
    equal(set(owners(state)), {0}, "owners after the way back")
    (row,) = [r for r in client.json("doctor", check=False) if r["check"] == "worker"]
    need("is root" in row["text"], "doctor says so", row)


main()
