"""One function per goal: sets up, measures ours and the peer in turn, prints the ratios."""
import os
import pathlib
import re
import signal
import subprocess
import time

import corpus
import flow
import hostile
import lines
import memory
import updates
from measure import Cost, in_rounds, note, put_aside, remove, settle, timed

class Bench:
    def __init__(self, data, rounds, report, wide=False):
        self.data, self.rounds, self.report, self.wide = data, rounds, report, wide

    def pairs(self):
        return corpus.wide_pairs(self.data) if self.wide else corpus.pairs(self.data)

    def trees(self):
        return {label: new for label, (_, new) in self.pairs().items()} if self.wide else corpus.trees(self.data)


def tool(name):
    return str(flow.BUILD / "bench" / name)


# -- publishing ----------------------------------------------------------------------------------

class Publisher:
    """A site of its own with one folder as its DP."""

    def __init__(self, t, name):
        self.home = t.dir / name
        self.site = self.home / "site"
        self.dp = self.home / "dp"

    def verb(self, *args):
        return timed([flow.program("packway-site"), "--site", self.site, *args])

    def renew(self):
        remove(self.home)
        self.dp.mkdir(parents=True)
        timed([flow.program("packway-site"), "init", self.site, "--code", "LON"])
        self.verb("dp", "add", "dp1", f"file://{self.dp}")

    def publish(self, tree):
        """From the source folder to a validated copy on the DP."""
        self.renew()
        settle()
        return (self.verb("package", "create", "tree", "--source", tree)[0]
                + self.verb("package", "distribute", "LON00001", "--all", "--no-patches")[0])

    def publish_again(self):
        return self.verb("package", "update", "LON00001")[0]

    def packs_size(self):
        return sum(p.stat().st_size for p in self.dp.rglob("*.pack"))


def p1_floors(tree, ours, t):
    """
    What no way of publishing can leave out: SHA-256 of the tree for the chunks' ids, of the packs
    for their names and of the copy that is read back, and the writing of packs and copy. And for
    the unchanged tree: the start of the program and of `find`, which looks at every file.
    """
    def copies():
        remove(t.dir / "floor")
        (t.dir / "floor").mkdir()
        settle()
        return timed(f"cp -r {ours.dp} {t.dir}/floor/library && cp -r {ours.dp} {t.dir}/floor/dp")[0]

    def hashes(folder):
        return lambda: timed(f"find {folder} -type f -print0 | xargs -0 -r openssl dgst -sha256")[0]

    return {
        "SHA-256 of the tree": hashes(tree),
        "SHA-256 of the packs": hashes(ours.dp),
        "two copies": copies,
        "find": lambda: timed(["find", tree, "-size", "+1000000G"])[0],
        "start": lambda: timed([flow.program("packway-site"), "--version"])[0],
    }


def p1_floor_rows(bench, cost, files, base):
    least = (cost["SHA-256 of the tree"].cpu + 2 * cost["SHA-256 of the packs"].cpu
             + cost["two copies"].cpu)
    look = cost["find"].wall + cost["start"].wall
    bench.report.row("hashes and copies alone: CPU / (tar | zstd -3)", f"{least / base.cpu:.2f} x")
    bench.report.row("the same on all cores: wall / (tar | zstd -3)",
                     f"{least / os.cpu_count() / base.wall:.2f} x")
    bench.report.row("start and `find` alone, thousand files/s", f"{files / look / 1000:.0f} k")


