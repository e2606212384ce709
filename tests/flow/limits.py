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


def received(port):
    """Bytes that arrived on this machine's connections to a server's port, over the wire."""
    lines = run("ss", "-tinH", "state", "connected", "dport", "=", f":{port}", check=False).out
    return sum(int(word.split(":")[1]) for word in lines.split() if word.startswith("bytes_received:"))


class Meter(threading.Thread):
    """Samples of (time, bytes): read by a client's worker from a folder, or received from a port."""

    def __init__(self, client, port):
        super().__init__(daemon=True)
        self.state, self.port, self.samples, self.done = str(client.state), port, [], False

    def worker(self):
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.state.encode() in (argv := (entry / "cmdline").read_bytes()):
                    if argv.split(b"\0")[0].endswith(b"packway-worker"):
                        return entry
        return None

    def run(self):
        worker = None
        while not self.done:
            worker = worker or self.worker()
            with contextlib.suppress(OSError):
                if worker and self.port:
                    if count := received(self.port):
                        self.samples.append((time.monotonic(), count))
                elif worker:
                    text = (worker / "io").read_text()
                    self.samples.append((time.monotonic(), int(text.split()[1])))
            time.sleep(0.05)

    def rates(self):
        """Bytes a second over each five seconds, but for the first moment and the last ones: what the kernel has
        room for arrives before it is read, and so the end comes early on the wire."""
        first, last = self.samples[0][0] + 1, self.samples[-1][0] - (3 if self.port else 1)
        for i, (begin, before) in enumerate(self.samples):
            end = next(((at, read) for at, read in self.samples[i:] if at >= begin + WINDOW_S), None)
            if begin >= first and end and end[0] <= last:
                yield (end[1] - before) / (end[0] - begin)


def measure(client, port, *fetch):
    meter = Meter(client, port)
    meter.start()
    began = time.monotonic()
    got = client.json("fetch", *fetch)
    took = time.monotonic() - began
    meter.done = True
    meter.join()
    rates = list(meter.rates())
    need(rates, "nothing was measured", took, len(meter.samples))
    # A machine that is busy may read less; never more than the limit.
    low = 0.9 if STRETCH == 1 else 0.5
    need(low * RATE <= min(rates) and max(rates) <= 1.1 * RATE, "the rate over 5 s", min(rates), max(rates))
    print(f"# {min(rates) / 1e6:.3f} to {max(rates) / 1e6:.3f} MB/s over {WINDOW_S} s, {took:.1f} s")
    return got


@case("--rate holds within a tenth over any five seconds, from a web server and a folder")
def _(t):
    site, folder, package = limited_site(t, 24_000_000)
    web = t.nginx(folder)
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    for where, port in ((web.url, web.port), (f"file://{folder}", None)):
        client("cache", "--clear")
        measure(client, port, package, "--dp", where, "--rate", "2MB/s")


@case("a group's rate holds for its clients, whatever they ask for")
def _(t):
    site, folder, package = limited_site(t, 20_000_000, "--max-rate", "2MB/s")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    measure(client, None, package, "--rate", "50MB/s")
    other = t.client("other", address="10.2.0.1").join(site, f"file://{t.dir}/cap1")
    began = time.monotonic()
    other("fetch", package, "--dp", f"file://{folder}")
    need(time.monotonic() - began < 8 * STRETCH, "a client of no group is limited as well")


def clock_text(seconds):
    return time.strftime("%H:%M", time.localtime(time.time() + seconds))


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


@case("a window that closes ends a fetch")
def _(t):
    site, folder, package = limited_site(t, 30_000_000, "--window", f"{clock_text(-60)}-{clock_text(60)}",
                                         "--max-rate", "400kB/s")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    error = client("fetch", package, "--json", check=False, timeout=90).want(4).json["error"]
    need("hours of group" in error["why"], "the error", error)
    moved = sum(p.stat().st_blocks * 512 for p in (client.state / "store").rglob("*") if p.is_file())
    need(moved < 29_000_000, "it went on", moved)


main()
