#!/usr/bin/python3
"""Limits of a fetch: rates that hold over any five seconds, hours in which nothing moves."""
from flow import *

RATE = 2_000_000
WINDOW_S = 5


def limited_site(t, size, *group):
    """A package of noise on a DP that is a folder, and a web server over it; clients of 10.1.0.0/16 are in a group."""
    site = t.site()
    site.folder_cap("cap1")
    site("group", "add", "branch", *group)
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    folder = site.folder_dp("dp1", "--group", "branch")
    (t.dir / "source").mkdir()
    (t.dir / "source" / "noise").write_bytes(random.Random(1).randbytes(size))
    package = site.package("tool", t.dir / "source")
    site("publish")
    return site, folder, package


def received(host, port):
    """Bytes that arrived on this machine's connections to a server, over the wire."""
    lines = run("ss", "-tinH", "state", "connected", "dst", f"{host}:{port}", check=False).out
    return sum(int(word.split(":")[1]) for word in lines.split() if word.startswith("bytes_received:"))


class Meter(threading.Thread):
    """Samples of (time before, time after, bytes): read by a client's worker from a folder, or received from a server's port."""

    def __init__(self, client, server=None):
        super().__init__(daemon=True)
        self.state, self.server, self.samples, self.done = client and str(client.state), server, [], False
        self.start()

    def worker(self):
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.state.encode() in (argv := (entry / "cmdline").read_bytes()):
                    argv = argv.split(b"\0")
                    if argv[0].endswith(b"packway-worker") and b"--keep" not in argv:
                        return entry
        return None

    def run(self):
        worker = None
        while not self.done:
            worker = worker or (None if self.server else self.worker())
            began = time.monotonic()
            with contextlib.suppress(OSError):
                if self.server:
                    count = received(*self.server)
                    # A connection that has ended is no longer counted.
                    if not self.samples or count >= self.samples[-1][-1]:
                        self.samples.append((began, time.monotonic(), count))
                elif worker:
                    text = (worker / "io").read_text()
                    self.samples.append((began, time.monotonic(), int(text.split()[1])))
            time.sleep(0.05)

    def finish(self):
        self.done = True
        self.join()
        return self

    def spans(self):
        """(bytes, seconds that they took at the most) of each five seconds, those at the very beginning and end included."""
        for i, (begin, _, before) in enumerate(self.samples):
            end = next(((after, count) for at, after, count in self.samples[i:] if at >= begin + WINDOW_S), None)
            if end:
                yield end[1] - before, end[0] - begin

    def rates(self):
        """The least and the greatest rate: of windows within the transfer, and of all."""
        moving = [i for i in range(1, len(self.samples)) if self.samples[i][-1] > self.samples[i - 1][-1] + 20_000]
        need(moving, "nothing was measured", len(self.samples))
        first, last = self.samples[moving[0]][0], self.samples[moving[-1]][0]
        # The last sample is made to stand for the time after it, so that the end's windows are whole.
        end_at, _, end_count = self.samples[-1]
        self.samples.append((end_at + WINDOW_S, end_at + WINDOW_S, end_count))
        inner = [count / span for (begin, *_), (count, span) in zip(self.samples, self.spans())
                 if begin >= first and begin + span <= last]
        need(inner, "it was over too soon to be measured", last - first)
        return min(inner), max(count / span for count, span in self.spans())


def holds(measure):
    """`measure` moves something and gives (name, meter) of each place: never more than the limit, and no less, which a
    machine that is busy may miss once, but not each time."""
    low = 0.9 if STRETCH == 1 else 0.5
    for number in range(TRIES):
        slow = []
        for name, meter in measure(number):
            least, most = meter.finish().rates()
            print(f"# {name}: {least / 1e6:.3f} to {most / 1e6:.3f} MB/s over {WINDOW_S} s")
            need(most <= 1.1 * RATE, f"{name}: more than the rate over 5 s", least, most)
            slow += [(name, least)] * (least < low * RATE)
        if not slow:
            return
    need(False, "less than the rate over 5 s, each time", slow)


def all_at_once(*functions):
    """Run them beside each other; the first failure is the case's."""
    failures = []

    def guarded(function):
        try:
            function()
        except Exception as fault:  # told by the thread that started it
            failures.append(fault)
    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@case("--rate and a group's rate hold within a tenth over any five seconds, from folder, web server and share, by fetch and mount")
def _(t):
    site, folder, package = limited_site(t, 22_000_000, "--max-rate", "2MB/s")
    web, smb = t.nginx(folder), t.samba(shares={"packway": folder})
    cap = f"file://{t.dir}/cap1"

    def fetched(name, where, server, address="10.2.0.1", rate="2MB/s"):
        def measure(number):
            client = t.client(f"{name} {number}", address=address).join(site, cap)
            client("sync")
            meter = Meter(client, server)
            client("fetch", package, "--dp", where, *(["--rate", rate] if rate else []))
            return [(name, meter)]
        holds(measure)

    def read_by_mount():
        def measure(number):
            client = t.client(f"mounted {number}").join(site, cap)
            client("sync")
            at = t.dir / f"at {number}"
            at.mkdir()
            meter = Meter(client)
            client("mount", package, at)
            t.defer(lambda: client("unmount", at, check=False))
            with open(at / "noise", "rb") as f:
                while f.read(1 << 20):
                    pass
            return [("a mount of a client in the group", meter)]
        holds(measure)
    jobs = [lambda: fetched("web server", web.url, ("127.0.0.1", web.port)),
            lambda: fetched("folder", f"file://{folder}", None),
            lambda: fetched("share", smb.url(), (smb.host, smb.port)),
            lambda: fetched("group", f"file://{folder}", None, "10.1.0.1", "50MB/s")]
    all_at_once(*jobs, *([read_by_mount] if pathlib.Path("/dev/fuse").exists() else []))
    other = t.client("other", address="10.2.0.1").join(site, cap)

    def unlimited():
        other("cache", "--clear")
        began = time.monotonic()
        other("fetch", package, "--dp", f"file://{folder}")
        return time.monotonic() - began, None
    in_time("a client of no group, which has no limit", 8, unlimited)


