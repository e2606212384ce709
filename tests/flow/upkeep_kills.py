#!/usr/bin/python3
"""What makes versions, patches and copies to DPs, repacks and publishes is killed at random moments, or finds the disk
full: nothing partial ever stands under its final name, and the next run completes."""
from flow import *

KILLS = int(os.environ.get("PACKWAY_TEST_KILLS", "8"))
VERSIONS_MIN = 6  # a DP keeps the latest and three before (DISTRIBUTE_KEEP_VERSIONS): fewer, and none leaves


def named_hash(name):
    """The hash that a name holds: of packs, indexes and patches behind, of a CAP's documents before; None: it has none."""
    return next((word for word in (name.split(".")[0].split("-")[-1], name.split(".")[0]) if len(word) == 64), None)


def is_json(data):
    with contextlib.suppress(ValueError):
        return bool(json.loads(data))
    return False


class Watcher(threading.Thread):
    """Looks at every file that appears, as soon as it is there: its bytes are those that its name stands for, and JSON is
    whole."""

    def __init__(self, *folders):
        super().__init__(daemon=True)
        self.folders, self.seen, self.partial, self.done = folders, set(), [], False
        self.lock = threading.Lock()  # held to keep it from looking

    def look(self, path):
        want = named_hash(path.name)
        if path.name.startswith(".") or not (want or path.suffix == ".json"):
            return
        with contextlib.suppress(OSError):
            info = path.stat()
            key = (str(path), info.st_ino, info.st_mtime_ns)
            if key in self.seen:
                return
            data = path.read_bytes()
            if path.stat().st_ino == info.st_ino:
                self.seen.add(key)
                if hashlib.sha256(data).hexdigest() != want if want else not is_json(data):
                    self.partial.append(str(path))

    def round(self):
        with self.lock:
            for folder in self.folders:
                for path in all_below(folder):
                    self.look(path)

    def run(self):
        while not self.done:
            self.round()
            time.sleep(0.002)

    def finish(self):
        self.done = True
        self.join()
        self.round()
        need(not self.partial, "partial files under their final names", self.partial[:5])
        return len(self.seen)


def change(source, version, rng):
    """A version that keeps one file of the first, so that the first one's pack becomes sparse."""
    source.mkdir(exist_ok=True)
    if version == 1:
        for n in range(6):
            (source / f"file{n}").write_bytes(random.Random(n).randbytes(500_000))
    else:
        for n in range(1, 6):
            (source / f"file{n}").write_bytes(random.Random(n).randbytes(10_000 * (version % 3 + 1)))
    (source / "program").write_bytes(bytes((b + version) & 255 if i % 32 == 7 else b
                                           for i, b in enumerate(random.Random(99).randbytes(200_000))))
    (source / "new").write_bytes(rng.randbytes(150_000))


def leave_packs_sparse(source, version, rng):
    """What leaves with each version, and what stays for some: once the version is gone, its pack is repacked."""
    (source / "leaves").write_bytes(rng.randbytes(1_200_000))
    (source / f"stays{version % 5}").write_bytes(rng.randbytes(400_000))


def members(group):
    """How many processes it has."""
    count = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            count += stat.read_text().rsplit(")", 1)[1].split()[2] == str(group)
    return count


def work_of(process, verb):
    """What it is at: patches are made by a process of their own."""
    return verb if verb != "distribute" else "patches" if members(process.pid) > 1 else "copies"


def is_packing(library):
    """Of what distributes only repacking writes packs here."""
    return any(p.name.startswith(".new-") for p in all_below(library) if p.parent.name == "packs")


def kill_group(process, after, verb, library, aims):
    """Killed with all that it started, so long after its begin or, if it aims, after that of its repacking, unless it ends
    before. What it was at; None where it ended."""
    while aims and not is_packing(library):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
            return None
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        work = "repacking" if aims else work_of(process, verb)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return work if process.wait() == -signal.SIGKILL else None
    return None