def p1_publish(bench, t):
    for label, tree in bench.trees().items():
        files, size = corpus.summary(tree)
        bench.report.say(f"{label}: {files} files, {size / 1e6:.0f} MB")
        ours = Publisher(t, label)
        peer = t.dir / f"{label}.tar.zst"

        def tar(tree=tree, peer=peer):
            settle()
            return timed(f"tar -C {tree} -c . | zstd -q -f -3 -T1 -o {peer}")[0]

        cost = in_rounds({
            "tar | zstd -3": tar,
            "packway-site": lambda: ours.publish(tree),
            "packway-site, unchanged": ours.publish_again,
            **p1_floors(tree, ours, t),
        }, bench.rounds)
        made, again, base = (cost[k] for k in ("packway-site", "packway-site, unchanged",
                                               "tar | zstd -3"))
        bench.report.at_most("create + distribute, wall / (tar | zstd -3)", made.wall / base.wall,
                             0.7)
        bench.report.at_most("create + distribute, CPU / (tar | zstd -3)", made.cpu / base.cpu,
                             1.1)
        bench.report.at_least("unchanged tree, thousand files/s", files / again.wall / 1000, 125,
                              "k")
        p1_floor_rows(bench, cost, files, base)
        bench.report.row("memory, most of any process", f"{made.rss_mib:.0f} MiB RSS")
        remove(ours.home)


def p2_size(bench, t):
    bench.report.say("packs alone; first-install streams stand with P3")
    for label, tree in bench.trees().items():
        ours = Publisher(t, label)
        ours.publish(tree)
        peer = t.dir / f"{label}.tar.zst"
        note(f"tar | zstd -12 --long=27: {label}")
        timed(f"tar -C {tree} --sort=name -c . | zstd -q -f -12 -T2 --long=27 -o {peer}")
        bench.report.at_most(f"{label}: packs / (tar | zstd -12 --long=27)",
                             ours.packs_size() / peer.stat().st_size, 1.25)
        remove(ours.home)


# -- reading -------------------------------------------------------------------------------------

def cpu_of(pid):
    """Seconds of processor time of one process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def p5_big_file(bench, t):
    source = corpus.big_file(bench.data).parent
    site = t.site()
    cap, dp = site.folder_cap("cap1"), site.folder_dp("dp1")
    nginx = t.nginx(t.dir, extra="sendfile on;")
    package = site.package("big", source)
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    (t.dir / "big.bin").symlink_to(source / "file.bin")
    served = {}

    def curl(hashed):
        out = t.dir / "got.bin"
        out.unlink(missing_ok=True)
        settle()
        begin = len(nginx.lines())
        check = f" && openssl dgst -sha256 {out}" if hashed else ""
        before = cpu_of(nginx.process.pid)
        cost = timed(f"curl -s -o {out} {nginx.url}/big.bin{check}")[0]
        cost.extra["server"] = cpu_of(nginx.process.pid) - before
        served["curl"] = sum(int(line[5]) for line in nginx.lines()[begin:])
        return cost

    def packway(*options):
        client("cache", "--clear")
        remove(t.dir / "out")
        settle()
        begin = len(nginx.lines())
        cost = timed([flow.program("packway"), "--state", client.state, "fetch", package, "--dp",
                      f"{nginx.url}/{dp.name}", *options], env=client.env)[0]
        served["packway"] = sum(int(line[5]) for line in nginx.lines()[begin:])
        return cost

    cost = in_rounds({
        "curl": lambda: curl(False),
        "curl, SHA-256": lambda: curl(True),
        "SHA-256": lambda: timed(f"openssl dgst -sha256 {source}/file.bin")[0],
        "packway fetch": packway,
        "packway fetch -o": lambda: packway("-o", t.dir / "out"),
    }, bench.rounds)
    base, ours = cost["curl"], cost["packway fetch"]
    hashing = cost["SHA-256"].cpu
    bench.report.at_least("fetch, MB/s / curl (which verifies nothing)", base.wall / ours.wall,
                          0.95)
    least = (base.cpu + base.extra["server"] + hashing) / os.cpu_count()
    bench.report.row("most that these cores, nginx's too, leave of it", f"{min(1, base.wall / least):.2f} x")
    bench.report.row("fetch, MB/s / (curl && openssl dgst -sha256)",
                     f"{cost['curl, SHA-256'].wall / ours.wall:.2f} x")
    bench.report.row("fetch -o, MB/s / curl",
                     f"{base.wall / cost['packway fetch -o'].wall:.2f} x")
    bench.report.at_most("fetch, CPU / (1.3 x curl + one SHA-256)",
                         ours.cpu / (1.3 * base.cpu + hashing), 1)
    bench.report.row("fetch, bytes served / curl", f"{served['packway'] / served['curl']:.3f} x")
    bench.report.row("memory, most of any process", f"{ours.rss_mib:.0f} MiB RSS")


def p13_mount(bench, t):
    source = corpus.big_file(bench.data).parent
    site = t.site()
    cap, web = site.folder_cap("cap1"), t.new_dir("web")
    web.chmod(0o777)  # nginx started as root writes as nobody
    nginx = t.nginx(web, extra="sendfile on;", server="dav_methods PUT DELETE; create_full_put_path on; "
                                                      "client_max_body_size 0;")
    site("dp", "add", "web", nginx.url)
    package = site.package("big", source)
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    at = t.dir / "mnt"
    t.defer(lambda: subprocess.run(["umount", "-l", at], stderr=subprocess.DEVNULL))

    def empty_store():
        """Whoever served the mount may still hold its content for a moment, which a clearing would respect."""
        if at.exists():
            client("unmount", at)
        remove(client.state / "store")

    def fetch():
        empty_store()
        settle()
        return timed([flow.program("packway"), "--state", client.state, "fetch", package], env=client.env)[0]

    def read(path):
        return timed(f"cat {path} >/dev/null")[0]

    def read_again(path):
        """A second read, as of the mount: the kernel's own work on pages that are read again is part of both."""
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        read(path)
        return read(path)

    def first():
        empty_store()
        settle()
        client("mount", package, at)
        return read(at / "file.bin")

    def second():
        settle()  # what the first one brought is flushed behind
        return read(at / "file.bin")

    cost = in_rounds({
        "packway fetch": fetch,
        "mount, first read": first,
        "mount, second read": second,
        "reading the file again": lambda: read_again(source / "file.bin"),
    }, bench.rounds)
    bench.report.at_least("mount, first read, MB/s / fetch",
                          cost["packway fetch"].wall / cost["mount, first read"].wall, 0.5)
    bench.report.at_least("mount, second read, MB/s / reading the file again",
                          cost["reading the file again"].wall / cost["mount, second read"].wall, 0.8)
    client("unmount", at)


