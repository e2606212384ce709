"""P14: anonymous memory of whatever of ours runs, while packages of 1 and 5 GiB go all the way."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import threading

import corpus
import flow
from measure import note, timed

LIMIT_MIB = 128
MAKING_MIB = 1024  # of patches and streams: the default of the option that bounds it
LOOK_S = 0.01
MOVED = 1 << 20


def at_work(folder):
    """The processes that run our programs in the folder, which each is told of, whoever started them."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (os.readlink(entry / "exe").startswith(f"{flow.BUILD}/src/")
                        and os.fsencode(folder) in (entry / "cmdline").read_bytes()):
                    yield entry


def anonymous_kib(process):
    """Its own, and what it shares with another process of ours: neither is a file's."""
    with contextlib.suppress(OSError):
        lines = (process / "status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return 0


class Watch:
    """Between enter and exit: the most that one process had at a look, in MiB."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.mib, self._end = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self):
        while not self._end.wait(LOOK_S):
            self.mib = max([self.mib, *(anonymous_kib(p) / 1024 for p in at_work(self.folder))])

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def watched(folder, action):
    with Watch(folder) as watch:
        action()
    return watch.mib


def move_block(path):
    """What stood in the middle stands near the beginning now."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(size // 2)
        block = file.read(MOVED)
        file.seek(size // 8)
        file.write(block)


class Journey:
    """One large file from its source over nginx to a client, a changed one after it."""

    def __init__(self, t, name, made):
        self.t, self.name = t, name
        self.source = t.new_dir(f"source-{name}")
        shutil.copy(made, self.source / "file.bin")
        self.web = t.new_dir(f"web-{name}")
        self.site = t.site(name=f"site-{name}")
        self.cap = self.site.folder_cap(f"cap-{name}")
        self.site("dp", "add", "web", f"file://{self.web}")
        self.url = t.nginx(self.web, extra="sendfile on;").url

    def publish(self):
        self.package = self.site.json("package", "create", "big", "--source", self.source)["id"]
        self.site("package", "distribute", self.package, "--all", "--no-patches")
        self.site("publish")

    def join(self):
        self.client = self.t.client(f"client-{self.name}").join(self.site, f"file://{self.cap}")
        self.client("sync")

    def fetch(self):
        self.client("sync")
        timed([flow.program("packway"), "--state", self.client.state, "fetch", self.package, "--dp", self.url],
              env=self.client.env)

    def update(self):
        self.site("package", "update", self.package)
        self.site("package", "distribute", self.package, "--all", "--no-patches")

    def make_patches(self):
        timed([flow.program("packway-site"), "--site", self.site.dir, "package", "distribute", self.package, "--all"])

    def mount(self):
        at = self.t.dir / f"mount-{self.name}"
        self.t.defer(lambda: subprocess.run(["umount", "-l", at], stderr=subprocess.DEVNULL))
        self.client("cache", "--clear")
        self.client("mount", self.package, at)
        timed(f"cat {at}/file.bin >/dev/null")
        self.client("unmount", at)


def travel(bench, t, name, made, with_patches):
    way, say = Journey(t, name.replace(" ", "-"), made), bench.report

    def limit(what, action, mib=LIMIT_MIB):
        note(f"{name}: {what}")
        say.at_most(f"{name}: {what}", watched(t.dir, action), mib, "MiB")

    limit("publish", way.publish)
    way.join()
    limit("fetch", way.fetch)
    move_block(way.source / "file.bin")
    limit("publish a changed one", way.update)
    if with_patches:
        limit("make its patch and stream", way.make_patches, MAKING_MIB)
    way.site("publish")
    limit("apply the patch" if with_patches else "update by ranges", way.fetch)
    limit("mount and read", way.mount)
    for folder in (way.source, way.web, way.site.dir, way.client.state):
        shutil.rmtree(folder, ignore_errors=True)


def p14_memory(bench, t):
    bench.report.say("RssAnon and RssShmem of the largest process of ours, looked at every 10 ms")
    travel(bench, t, "1 GiB", corpus.big_file(bench.data), True)
    travel(bench, t, "5 GiB", corpus.huge_file(bench.data), False)