@case("killed at random moments, the next run completes and nothing partial was ever there")
def _(t):
    site = t.site()
    (site.dir / "site.conf").write_text("keep = 0s\n")
    site.folder_cap("cap1")
    dps = [site.folder_dp(f"dp{n}") for n in (1, 2)]
    source = t.dir / "source"
    change(source, 1, t.rng)
    package = site.json("package", "create", "tool", "--source", source)["id"]
    # What each version takes, and how often it is cut off before it is done.
    works = {("package", "update", package): 1, ("package", "distribute", package, "--all"): 2, ("publish",): 1}
    lengths = {}
    change(source, 2, t.rng)
    for argv in works:
        began = time.monotonic()
        site(*argv)
        lengths[argv] = time.monotonic() - began
    client = t.client().join(site, f"file://{t.dir}/cap1")
    watcher = Watcher(site.dir / "library", t.dir / "cap1", *dps)
    watcher.start()
    killed, version, by_work = 0, 2, {}
    while killed < KILLS or version < VERSIONS_MIN:
        version += 1
        change(source, version, t.rng)
        leave_packs_sparse(source, version, t.rng)
        for argv, times in works.items():
            for attempt in range(times):
                process = t.spawn(program("packway-site"), "--site", site.dir, *argv)
                # Repacking is the least of the work, and seldom met by chance.
                aims = attempt == 1
                after = t.rng.uniform(0, 0.01) if aims else t.rng.uniform(0.002, 1.3 * lengths[argv])
                work = kill_group(process, after, argv[1 if len(argv) > 1 else 0], site.dir / "library", aims)
                if work:
                    killed += 1
                    by_work[work] = by_work.get(work, 0) + 1
            site(*argv)
        if version % 3 == 0:
            out = t.dir / f"out{version}"
            client("sync")
            client("cache", "--clear")
            client("fetch", package, "-o", out)
            same_tree(source, out)
            shutil.rmtree(out)
    # Twice more: what the last one made unnecessary goes.
    site("package", "distribute", package, "--all")
    site("package", "distribute", package, "--all")
    looked = watcher.finish()
    for n in (1, 2):
        rows = site.json("dp", "validate", f"dp{n}")
        need(rows and all(r["state"] == "valid" for r in rows), "a DP after it all", rows)
    site("publish")
    client("sync")
    client("cache", "--clear")
    client("fetch", package, "-o", t.dir / "out")
    same_tree(source, t.dir / "out")
    client("verify", package)
    left = [str(p) for f in (site.dir / "library", *dps) for p in f.rglob(".new-*")]
    print(f"# {killed} kills {by_work} over {version} versions, {looked} files looked at, {len(left)} temporary files left")
    dropped = [v for v in site.json("package", "versions", package) if v["state"] == "dropped"]
    need(dropped, "no version has left")
    need(KILLS < 200 or by_work.get("repacking"), "no kill while it repacked", by_work)


def small_disk(t, name, size):
    """A file system of its own; None where this machine cannot."""
    at = t.dir / name
    at.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", at], capture_output=True).returncode:
        return None
    t.defer(subprocess.run, ["umount", "-l", str(at)])
    return at


@case("a full disk stops patches, copies and repacking with a clear error, and they complete with room")
def _(t):
    disk = small_disk(t, "disk", "3m")
    skip_unless(disk is not None, "the right to mount a small disk")
    site = t.site()
    (site.dir / "site.conf").write_text("keep = 0s\n")
    site.folder_cap("cap1")
    site("dp", "add", "dp1", f"file://{disk}/dp")
    source = t.dir / "source"
    change(source, 1, t.rng)
    package = site.json("package", "create", "tool", "--source", source)["id"]
    watcher = Watcher(site.dir / "library", disk / "dp")
    watcher.start()
    told = site("package", "distribute", package, "--all", check=False).want(4)
    need("space" in told.out or "full" in told.out, "it does not say why", told.out)
    run("mount", "-o", "remount,size=40m", disk)
    site("package", "distribute", package, "--all")
    # The library's own disk: patches, streams and repacking go without, or wait.
    library = site.dir / "library" / package
    for version in range(2, 7):
        change(source, version, t.rng)
        site("package", "update", package)
        if version == 3:
            shutil.move(library, t.dir / "kept")
            library.mkdir()
            run("mount", "-t", "tmpfs", "-o", "size=12m", "none", library)
            t.defer(subprocess.run, ["umount", "-l", str(library)])
            with watcher.lock:  # this copy is ours, and not in one step
                shutil.copytree(t.dir / "kept", library, dirs_exist_ok=True, symlinks=True)
            filler = library / ".filler"
            with contextlib.suppress(OSError), open(filler, "wb") as f:
                while True:
                    f.write(bytes(4096))
            result = site("package", "distribute", package, "--all", check=False)
            need(result.code in (0, 4, 5), "what it ends like", result.code, result.err)
            need("space" in result.err + result.out or "full" in result.err + result.out, "no word of it", result.err)
            filler.unlink()
            run("mount", "-o", "remount,size=40m", library)
        site("package", "distribute", package, "--all")
    site("package", "distribute", package, "--all")
    watcher.finish()
    site("publish")
    client = t.client().join(site, f"file://{t.dir}/cap1")
    client("fetch", package, "-o", t.dir / "out")
    same_tree(source, t.dir / "out")
    need(all(r["state"] == "valid" for r in site.json("dp", "validate", "dp1")), "the DP")


main()