def p5_over_smb(bench, t):
    source = corpus.big_file(bench.data).parent
    site, smb = t.site(name="site-smb"), t.samba(shares={"packway": t.new_dir("share"), "plain": source})
    cap = site.folder_cap("cap-smb")
    site("dp", "add", "dp1", smb.url("dp"))
    package = site.package("big", source)
    site("publish")
    client = t.client("client-smb").join(site, f"file://{cap}")

    def smbclient(hashed=False):
        out = t.dir / "got.bin"
        out.unlink(missing_ok=True)
        settle()
        before = smb.cpu()
        cost = timed(["smbclient", f"//{smb.host}/plain", "-p", smb.port, "-N", "-c", f"get file.bin {out}"])[0]
        time.sleep(0.2)  # until smbd has buried the process of that connection
        cost.extra["server"] = smb.cpu() - before
        return cost + timed(f"openssl dgst -sha256 {out}")[0] if hashed else cost

    def packway():
        client("cache", "--clear")
        settle()
        return timed([flow.program("packway"), "--state", client.state, "fetch", package], env=client.env)[0]

    cost = in_rounds({
        "smbclient": smbclient,
        "smbclient, SHA-256": lambda: smbclient(True),
        "SHA-256": lambda: timed(f"openssl dgst -sha256 {source}/file.bin")[0],
        "packway fetch": packway,
    }, bench.rounds)
    base, ours, hashing = cost["smbclient"], cost["packway fetch"], cost["SHA-256"].cpu
    bench.report.at_least("SMB: fetch, MB/s / smbclient (which verifies nothing)", base.wall / ours.wall, 1.0)
    bench.report.row("SMB: fetch, MB/s / (smbclient && openssl dgst -sha256)",
                     f"{cost['smbclient, SHA-256'].wall / ours.wall:.2f} x")
    bench.report.at_most("SMB: fetch, CPU / (1.3 x smbclient + one SHA-256)", ours.cpu / (1.3 * base.cpu + hashing), 1)
    least = (base.cpu + base.extra["server"] + hashing) / os.cpu_count()
    bench.report.row("SMB: most that these cores, smbd's too, leave of the first", f"{min(1, base.wall / least):.2f} x")
    bench.report.row("SMB: seconds, smbclient and fetch", f"{base.wall:.2f} and {ours.wall:.2f}")


