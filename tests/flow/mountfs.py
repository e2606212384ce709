#!/usr/bin/python3
"""Mounts: a package as a folder, read from a server as it is needed, by FUSE itself."""
import errno
import grp
import hashlib
import os
import pathlib
import resource
import struct

from flow import *
from victims import of_client


def mounts_under(folder):
    """Places under `folder` where something is mounted."""
    places = [l.split()[4] for l in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return [p for p in places if p == str(folder) or p.startswith(f"{folder}/")]


def unmount_all(t):
    for place in reversed(mounts_under(t.dir)):
        subprocess.run(["umount", "-l", place] if os.geteuid() == 0 else ["fusermount3", "-uz", place], check=False)


def mounting(t):
    """Called first: nothing stays mounted, whatever becomes of the case."""
    t.defer(lambda: unmount_all(t))
    t.dir.chmod(0o755)


def web_dp(t, site, name, server=""):
    web = t.new_dir(name)
    web.chmod(0o777)  # nginx started as root writes as nobody
    nginx = t.nginx(web, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;" + server)
    site("dp", "add", name, nginx.url)
    return nginx


def put_content(folder, size=6_000_000):
    """Folders, links, empty, equal and odd files; one large file that does not pack."""
    folder.mkdir()
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_text("#!/bin/sh\necho tool\n")
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "bin" / "tool-link").symlink_to("tool")
    (folder / "empty").write_bytes(b"")
    (folder / "empty-folder").mkdir()
    (folder / "large").write_bytes(random.Random(5).randbytes(size))
    (folder / "zeros").write_bytes(bytes(20_000))
    (folder / "sparse").write_bytes(bytes(3_000_000))
    (folder / "same-as-large").write_bytes((folder / "large").read_bytes())
    for n in range(300):
        (folder / "bin" / f"file-{n:03}").write_text(f"{n}\n" * (n + 1))
    return folder


def web_site(t, dps=1, size=6_000_000, server=""):
    """A site with a folder CAP and DPs that nginx serves, and a client."""
    mounting(t)
    site = t.site()
    site.folder_cap("cap1")
    nginx = [web_dp(t, site, f"dp{n + 1}", server) for n in range(dps)]
    package = site.package("tool", put_content(t.dir / "source", size))
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    return site, nginx, package, client


def get_bytes(nginx):
    """Bytes of packs that were read so far."""
    return sum(int(l[5]) for l in nginx.lines() if l[2] == "GET" and "/packs/" in l[3])


@case("a mount shows the package as it is, and reads from the network what is read from it")
def _(t):
    _, (nginx,), package, client = web_site(t, size=40_000_000)
    at = t.dir / "mnt"
    before = get_bytes(nginx)
    got = client.json("mount", package, at)
    equal((got["package"], got["version"], got["at"], got["already"]), (package, 1, str(at), False), "mount")
    equal((at / "bin" / "tool").read_text(), "#!/bin/sh\necho tool\n", "a small file")
    need(get_bytes(nginx) - before < 20_000_000, "a small file costs the whole package", get_bytes(nginx) - before)
    equal(run(at / "bin" / "tool-link").out, "tool\n", "a program, run by a link")
    same_tree(t.dir / "source", at)
    with (at / "large").open("rb") as f:
        f.seek(12_345_678)
        equal(f.read(1000), (t.dir / "source" / "large").read_bytes()[12_345_678:12_346_678], "a piece")
    for act in (lambda: (at / "new").write_text("x"), lambda: (at / "empty").write_text("x"),
                lambda: (at / "empty").unlink(), lambda: (at / "large").open("r+b")):
        try:
            act()
        except OSError as e:
            need(e.errno in (errno.EROFS, errno.EACCES), "another refusal", e)
        else:
            need(False, "a write went through")
    equal([r for r in client.json("connections") if str(r.get("at", "")).startswith(str(t.dir))], [], "mounts that count as ways")
    equal(client.json("explain")["chosen"]["server"], "dp1", "the decision that is kept")
    done = client.json("unmount", at)
    equal((done["package"], done["at"]), (package, str(at)), "unmount")
    equal(mounts_under(t.dir), [], "mounts that are left")
    need(not at.exists(), "a folder that was made for it is left")
    equal(list((client.state / "mounts").glob("*.json")), [], "records that are left")
    again = client("unmount", at, check=False)
    need(again.code == 3 and "[PW-NOT-FOUND]" in again.err, "a second unmount", again.code, again.err)


@case("what was read once is read without the network, and as a whole belongs to the store")
def _(t):
    _, (nginx,), package, client = web_site(t)
    at = t.dir / "mnt"
    client("mount", package, at)
    same_tree(t.dir / "source", at)
    wait_for("the store", 10, lambda: any(r["complete"] for r in client.json("cache")))
    client("unmount", at)
    lines = len(nginx.lines())
    client("mount", package, at)
    same_tree(t.dir / "source", at)
    equal(client.json("verify"), [], "findings")
    equal(len(nginx.lines()), lines, "requests of the second time")
    client("cache", "--clear")
    equal([r["in_use"] for r in client.json("cache")], [True], "content that is mounted is not removed")
    client("unmount", at)


@case("a mount goes on from another server when its own dies in mid-read")
def _(t):
    _, nginx, package, client = web_site(t, 2, 60_000_000, server="limit_rate 30m;")
    at = t.dir / "mnt"
    client("prefer", "dp1")
    client("mount", package, at)
    want = hashlib.sha256((t.dir / "source" / "large").read_bytes()).hexdigest()
    digest = hashlib.sha256()
    with (at / "large").open("rb") as f:
        digest.update(f.read(1_000_000))
        nginx[0].stop()
        while piece := f.read(1 << 20):
            digest.update(piece)
    equal(digest.hexdigest(), want, "what was read")
    need(get_bytes(nginx[1]) > 20_000_000, "the second server gave little", get_bytes(nginx[1]))
    client("unmount", at)


@case("wrong bytes are never shown: the next server's are, else an input/output error")
def _(t):
    _, nginx, package, client = web_site(t, 2, 12_000_000)
    at = t.dir / "mnt"
    for pack in (nginx[0].folder / package / "packs").glob("*.pack"):
        data = bytearray(pack.read_bytes())
        for place in range(1000, len(data), 50_000):
            data[place] ^= 1
        pack.write_bytes(data)
    client("prefer", "dp1")
    client("mount", package, at)
    same_tree(t.dir / "source", at)
    client("unmount", at)
    client("cache", "--clear")
    client("mount", package, at)  # from the second one from the start: the first is quarantined
    nginx[1].stop()
    seen = 0
    with (at / "large").open("rb") as f, (t.dir / "source" / "large").open("rb") as g:
        for place in range(0, 12_000_000, 500_000):
            g.seek(place)
            try:
                equal(os.pread(f.fileno(), 4096, place), g.read(4096), f"bytes at {place}")
            except OSError as e:
                equal(e.errno, errno.EIO, "error")
                seen += 1
                break
    equal(seen, 1, "errors once nobody has right bytes")
    client("unmount", at)


def ticks_of_reading(client, package, at):
    """What the process that serves a new mount computes by itself until its one large file was read."""
    client("mount", package, at)
    (record,) = (client.state / "mounts").glob("*.json")
    run("cmp", at.parent / "source" / "large", at / "large")
    stat = pathlib.Path(f"/proc/{json.loads(record.read_text())['process']}/stat").read_text()
    client("unmount", at)
    return int(stat.rsplit(")", 1)[1].split()[11])


@case("what comes because a mount is read is hashed by who keeps it, and not again by the mount")
def _(t):
    skip_unless(os.geteuid() == 0, "root: where one account does all, the mount hashes what that has brought")
    mounting(t)
    site = t.site()
    site.folder_cap("cap1")
    web_dp(t, site, "dp1")
    (t.dir / "source").mkdir()
    (t.dir / "source" / "large").write_bytes(random.Random(7).randbytes(200_000_000))
    package = site.package("tool", t.dir / "source")
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    at = t.dir / "mnt"
    for _ in range(3):  # who reads seconds after what was kept, on a machine that does other things, hashes
        client("cache", "--clear")
        first = ticks_of_reading(client, package, at)
        again = ticks_of_reading(client, package, at)
        if first < again / 2:
            return
    need(False, f"{first} ticks as it comes, {again} when it was here")


@case("a mount works where no file may be larger than the memory that saves it a second hash")
def _(t):
    _, _, package, client = web_site(t)
    at = t.dir / "mnt"
    client("mount", package, at, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (45_000_000, 45_000_000)))
    same_tree(t.dir / "source", at)
    client("unmount", at)


