#!/usr/bin/python3
"""Nine of ten CAPs and nine of ten DPs are hostile in every way at once: the update completes all the same.

PACKWAY_TEST_ORDERS says in how many orders they are met; each client draws its own.
"""
import concurrent.futures

import hostile
from flow import *

ORDERS = int(os.environ.get("PACKWAY_TEST_ORDERS", "2"))
ORDERS_OF_A_WORLD = 10  # then everybody becomes hostile in another way
AT_ONCE = 5             # clients, which mostly wait
SERVERS = 10
MEMORY_KIB = 32 << 10   # over what the same costs among honest servers
LOST_S = 60             # to any one server
LATER = {"PACKWAY_FAKE_TIME": f"+{15 * 86400}"}  # what was published at first has ended by then


def is_sanitized():
    return b"__asan_init" in pathlib.Path(program("packway-worker")).read_bytes()


# -- ways to be hostile ----------------------------------------------------------------------------

def folder(path):
    """Another publication than the newest, whole and signed."""
    def behaviour(r):
        file = path / r.name
        return r.serve(file.read_bytes()) if file.is_file() else r.refuse(404)
    return behaviour


def if_there(behaviour):
    return lambda r: behaviour(r) if r.file.is_file() else r.refuse(404)


def named(part, behaviour):
    return hostile.on(lambda r: part in r.name, behaviour)


def anywhere():
    """What any server can do to any object."""
    return {
        "silent": hostile.silent, "endless": hostile.endless, "flipped": if_there(hostile.flipped),
        "truncated": if_there(hostile.truncated), "zeroed": if_there(hostile.zeroed), "trickle": if_there(hostile.trickle),
        "gzipped": if_there(hostile.gzipped), "another range": if_there(hostile.wrong_range),
        "a lie about the range": if_there(hostile.lying_range), "redirect": hostile.redirect("http://127.0.0.1:9"),
        "redirect for ever": lambda r: r.refuse(302, Location=f"/{r.name}"), "huge head": hostile.huge_head,
        "no HTTP": hostile.no_http, "hangs up": if_there(hostile.cut_after(0)),
        **{str(code): hostile.status(code) for code in (403, 404, 500, 503)},
    }


def of_caps(old, other):
    return {
        **anywhere(), "old publication": folder(old), "another site": folder(other),
        "old timestamp": named("timestamp.json", folder(old)), "endless timestamp": named("timestamp.json", hostile.endless),
        "endless root": named(".root.json", hostile.endless), "silent root": named(".root.json", hostile.silent),
        "endless snapshot": named(".snapshot.json", hostile.endless), "flipped snapshot": named(".snapshot.json", hostile.flipped),
        "no roles": named(".assignments", hostile.missing), "documents flipped": named("targets/", hostile.flipped),
        "documents endless": named("targets/", hostile.endless), "documents missing": named("targets/", hostile.missing),
        "documents cut": named("targets/", hostile.truncated), "receipts of junk": named("receipts/", if_there(hostile.zeroed)),
    }


def of_dps():
    ways = {**anywhere()}
    for name in ("flipped", "truncated", "missing", "zeroed", "silent", "endless", "trickle"):
        ways[f"packs {name}"] = hostile.packs(getattr(hostile, name))
        ways[f"index {name}"] = hostile.indexes(getattr(hostile, name))
    ways["packs cut"] = hostile.packs(hostile.cut_after(100_000))
    return ways


def any_of(ways, rng):
    """Another way at each request."""
    return lambda r: rng.choice(ways)(r)


# -- the world -------------------------------------------------------------------------------------

class World:
    def __init__(self, t):
        self.t, self.site, self.ran = t, t.site(), t.dir / "ran"
        self.caps = [self.add_cap(f"cap{i}") for i in range(SERVERS)]
        self.dps = [hostile.Server(t, t.dir / f"dp{i}") for i in range(SERVERS)]
        for i, dp in enumerate(self.dps):
            self.site("dp", "add", f"dp{i}", dp.url)
        self.source = make_tree(t.dir / "source", files=20, size=60_000)
        self.package = self.site.package("tool", self.source)
        self.site("program", "add", self.package, "install", "--command",
                  f"sh -c 'echo $PACKWAY_CLIENT $PACKWAY_VERSION >> {self.ran}'")
        self.site("publish")
        self.models = [t.client(f"model{i}").enroll(self.site, f"file://{t.dir}/cap0") for i in range(2)]
        for model in self.models:  # each knows the first version
            model("fetch", self.package)
        self.publish_the_update()

    def add_cap(self, name):
        cap = hostile.Server(self.t, self.t.dir / name)
        self.site("cap", "add", name, f"file://{cap.folder}", cap.url)
        return cap

    def publish_the_update(self):
        self.old, self.other = self.t.dir / "old", self.t.dir / "capX"
        shutil.copytree(self.t.dir / "cap0", self.old)
        other = self.t.site("NYC", "other")
        other.folder_cap("capX")
        for i in range(4):
            other("group", "add", f"g{i}")
            other("publish")
        make_tree(self.source, files=20, size=60_000, seed=2)
        self.site.env = LATER
        self.site("package", "update", self.package)
        self.site("package", "distribute", self.package, "--all", "--no-patches")
        self.site("advertise", self.package, "install", "--collection", "all", "--mandatory", "now")
        self.site("publish")
        for cap in self.caps:  # nobody but its server reaches a folder from now on
            cap.hide()

    def be_hostile(self, rng):
        """All but one of each kind; returns what they do."""
        said = {}
        for kind, servers, ways in (("cap", self.caps, of_caps(self.old, self.other)), ("dp", self.dps, of_dps())):
            good = rng.randrange(SERVERS)
            names = rng.sample(sorted(ways), SERVERS)
            for i, server in enumerate(servers):
                chaotic = rng.random() < 0.3
                server.behaviour = any_of(list(ways.values()), rng) if chaotic else ways[names[i]]
                said[f"{kind}{i}"] = "all of it" if chaotic else names[i]
            servers[good].behaviour = hostile.honest
            said[f"{kind}{good}"] = "honest"
        return said

    def be_honest(self):
        for server in (*self.caps, *self.dps):
            server.behaviour = hostile.honest