def p5_both(bench, t):
    p5_big_file(bench, t)
    p5_over_smb(bench, t)


# -- open and new ways ---------------------------------------------------------------------------

def p7_open_way(bench, t):
    """Requests on the line, which an SMB client that waits for each answer makes round trips."""
    site, smb = t.site(), t.samba()
    cap, line = site.folder_cap("cap1"), t.line(smb)
    site("dp", "add", "dp1", line.url())
    packages = []
    for number in range(3):
        (t.dir / f"source{number}").mkdir()
        (t.dir / f"source{number}" / "file").write_bytes(os.urandom(100000))
        packages.append(site.package(f"tool{number}", t.dir / f"source{number}"))
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    client("sync")
    client.agent()
    line.commands.clear()
    client("fetch", packages[0])
    first = line.commands.index("READ") + 1
    client("fetch", packages[1])
    time.sleep(1)
    line.commands.clear()
    before = smb.mark()
    client("fetch", packages[2])
    reads = [i for i, name in enumerate(line.commands) if name == "READ"]
    bench.report.at_most("SMB: round trips to an object's first byte", reads[0] + 1, 2, "")
    bench.report.at_most("SMB: … to a second package's first byte", reads[1] + 1, 4, "")
    bench.report.at_most("SMB: session setups and tree connects by it",
                         len(smb.authentications(before)) + len(smb.trees(before)), 0, "")
    bench.report.row("SMB: requests of a new session to the first byte, NEGOTIATE included", str(first))


# -- choosing ------------------------------------------------------------------------------------

def p9_ranking(bench):
    for policy in ("existing", "sms2"):
        out = timed([tool("rank"), "10000", "101", policy])[1].split()
        bench.report.at_most(f"10,000 candidates ranked and recorded, {policy}", float(out[0]), 10,
                             "ms")


class Candidates:
    """A site with one DP that serves and some that, after they were filled, do not."""

    def __init__(self, t, dead):
        self.t = t
        self.site = t.site(name=f"site{dead}")
        self.cap = self.site.folder_cap(f"cap{dead}")
        self.good = hostile.Server(t, t.new_dir("good"))
        self.others = [hostile.Server(t, t.new_dir("dp")) for _ in range(dead)]
        self.site("dp", "add", "good", self.good.url)
        for i, server in enumerate(self.others):
            self.site("dp", "add", f"bad{i}", server.url)
        source = flow.make_tree(t.dir / "source", files=10)
        self.package = self.site.package("tool", source)
        self.site("publish")
        self.clients = 0

    def fetch_s(self, *preferred):
        """Seconds of a fetch by a client that has met none of the servers before."""
        self.clients += 1
        client = self.t.client(f"c{len(self.others)}-{self.clients}").join(
            self.site, f"file://{self.cap}")
        if preferred:
            client("prefer", *preferred, "--dp")
        began = time.monotonic()
        got = client.json("fetch", self.package, timeout=120)
        flow.equal(got["server"], "good", "server")
        return time.monotonic() - began