@case("content that was changed on the disk is brought again before it is shown")
def _(t):
    _, (nginx,), package, client = web_site(t)
    at = t.dir / "mnt"
    path = pathlib.Path(client.json("fetch", package)["path"]) / "large"
    path.chmod(0o644)
    with path.open("r+b") as f:
        f.seek(3_000_000)
        f.write(b"changed by somebody")
    client("mount", package, at)
    same_tree(t.dir / "source", at)
    client("unmount", at)


@case("a place that is taken is refused with the name of who has it")
def _(t):
    _, _, package, client = web_site(t)
    at = t.dir / "mnt"
    at.mkdir()
    (at / "file").write_text("mine")
    refused = client("mount", package, at, check=False)
    need("[PW-IN-USE]" in refused.err and '"file"' in refused.err, "a folder that is not empty", refused.err)
    equal((at / "file").read_text(), "mine", "the file")
    (at / "file").unlink()
    if os.geteuid() == 0:
        run("mount", "-t", "tmpfs", "theirs", at)
        refused = client("mount", package, at, check=False)
        need("theirs (tmpfs) is mounted" in refused.err, "another mount", refused.err)
        refused = client("unmount", at, check=False)
        need("[PW-NOT-FOUND]" in refused.err, "unmount of what is not ours", refused.err)
        run("umount", at)
    client("mount", package, at)
    equal(client.json("mount", package, at)["already"], True, "the same content")
    shell = t.spawn("sleep", "1000", cwd=at)
    wait_for("the holder", 5, lambda: os.readlink(f"/proc/{shell.pid}/cwd") == str(at))
    refused = client("unmount", at, check=False)
    need("[PW-IN-USE]" in refused.err and f"sleep (process {shell.pid})" in refused.err, "who holds it", refused.err)
    shell.kill()
    shell.wait()
    client("unmount", at)
    need(at.is_dir(), "a folder that was there before is gone")