class Victim(Client):
    """A client in the state of a model, and what its update costs."""

    def __init__(self, t, model, name):
        self.t, self.state, self.env = t, t.dir / name, {**model.env, **LATER}
        shutil.copytree(model.state, self.state, symlinks=True)
        for path in self.state.rglob("nal.json"):
            path.unlink()  # or all would begin with the server of the first version
        self.peak_kib, self.over = {}, threading.Event()

    def watch(self):
        """The highest resident size of each kind of its processes."""
        while not self.over.wait(0.02):
            for entry in pathlib.Path("/proc").iterdir():
                with contextlib.suppress(OSError, IndexError, ValueError, StopIteration):
                    argv = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else [b""]
                    if os.fsencode(self.state) in argv:
                        line = next(l for l in (entry / "status").read_text().splitlines() if l.startswith("VmHWM"))
                        kind = os.path.basename(argv[0].decode())
                        self.peak_kib[kind] = max(self.peak_kib.get(kind, 0), int(line.split()[1]))

    def lost(self):
        """Milliseconds by server, of all decisions."""
        out = {}
        for path in (p for folder in self.state.rglob("decisions") for p in folder.iterdir()):
            for attempt in json.loads(path.read_bytes())["attempts"]:
                if attempt["class"] != "ok":
                    out[attempt["server"]] = out.get(attempt["server"], 0) + attempt["ms"]
        return out

    def update(self, world):
        """Seconds until the new version was fetched and its program had run."""
        watcher = threading.Thread(target=self.watch, daemon=True)
        watcher.start()
        before = self.lost()
        began = time.monotonic()
        for self.syncs in range(1, 4):
            self("sync", check=False, timeout=SERVERS * LOST_S)
            if self.states() == {"succeeded"}:
                break
        seconds = time.monotonic() - began
        self.over.set()
        watcher.join()
        equal(self.states(), {"succeeded"}, f"the update after {self.syncs} syncs")
        same_tree(world.source, self.json("fetch", world.package)["path"])
        self.worst_ms = max((ms - before.get(server, 0) for server, ms in self.lost().items()), default=0)
        return seconds

    def states(self):
        return {o["state"] for o in self.json("list")}


def one_order(t, world, number):
    victim = Victim(t, world.models[number % 2], f"victim{number}")
    seconds = victim.update(world)
    need(victim.worst_ms <= LOST_S * 1000, f"{victim.worst_ms} ms were lost to one server")
    shutil.rmtree(victim.state)
    return victim, seconds


@case(f"nine of ten CAPs and DPs are hostile: in {ORDERS} orders the update completes, in little memory")
def _(t):
    world = World(t)
    world.be_honest()
    honest = [one_order(t, world, 1000 + i)[0] for i in range(2)]
    baseline = {kind: max(h.peak_kib.get(kind, 0) for h in honest) for kind in honest[0].peak_kib}
    seconds, peak, worst, syncs = [], {}, 0, 0
    for first in range(0, ORDERS, ORDERS_OF_A_WORLD):
        said = world.be_hostile(t.rng)
        numbers = range(first, min(first + ORDERS_OF_A_WORLD, ORDERS))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                done = list(pool.map(lambda n: one_order(t, world, n), numbers))
            except Failed as fault:
                raise Failed(f"{fault}\n  {said}")
        for victim, took in done:
            seconds.append(took)
            worst, syncs = max(worst, victim.worst_ms), max(syncs, victim.syncs)
            peak.update({k: max(v, peak.get(k, 0)) for k, v in victim.peak_kib.items()})
    over = max(peak[kind] - baseline.get(kind, 0) for kind in baseline)
    print(f"# {ORDERS} orders: {min(seconds):.1f} to {max(seconds):.1f} s, at most {syncs} syncs, {worst / 1000:.1f} s lost to "
          f"one server, {over / 1024:.1f} MiB over {baseline}")
    equal(len((world.ran).read_text().splitlines()), ORDERS + len(honest), "runs of the new version's program")
    if not is_sanitized():
        need(over <= MEMORY_KIB, f"{over} KiB over the baseline", baseline, peak)


main()