def p9_dead(bench, t):
    for dead, limit in ((20, 3), (100, 12)):
        world = Candidates(t, dead)
        names = [f"bad{i}" for i in range(dead)]
        plain = world.fetch_s("good")
        for server in world.others:
            server.close()
        refused = world.fetch_s(*names)
        for server in world.others:
            hostile.BlackHole(t, server.port)
        silent = world.fetch_s(*names)
        bench.report.at_most(f"{dead} candidates that refuse, beside a plain fetch",
                             refused - plain, limit, "s")
        bench.report.at_most(f"{dead} candidates that drop packets, beside it", silent - plain,
                             limit, "s")
    world = Candidates(t, 1)
    plain = world.fetch_s("good")
    bad = world.others[0]
    for what, behaviour, limit in (("silent after connect", hostile.silent, 3),
                                   ("one byte a second", hostile.packs(hostile.trickle), 15),
                                   ("endless packs", hostile.packs(hostile.endless), 3),
                                   ("wrong bytes", hostile.packs(hostile.flipped), 3)):
        bad.behaviour = behaviour
        bench.report.at_most(f"a server with {what}", world.fetch_s("bad0") - plain, limit, "s")


class Shares:
    """The same over SMB: twenty DPs on one smbd that falls silent, and one on another."""

    def __init__(self, t, dead):
        self.t = t
        self.site = t.site(name="smbsite")
        self.cap = self.site.folder_cap("smbcap")
        self.good = t.samba()
        self.bad = t.samba(shares={f"bad{i}": t.new_dir("bad") for i in range(dead)})
        self.site("dp", "add", "good", self.good.url())
        for share in self.bad.shares:
            self.site("dp", "add", share, self.bad.url(share=share))
        self.package = self.site.package("tool", flow.make_tree(t.dir / "smbsource", files=10))
        self.site("publish")
        self.others, self.clients = list(self.bad.shares), 1000

    fetch_s = Candidates.fetch_s


def p9_smb(bench, t):
    world = Shares(t, 20)
    plain = min(world.fetch_s("good") for _ in range(2))
    world.bad.signal(signal.SIGSTOP)
    bench.report.at_most("20 SMB candidates that are silent after connect",
                         world.fetch_s(*world.others) - plain, 3, "s")
    world.bad.stop()
    bench.report.at_most("20 SMB candidates that refuse", world.fetch_s(*world.others) - plain, 3, "s")


def p9_choice(bench, t):
    p9_ranking(bench)
    p9_dead(bench, t)
    p9_smb(bench, t)


# -- the agent -----------------------------------------------------------------------------------