def advertised(t, command, *options, dps=1, size=6_000_000, server=""):
    """A package with a program that asks for a mount, mandatory for all; the client has synced nothing yet."""
    site, nginx, package, client = web_site(t, dps, size, server)
    (t.dir / "out").mkdir()
    site("program", "add", package, "go", "--command", command.replace("OUT", str(t.dir / "out")), *options)
    site("advertise", package, "go", "--collection", "all", "--available", "now")
    site("publish")
    client("sync")
    return site, nginx, package, client


SAY = "sh -c 'pwd >OUT/pwd; echo $PACKWAY_CONTENT {content} >OUT/content; sha256sum <large >OUT/sum; echo done >OUT/done'"


def sum_of(path):
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  -\n"


def ended(t):
    return (t.dir / "out" / "done").exists()


def answers_reads(at):
    with contextlib.suppress(OSError):
        return bool(os.listdir(at))
    return False


def stays_mounted(t, expect):
    wait_for(f"mounts {expect}", 15, lambda: mounts_under(t.dir) == expect)


@case("a program runs from a mount anywhere while its DP is killed, and ends from another")
def _(t):
    command = "sh -c 'pwd >OUT/pwd; echo $PACKWAY_CONTENT {content} >OUT/content; head -c 1000 large >/dev/null; echo >OUT/begun; " \
              "while [ ! -e OUT/go ]; do sleep 0.1; done; sha256sum <large >OUT/sum; echo >OUT/done'"
    _, nginx, package, client = advertised(t, command, "--mount", "any", dps=2, size=40_000_000)
    client("prefer", "dp1")
    command = t.spawn(program("packway"), "--state", client.state, "run", package, "go", env=client.env)
    wait_for("the program", 30, (t.dir / "out" / "begun").exists)
    (place,) = mounts_under(t.dir)
    nginx[0].stop()
    (t.dir / "out" / "go").touch()
    equal(command.wait(60 * SLOW), 0, "exit code")
    equal((t.dir / "out" / "sum").read_text(), sum_of(t.dir / "source" / "large"), "what the program read")
    equal((t.dir / "out" / "content").read_text(), f"{place} {place}\n", "PACKWAY_CONTENT and {content}")
    equal((t.dir / "out" / "pwd").read_text(), f"{place}\n", "working folder")
    need(get_bytes(nginx[1]) > 10_000_000, "the second server gave little", get_bytes(nginx[1]))
    stays_mounted(t, [])
    wait_for("the last of it to go", 15, lambda: all(p.suffix == ".lock" for p in (client.state / "mounts").iterdir()))