def clock_text(seconds):
    return time.strftime("%H:%M", time.localtime(time.time() + seconds))


class Filling(Meter):
    """The same of what stands in folders, temporary files included."""

    def __init__(self, *folders):
        self.folders = folders
        super().__init__(None)

    def run(self):
        while not self.done:
            began, count = time.monotonic(), 0
            for folder in self.folders:
                for path in all_below(folder):
                    with contextlib.suppress(OSError):
                        count += path.stat().st_size if path.is_file() else 0
            self.samples.append((began, time.monotonic(), count))
            time.sleep(0.05)


@case("a DP's rate holds within a tenth over any five seconds for what the site writes there: folder, web server, share")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    web = t.new_dir("web")
    web.chmod(0o777)  # nginx started as root writes as nobody
    nginx = t.nginx(web, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;")
    smb = t.samba()
    places = {"folder": (site.folder_dp("folder", "--max-rate", "2MB/s"),), "web": (web, nginx.home / "t1"), "share": (smb.folder,)}
    site("dp", "add", "web", nginx.url, "--max-rate", "2MB/s")
    site("dp", "add", "share", smb.url(), "--max-rate", "2MB/s")

    def measure(number):
        source = t.new_dir("source")
        (source / "noise").write_bytes(random.Random(number).randbytes(22_000_000))
        package = site.package(f"tool {number}", source, distribute=False)
        meters = {name: Filling(*folders) for name, folders in places.items()}
        site("package", "distribute", package, "--all", "--no-patches")
        return [(f"writing to a {name}", meter) for name, meter in meters.items()]
    holds(measure)


@case("outside a DP's hours nothing is written there, and it says until when")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    window = f"{clock_text(3600)}-{clock_text(7200)}"
    closed = site.folder_dp("closed", "--window", window)
    opened = site.folder_dp("opened", "--window", f"{clock_text(-3600)}-{clock_text(3600)}")
    package = site.package("tool", make_tree(t.dir / "source"), distribute=False)
    told = site("package", "distribute", package, "--all", "--no-patches", check=False)
    need(told.code in (0, 4) and window in told.out + told.err, "no word of the hours", told.code, told.out, told.err)
    need(list(opened.rglob("*.pack")), "the other DP got nothing")
    equal(list(closed.rglob("*.pack")), [], "what was written outside the hours")


@case("outside a group's hours nothing moves, and it says until when")
def _(t):
    window = f"{clock_text(3600)}-{clock_text(7200)}"
    site, folder, package = limited_site(t, 1_000_000, "--window", window)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    error = client("fetch", package, "--json", check=False).want(4).json["error"]
    need(window in error["why"] and "try again at 2" in error["fix"], "the error", error)
    site("program", "add", package, "go", "--command", "true")
    site("advertise", package, "go", "--collection", "all", "--mandatory", "now")
    site("publish")
    client("sync")
    offer = client.json("list")[0]
    need(offer["state"] == "waiting" and window in str(offer), "the offer", offer)
    need(not list((client.state / "store").rglob("noise")), "something moved")
    equal(site.json("group", "show", "branch")["window"], window)
    refused = client("mount", package, t.dir / "at", "--json", check=False)
    need(refused.code == 4 and window in refused.json["error"]["why"], "a mount", refused.out, refused.err)
    need(not list((client.state / "store").rglob("noise")), "something moved for the mount")


@case("a window that closes ends a fetch, and what the site writes to a DP, in the middle of an object")
def _(t):
    hours = ("--window", f"{clock_text(-60)}-{clock_text(60)}", "--max-rate", "400kB/s")
    site, folder, package = limited_site(t, 30_000_000, *hours)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    late = site.folder_dp("late", *hours)
    writes = t.spawn(program("packway-site"), "--site", site.dir, "package", "distribute", package, "--dp", "late", "--no-patches")
    error = client("fetch", package, "--json", check=False, timeout=90).want(4).json["error"]
    need("hours of group" in error["why"], "the error", error)
    moved = sum(p.stat().st_blocks * 512 for p in (client.state / "store").rglob("*") if p.is_file())
    need(moved < 29_000_000, "it went on", moved)
    equal(writes.wait(20 * SLOW), 0, "the site's command")
    equal([p for p in late.rglob("*.pack") if not p.name.startswith(".")], [], "what stands on the DP")
    (row,) = site.json("dp", "status", "late")
    need(row["state"] == "waiting" and hours[1] in row["reason"], "the DP's state", row)


main()