def switches(pid):
    """Voluntary and other switches of all threads so far."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status.read_text())))
    return total


def memory_mib(pid, what):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{what}:\s+(\d+)", text, re.M)[1]) / 1024


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def p10_agent(bench, t, minutes=2):
    site = t.site()
    cap = site.folder_cap("cap1")
    site.folder_dp("dp1")
    site.package("tool", flow.make_tree(t.dir / "source"))
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    agent = client.agent()
    client("sync")
    note("waiting for the worker to end")
    flow.wait_for("an idle agent", 200, lambda: not children(agent.pid), step=1)
    time.sleep(5)
    before = switches(agent.pid)
    for second in range(minutes * 60):
        note(f"watching the idle agent: {minutes * 60 - second} s")
        time.sleep(1)
    note("")
    waking = (switches(agent.pid) - before) / minutes
    bench.report.at_most("supervisor alone, PSS", memory_mib(agent.pid, "Pss"), 2.5, "MiB")
    bench.report.row("the same with what others share in full, RSS",
                     f"{memory_mib(agent.pid, 'Rss'):.2f} MiB")
    bench.report.at_most("supervisor alone, wake-ups a minute", waking, 1, "")


# -- the site under load -------------------------------------------------------------------------

def p11_polls(bench, t, seconds=3):
    site = t.site()
    site.folder_dp("dp1")
    port, _ = site.serve()
    site("cap", "add", "cap1", f"http://127.0.0.1:{port}/cap1")
    site("publish")
    folder = site.dir / "www" / "cap1"
    nginx = t.nginx(folder, extra="access_log off; keepalive_requests 100000000;")
    reconfigure(nginx, r"\n  access_log /[^;]*;", "")

    def poll(port, path):
        def measure():
            out = timed([tool("poll"), "127.0.0.1", port, path, "64", seconds])[1].split()
            names = ("rate", "others", "sent", "received", "opened")
            return Cost(extra=dict(zip(names, map(float, out))))
        return measure

    cost = in_rounds({
        "nginx, one worker": poll(nginx.port, "/metadata/timestamp.json"),
        "serve": poll(port, "/cap1/metadata/timestamp.json"),
    }, bench.rounds)
    ours, base = cost["serve"].extra, cost["nginx, one worker"].extra
    flow.equal((ours["others"], base["others"]), (0, 0), "answers that are not 304")
    bench.report.at_least("304s a second / nginx, one worker", ours["rate"] / base["rate"], 0.5)
    bench.report.row("  serve, thousand a second on this machine now", f"{ours['rate'] / 1000:.0f} k")
    bench.report.at_most("serve's answer to a poll", ours["received"], 500, "bytes")
    bench.report.row("connections opened for 64 kept ones", f"{ours['opened']:.0f}")
    asked, answered = client_poll_bytes(t, site, port)
    bench.report.at_most("a client's poll: its request", asked, 500, "bytes")
    bench.report.at_most("a client's poll: the answer, through nginx", answered, 500, "bytes")


def reconfigure(nginx, pattern, text):
    conf = nginx.home / "conf"
    conf.write_text(re.sub(pattern, text, conf.read_text()))
    nginx.stop()
    nginx.start()


def client_poll_bytes(t, site, port):
    """What one unchanged sync of a client asks and gets, as an nginx before `serve` counts it."""
    front = t.nginx(t.new_dir("front"),
                    server=f"location / {{ proxy_pass http://127.0.0.1:{port}; }}")
    reconfigure(front, r"log_format c '[^']*'",
                "log_format c '$request_length $bytes_sent $status $uri'")
    site("cap", "add", "cap2", f"{front.url}/cap2")
    site("publish")
    client = t.client("poller").join(site, f"{front.url}/cap2")
    client("prefer", "cap2", "--cap")
    client("sync")
    begin = len(front.lines())
    client("sync")
    polls = [line for line in front.lines()[begin:] if line[3].endswith("/timestamp.json")]
    flow.equal([line[2] for line in polls], ["304"], "answers to one poll")
    return float(polls[0][0]), float(polls[0][1])


def p12_intake(bench, t, clients=1000, envelopes=1, records=20):
    def measure():
        for name in ("site", "cap1"):
            put_aside(t.dir / name)
        site = t.site()
        inbox = site.folder_cap("cap1") / "inbox"
        site.folder_dp("dp1")
        site("publish")
        timed([tool("envelopes"), site.dir, inbox, "enrol", clients])
        site("intake", timeout=300)
        timed([tool("envelopes"), site.dir, inbox, clients, envelopes, records])
        settle()
        return timed([flow.program("packway-site"), "--site", site.dir, "intake"])[0]

    cost = in_rounds({"intake": measure}, bench.rounds)["intake"]
    total = clients * envelopes * records
    bench.report.at_least(f"{clients} clients, {records} records an envelope: thousand records/s",
                          total / cost.wall / 1000, 15, "k")
    bench.report.row("the same by CPU time of one core", f"{total / cost.cpu / 1000:.2f} k")


GOALS = {
    "P1": ("publish", p1_publish),
    "P2": ("size", p2_size),
    "P3": ("update bytes", updates.p3_update_bytes),
    "P4": ("update time", updates.p4_update_time),
    "P5": ("one big file over HTTP and SMB", p5_both),
    "P6": ("small files", lines.p6_small_files),
    "P7": ("an open way", p7_open_way),
    "P8": ("a new way over SMB", lines.p8_new_way),
    "P9": ("choice", p9_choice),
    "P10": ("idle agent", p10_agent),
    "P11": ("polls", p11_polls),
    "P12": ("intake", p12_intake),
    "P13": ("mount", p13_mount),
    "P14": ("memory", memory.p14_memory),
    "P15": ("a lossy line", lines.p15_lossy_line),
}