@case("a program that asks for a place gets exactly that, and its child keeps it mounted (Q158313, Q215080)")
def _(t):
    at = t.dir / "place"
    command = "sh -c 'pwd >OUT/pwd; (while [ ! -e OUT/go ]; do sleep 0.1; done; cat large >OUT/copy; echo >OUT/done) & echo >OUT/first'"
    _, _, package, client = advertised(t, command, "--mount", str(at))
    client.agent()
    command = t.spawn(program("packway"), "--state", client.state, "run", package, "go", env=client.env)
    wait_for("the end of the first process", 30, (t.dir / "out" / "first").exists)
    time.sleep(2)
    equal(mounts_under(t.dir), [str(at)], "mounts while the child lives")
    equal((t.dir / "out" / "pwd").read_text(), f"{at}\n", "working folder")
    (t.dir / "out" / "go").touch()
    equal(command.wait(60 * SLOW), 0, "exit code")
    equal((t.dir / "out" / "copy").read_bytes(), (t.dir / "source" / "large").read_bytes(), "what the child read")
    stays_mounted(t, [])
    wait_for("the folder that was made for it to go", 15, lambda: not at.exists())


@case("a place that is taken is an error that names the holder, and the program runs once it is free (Q234327)")
def _(t):
    at = t.dir / "place"
    at.mkdir()
    (at / "mine").touch()
    _, _, package, client = advertised(t, SAY, "--mount", str(at))
    refused = client("run", package, "go", check=False)
    need(refused.code != 0 and "[PW-IN-USE]" in refused.err and '"mine"' in refused.err, "no word of the holder",
         refused.code, refused.err)
    need(not ended(t), "the program ran elsewhere")
    (at / "mine").unlink()
    client("run", package, "go")
    equal((t.dir / "out" / "pwd").read_text(), f"{at}\n", "working folder")
    stays_mounted(t, [])


@case("a place where the same content is mounted is used, and left as it was")
def _(t):
    at = t.dir / "place"
    _, _, package, client = advertised(t, SAY, "--mount", str(at))
    client("mount", package, at)
    client("run", package, "go")
    equal((t.dir / "out" / "sum").read_text(), sum_of(t.dir / "source" / "large"), "what the program read")
    time.sleep(1)
    equal(mounts_under(t.dir), [str(at)], "mounts afterwards (Q274751)")
    client("unmount", at)


@case("a shell in the mount delays its release, and whoever left is not waited for (Q163597)")
def _(t):
    at = t.dir / "place"
    command = "sh -c 'echo >OUT/begun; while [ ! -e OUT/go ]; do sleep 0.1; done'"
    _, _, package, client = advertised(t, command, "--mount", str(at))
    command = t.spawn(program("packway"), "--state", client.state, "run", package, "go", env=client.env)
    wait_for("the program", 30, (t.dir / "out" / "begun").exists)
    shell = t.spawn("sleep", "1000", cwd=at)
    (t.dir / "out" / "go").touch()
    equal(command.wait(60 * SLOW), 0, "exit code")
    time.sleep(1.5)
    equal(mounts_under(t.dir), [str(at)], "mounts while somebody is in it")
    shell.kill()
    shell.wait()
    stays_mounted(t, [])


def servers_of(client):
    return [p for p, name in processes(client) if name == "packway-mount"]


def processes(client):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (entry / "cmdline").read_bytes().split(b"\0")
            if str(client.state).encode() in argv:
                found.append((int(entry.name), os.path.basename(argv[0]).decode()))
    return found


