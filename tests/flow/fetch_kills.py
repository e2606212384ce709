#!/usr/bin/python3
"""Fetches are killed at random moments, by ranges, streams and patches, as a whole or by one of their processes: the next run goes
on where it stopped, and no tree stands in the store before it is whole."""
from flow import *
from victims import of_client

KILLS = int(os.environ.get("PACKWAY_TEST_KILLS", "6"))
FRAME = 4 << 20
# Of the line, of the frame that was coming in, and of the one that was being checked.
IN_FLIGHT = 3 * FRAME


def put_content(folder, number):
    """Two files of which every 64th byte is another one in each version; the one does not pack, of the other a third is left."""
    folder.mkdir(exist_ok=True)
    noise = bytearray(random.Random(7).randbytes(8 << 20))
    noise[3::64] = bytes((b + number) & 255 for b in noise[3::64])
    (folder / "noise").write_bytes(noise)
    text = bytearray(random.Random(8).randbytes(2 << 20).hex().encode())
    # The same again, further away than a frame is long: a stream does not move it twice.
    (folder / "text").write_bytes(text)
    text[::100_000] = b"!" * len(text[::100_000])
    (folder / "text-again").write_bytes(text)


class Watcher(threading.Thread):
    """Whatever stands in the store under the name of a version is that version, whole."""

    def __init__(self, store, trees):
        super().__init__(daemon=True)
        self.store, self.trees, self.done, self.looks, self.faults = store, trees, False, 0, []

    def look(self):
        for number, want in self.trees.items():
            tree = self.store / number
            with contextlib.suppress(OSError):
                info = tree.stat()
                got = {p.name: p.stat().st_size for p in tree.iterdir()}
                whole = got.keys() == want.keys() and all((tree / n).read_bytes() == data for n, data in want.items())
                if tree.stat().st_ino == info.st_ino:
                    self.looks += 1
                    if not whole:
                        self.faults.append((number, got))

    def run(self):
        while not self.done:
            self.look()
            time.sleep(0.005)

    def finish(self):
        self.done = True
        self.join()
        self.look()
        need(self.looks, "the watcher saw nothing")
        need(not self.faults, "a tree that was not whole stood in the store", self.faults[:3])
        return self.looks


def sent(nginx, since):
    return sum(int(l[5]) for l in nginx.lines()[since:] if l[2] == "GET")


def connections_of(nginx):
    """How many it still holds: a request is in its log before it lets go of one. Its first socket listens."""
    files, sockets = pathlib.Path(f"/proc/{nginx.process.pid}/fd"), 0
    for file in files.iterdir():
        with contextlib.suppress(FileNotFoundError):
            sockets += os.readlink(file).startswith("socket:")
    return sockets - 1


def kill(client, process, whom):
    """True if there was one to kill; a command whose worker or keeper is gone ends by itself."""
    if whom == "all":
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    keepers = set(of_client(client, "keeper"))
    victims = keepers if whom == "keeper" else set(of_client(client, "worker")) - keepers
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(60 * SLOW)
    return bool(victims)


def bytes_of(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@case(f"{KILLS} kills of fetches cost what was in flight, and the next run completes")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    web = t.new_dir("web")
    web.chmod(0o777)  # nginx started as root writes as nobody
    nginx = t.nginx(web, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0; limit_rate 30m;")
    site("dp", "add", "dp1", nginx.url)
    source, packages, trees = t.dir / "source", {}, {}
    put_content(source, 1)
    packages["ranges"] = site.package("plain", source)
    packages["stream"] = packages["patch"] = site.json("package", "create", "tool", "--source", source)["id"]
    site("package", "distribute", packages["stream"], "--all")
    site("publish")
    client = t.client().join(site, f"file://{t.dir}/cap1")
    client("fetch", packages["patch"])
    kept = shutil.copytree(client.state / "store", t.dir / "kept", symlinks=True)
    trees["1"] = bytes_of(source)
    put_content(source, 2)
    trees["2"] = bytes_of(source)
    for kind in ("ranges", "stream"):
        site("package", "update", packages[kind])
        site("package", "distribute", packages[kind], "--all", *(["--no-patches"] if kind == "ranges" else []))
    site("publish")
    client("sync")
    lengths, killed, worst, hows, whose = {}, 0, {}, {}, {}
    while killed < KILLS:
        kind = ("ranges", "stream", "patch")[killed % 3]
        # Of each kind of fetch each, in turn. Only root's has a keeper.
        whom = ("all", "keeper", "worker")[(killed + killed // 3) % 3] if os.geteuid() == 0 else "all"
        package = packages[kind]
        shutil.rmtree(client.state / "store", ignore_errors=True)
        if kind == "patch":
            shutil.copytree(kept, client.state / "store", symlinks=True)
        watcher = Watcher(client.state / "store" / package, trees)
        watcher.start()
        since = len(nginx.lines())
        if kind in lengths:
            process = t.spawn(program("packway"), "--state", client.state, "fetch", package, env=client.env)
            try:
                process.wait(t.rng.uniform(0.02, 1.1 * lengths[kind]))
            except subprocess.TimeoutExpired:
                if kill(client, process, whom):
                    killed += 1
                    whose[whom] = whose.get(whom, 0) + 1
        began = time.monotonic()
        got = client.json("fetch", package)
        lengths.setdefault(kind, time.monotonic() - began)
        hows.setdefault(kind, got["how"])
        watcher.finish()
        same_tree(source, got["path"])
        equal(client.json("verify"), [], "verify")
        # What a whole transfer takes is the first one's, which nobody killed.
        wait_for("the log of what was cut off", 10, lambda: connections_of(nginx) == 0)
        whole = worst.setdefault(f"{kind} whole", got["bytes_network"])
        again = sent(nginx, since) - whole
        worst[kind] = max(worst.get(kind, 0), again)
        need(again <= IN_FLIGHT, f"{kind}: {again} bytes came twice", got)
    equal(hows, {"ranges": "ranges", "stream": "stream", "patch": "patch"}, "how they came")
    print(f"# {killed} kills, {whose}; bytes that came again at most: {worst}")


main()