@case("the agent killed with a mount in use changes nothing for the program; all killed, the next start clears up (Q294939)")
def _(t):
    at = t.dir / "place"
    command = "sh -c 'echo >OUT/begun; while [ ! -e OUT/go ]; do sleep 0.1; done; sha256sum <large >OUT/sum; echo >OUT/done'"
    _, _, package, client = advertised(t, command, "--mount", str(at))
    agent = client.agent()
    t.spawn(program("packway"), "--state", client.state, "run", package, "go", env=client.env)
    wait_for("the program", 30, (t.dir / "out" / "begun").exists)
    agent.kill()
    agent.wait()
    agent = client.agent()
    time.sleep(2)
    equal(mounts_under(t.dir), [str(at)], "mounts after the agent's death")
    (t.dir / "out" / "go").touch()
    wait_for("the program", 20, lambda: ended(t))
    equal((t.dir / "out" / "sum").read_text(), sum_of(t.dir / "source" / "large"), "what the program read")
    stays_mounted(t, [])
    client("mount", package, at)
    agent.kill()
    agent.wait()
    for pid in servers_of(client):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for("the end", 10, lambda: not servers_of(client))
    equal(mounts_under(t.dir), [str(at)], "a mount that nobody serves")
    client.agent()
    stays_mounted(t, [])
    wait_for("the records", 15, lambda: not list((client.state / "mounts").glob("*.json")))
    client("mount", package, at)
    client("unmount", at)


def smb_of(client):
    """The processes that hold the client's sessions with shares."""
    parents, found = {pid for pid, _ in processes(client)}, []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, stat = (entry / "stat").read_text().rsplit(")", 1)
            if name.endswith("(packway-smb") and int(stat.split()[1]) in parents:
                found.append(int(entry.name))
    return found


def share_site(t, size=40_000_000):
    """A site with a folder CAP and a DP that is a share, a package with large content and a small one, and a client with its agent."""
    mounting(t)
    site, smb = t.site(), t.samba()
    cap = site.folder_cap("cap1")
    site("dp", "add", "dp1", smb.url("dp"))
    large, small = site.package("large", put_content(t.dir / "source", size)), site.package("small", make_tree(t.dir / "small"))
    site("publish")
    client = t.client().enroll(site, f"file://{cap}")
    return smb, large, small, client, client.agent()


def read_on(file, digest, size):
    """So many bytes more of what was opened, or all that is left."""
    while size > 0 and (piece := file.read(min(size, 1 << 20))):
        digest.update(piece)
        size -= len(piece)


@case("mounts read over the session that the agent holds, and go on by themselves when it or the agent dies")
def _(t):
    smb, large, small, client, agent = share_site(t)
    want = hashlib.sha256((t.dir / "source" / "large").read_bytes()).hexdigest()
    at, other = t.dir / "mnt", t.dir / "other"

    def begin():
        """Session setups of a fetch and of two mounts that are read, beside the agent; one of them stays and is read on."""
        before, digest = smb.mark(), hashlib.sha256()
        client("fetch", small)
        client("cache", "--clear")
        client("mount", large, at)
        file = (at / "large").open("rb")
        read_on(file, digest, 4_000_000)
        client("mount", small, other)
        same_tree(t.dir / "small", other)
        read_on(file, digest, 4_000_000)
        client("unmount", other)
        return len(smb.setups(before)), file, digest

    for _ in range(TRIES):  # on a busy machine the agent's worker may be too late, and the mount has one of its own
        setups, file, digest = begin()
        if setups <= 1:
            break
        file.close()
        client("unmount", at)
    need(setups <= 1, "session setups of an agent, a fetch and two mounts each time", setups)
    for pid in smb_of(client):
        os.kill(pid, signal.SIGKILL)
    read_on(file, digest, 12_000_000)
    agent.kill()
    agent.wait()
    read_on(file, digest, 40_000_000)
    file.close()
    equal(digest.hexdigest(), want, "what was read")
    client("unmount", at)
    wait_for("the end of the sessions", 10, lambda: not smb.sessions())
    # Whoever built it for the mount may hold it for a moment, which a clearing respects.
    wait_for("an empty store", 10, lambda: client("cache", "--clear") and not client.json("cache"))
    before, digest = smb.mark(), hashlib.sha256()
    client("mount", large, at)
    with (at / "large").open("rb") as file:
        read_on(file, digest, 1_000_000)
        equal(len(smb.setups(before)), 1, "session setups of a mount without an agent")
        client.agent()
        read_on(file, digest, 40_000_000)
    equal(digest.hexdigest(), want, "what was read once an agent had come")
    client("unmount", at)


@case("what the agent fetches meanwhile does not hold up a mount")
def _(t):
    _, large, small, client, _ = share_site(t)
    at = t.dir / "mnt"
    slow = t.spawn(program("packway"), "--state", client.state, "fetch", large, "--rate", "50kB/s", env=client.env)
    wait_for("the slow fetch", 30, lambda: (client.state / "store" / "building").exists() and slow.poll() is None
             and list((client.state / "store" / "building").iterdir()))
    client("mount", small, at)
    same_tree(t.dir / "small", at)
    equal(slow.poll(), None, "the fetch has ended: the test proves nothing")
    client("unmount", at)
    slow.terminate()
    slow.wait()


WITHOUT_FUSE = """
for name in null zero full random urandom tty; do : >"$0/$name"; mount --bind "/dev/$name" "$0/$name"; done
mkdir "$0/shm"; mount --bind /dev/shm "$0/shm"; mount --move "$0" /dev; exec "$@"
"""


@case("on a machine without FUSE a mount is a clear error that names the other way, and that way works")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    site, _, package, client = advertised(t, SAY, "--mount", "any")
    devices = t.new_dir("devices")

    def without(*args, check=True):
        return run("unshare", "-m", "sh", "-c", f'mount -t tmpfs none "$0"; {WITHOUT_FUSE}', devices, program("packway"), "--state",
                   client.state, *args, env=client.env, check=check)
    at = t.dir / "mnt"
    refused = without("mount", package, at, check=False)
    need(refused.code == 1 and "[PW-UNSUPPORTED]" in refused.err and "/dev/fuse" in refused.err and "packway fetch" in refused.err,
         "the error", refused.code, refused.err)
    need(not at.exists(), "a folder is left")
    # A program that asks for a mount anywhere gets a copy, with a word; one that asks for a place cannot.
    ran = without("run", package, "go")
    need("/dev/fuse" in ran.err and "the program gets a copy" in ran.err, "no word of it", ran.err)
    equal((t.dir / "out" / "sum").read_text(), sum_of(t.dir / "source" / "large"), "what the program read")
    site("program", "add", package, "placed", "--command", "true", "--mount", str(t.dir / "place"))
    site("advertise", package, "placed", "--collection", "all", "--available", "now")
    site("publish")
    client("sync")
    refused = without("run", package, "placed", check=False)
    need(refused.code == 1 and "[PW-UNSUPPORTED]" in refused.err, "a program that asks for a place", refused.code, refused.err)
    without("fetch", package, "-o", t.dir / "copy")
    same_tree(t.dir / "source", t.dir / "copy")


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def offered_site(t):
    """Two packages, of which the first is offered to the group of nobody, and a client with its agent, all as root."""
    site, nginx, package, client = web_site(t, 2, 20_000_000)
    other = site.package("other", make_tree(t.dir / "other"))
    site("program", "add", package, "go", "--command", "true")
    site("advertise", package, "go", "--collection", "all", "--available", "now", "--offer-to", grp.getgrgid(65534).gr_name)
    site("publish")
    client("prefer", "dp1")
    client.agent()
    client("sync")
    client.state.chmod(0o711)
    mine = t.dir / "of nobody"
    mine.mkdir()
    os.chown(mine, 65534, 65534)
    return nginx, package, other, client, mine


@case("other users mount what is offered to them, at places of theirs and by their own rights, and nothing else")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    nginx, package, other, client, mine = offered_site(t)

    def as_nobody(*args, check=True):
        return run(*NOBODY, program("packway"), "--state", client.state, *args, env=client.env, check=check)
    at = mine / "mnt"
    equal(as_nobody("mount", package, at, "--json").json["at"], str(at), "where")
    digest = run(*NOBODY, "sha256sum", at / "large").out.split()[0]
    equal(digest, sum_of(t.dir / "source" / "large").split()[0], "what nobody reads")
    equal(run(*NOBODY, at / "bin" / "tool").out, "tool\n", "a program that nobody runs from it")
    (row,) = [l for l in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if "of\\040nobody" in l]
    need("user_id=65534" in row and "nosuid" in row and "nodev" in row and " ro," in row, "how it is mounted", row)
    need(get_bytes(nginx[0]) > 0, "nothing came by the agent's ways")
    nginx[0].stop()
    run(*NOBODY, "diff", "-r", "--no-dereference", t.dir / "source", at)
    refused = as_nobody("unmount", t.dir / "elsewhere", check=False)
    need("[PW-NOT-FOUND]" in refused.err, "unmount of nothing", refused.err)
    as_nobody("unmount", at)
    equal(mounts_under(mine), [], "mounts after unmount")
    wait_for("the end of who served it", 15, lambda: not servers_of(client))
    # What is not offered, and where nobody may not write.
    for words, package_, place, code in (("what is not offered", other, at, "PW-PERMISSION"),
                                         ("a place of root's", package, t.dir / "root's", "PW-PERMISSION")):
        refused = as_nobody("mount", package_, place, check=False)
        need(refused.code != 0 and f"[{code}]" in refused.err, words, refused.code, refused.err)
        equal(mounts_under(t.dir), [], f"{words}: mounts")
    # As many as one user may have, and no more.
    for n in range(4):
        as_nobody("mount", package, mine / f"m{n}")
    refused = as_nobody("mount", package, mine / "m4", check=False)
    need("[PW-LOCKED]" in refused.err and not (mine / "m4").exists(), "one too many", refused.err)
    for n in range(4):
        as_nobody("unmount", mine / f"m{n}")


@case("the agent serves nothing but FUSE's own device")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    _, package, _, client, _ = offered_site(t)
    request = json.dumps({"op": "mount", "package": package}).encode()
    for name, path in (("none", None), ("/dev/null", "/dev/null"), ("a file", t.dir / "source" / "large")):
        with socket.socket(socket.AF_UNIX) as s, contextlib.ExitStack() as stack:
            s.connect(str(client.state / "agent.sock"))
            frame = struct.pack("<I", len(request)) + request
            passed = [stack.enter_context(open(path, "rb")).fileno()] if path else []
            socket.send_fds(s, [frame], passed)
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        need(b"PW-USAGE" in answer, name, answer)
    equal(servers_of(client), [], "who serves it")


@case("a mount that is kept stays after its program, comes back with the agent, and goes when it is unmounted")
def _(t):
    at = t.dir / "place"
    _, _, package, client = advertised(t, SAY, "--mount", str(at), "--keep")
    agent = client.agent()
    client("run", package, "go")
    time.sleep(1)
    equal(mounts_under(t.dir), [str(at)], "mounts after the program")
    agent.kill()
    agent.wait()
    for pid in servers_of(client):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for("the end", 10, lambda: not servers_of(client))
    client.agent()
    wait_for("the mount", 20, lambda: mounts_under(t.dir) == [str(at)] and answers_reads(at))
    same_tree(t.dir / "source", at)
    client("unmount", at)
    equal(mounts_under(t.dir), [], "mounts after unmount")
    need(not at.exists(), "a folder that was made for it is left")
    equal(list((client.state / "mounts").glob("*.json")), [], "records that are left")


def kill_parts(t, client, kills, over):
    """Kill keeper and worker of a mount in turn, each when there is one, at random moments; how many were hit."""
    hit = {}
    for number in range(kills):
        over.wait(t.rng.uniform(0.01, 0.4))
        kind = ("keeper", "worker")[number % 2]
        while not over.is_set() and not (victims := list(of_client(client, kind))):
            over.wait(0.002)
        for pid in victims if not over.is_set() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit[kind] = hit.get(kind, 0) + 1
    return hit


@case("what is read by a mount is right when its keeper and worker are killed meanwhile, and what they brought stays")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    _, (nginx,), package, client = web_site(t, size=16_000_000, server=" limit_rate 8m;")
    at, over, hit = t.dir / "mnt", threading.Event(), []
    client("mount", package, at)
    # Fewer than a request is tried again.
    killer = threading.Thread(target=lambda: hit.append(kill_parts(t, client, 6, over)))
    killer.start()
    try:
        digest = hashlib.sha256((at / "large").read_bytes())
    finally:
        over.set()
        killer.join()
    equal(digest.hexdigest(), hashlib.sha256((t.dir / "source" / "large").read_bytes()).hexdigest(), "what was read")
    client("unmount", at)
    got = client.json("fetch", package)
    print(f"# killed {hit[0]}; a fetch then moves {got['bytes_network']} bytes")
    need(got["bytes_network"] < 6_000_000, "what was read comes again", got)
    same_tree(t.dir / "source", got["path"])
    equal(client.json("verify"), [], "verify")


main()
