"""P3 and P4: what an update moves, and how long it takes."""
import os
import shutil
import zlib

import flow
from measure import in_rounds, note, put_aside, remove, settle, timed


class Update:
    """Two versions of a tree with patch and stream, on a DP behind nginx, and the peers' files."""

    def __init__(self, t, label, old, new):
        self.t, self.new, self.work = t, new, t.new_dir(f"update-{label}")
        self.site, self.nginx = t.site(name=f"site-{label}"), t.nginx(self.work, extra="sendfile on;")
        self.cap, self.dp = self.site.folder_cap(f"cap-{label}"), self.work / "dp"
        self.dp.mkdir()
        self.site("dp", "add", "dp1", f"file://{self.dp}")
        self.package = self.site.json("package", "create", "tree", "--source", old)["id"]
        self.distribute()
        self.old_packs = self.packs()
        self.client = t.client(f"client-{label}").join(self.site, f"file://{self.cap}")
        self.fetch()
        self.site("package", "update", self.package, "--source", new)
        self.making = self.distribute()
        for side, tree in (("old", old), ("new", new)):
            timed(f"tar -C {tree} --sort=name -c . > {self.work}/{side}.tar")
        timed(f"zstd -q -f -12 --long=31 --patch-from={self.work}/old.tar {self.work}/new.tar"
              f" -o {self.work}/patch.zst")
        timed(f"zstd -q -f -12 -T2 --long=27 {self.work}/new.tar -o {self.work}/new.tar.zst")

    def distribute(self):
        cost = timed([flow.program("packway-site"), "--site", self.site.dir, "package", "distribute",
                      self.package, "--all"])[0]
        self.site("publish")
        return cost

    def fetch(self, version=None):
        self.client("sync")
        only = ["--version", str(version)] if version else []
        return timed([flow.program("packway"), "--state", self.client.state, "fetch", self.package,
                      "--dp", f"{self.nginx.url}/dp", *only], env=self.client.env)[0]

    def update(self):
        """From the old version, which alone is here, to the new one."""
        put_aside(self.client.state / "store")
        self.fetch(1)
        settle()
        return self.fetch()

    def unpack(self):
        put_aside(self.work / "out")
        (self.work / "out").mkdir()
        settle()
        return timed(f"curl -s {self.nginx.url}/new.tar.zst | zstd -q -d --long=27"
                     f" | tar -C {self.work}/out -x")[0]

    def size(self, begins):
        found = (self.dp / self.package / "patches").glob(f"{begins}-2-*")
        return sum(p.stat().st_size for p in found)

    def packs(self):
        return sum(p.stat().st_size for p in self.dp.rglob("*.pack"))

    def served(self, begin, *kinds):
        """Bytes that nginx has sent since line `begin` of its log: of paths with one of `kinds`, and of all others."""
        lines = [(any(kind in line[3] for kind in kinds), int(line[5])) for line in self.nginx.lines()[begin:]]
        return sum(size for is_kind, size in lines if is_kind), sum(size for is_kind, size in lines if not is_kind)

    def peer_size(self, name):
        return (self.work / name).stat().st_size


class Elsewhere:
    """
    A client that has the old tree by another package: what is here is the same, and no patch starts from it. So
    the DP offers it what it offers to clients whose version is older than those that patches are made from.
    """

    def __init__(self, update, label, old):
        self.update, self.old = update, old
        self.package = update.site.package("old", old)
        update.site("publish")
        self.client = update.t.client(f"elsewhere-{label}").join(update.site, f"file://{update.cap}")
        self.fetch(self.package)

    def fetch(self, package):
        """What moved: content, and what says where and what it is, the manifest included."""
        self.client("sync")
        begin = len(self.update.nginx.lines())
        got = self.client.json("fetch", package, "--dp", f"{self.update.nginx.url}/dp", timeout=600)
        content, about = self.update.served(begin, "/packs/", "/patches/")
        manifest = self.update.cap.glob(f"targets/manifest/{package}/*.{got['version']}")
        return content, about + sum(p.stat().st_size for p in manifest), got["how"]

    def renamed(self):
        """What moves where every file has got another name, and none of them its place among the others."""
        tree = self.update.t.new_dir("renamed")
        for path in flow.all_below(self.update.new):
            at = tree / renamed_path(path.relative_to(self.update.new))
            if path.is_dir() and not path.is_symlink():
                at.mkdir(parents=True, exist_ok=True)
            else:
                at.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, at, follow_symlinks=False)
        self.update.site("package", "update", self.update.package, "--source", tree, timeout=600)
        self.update.site("package", "distribute", self.update.package, "--all", "--no-patches", timeout=600)
        self.update.site("publish")
        return self.fetch(self.update.package)


def renamed_path(path):
    """The folders keep their names; a file gets one that sorts anywhere."""
    return path.with_name(f"{zlib.crc32(os.fsencode(path)):08x}-{path.name}")


class Casync:
    """casync of 64 KiB chunks behind the update's nginx; Debian's package casync."""

    def __init__(self, update):
        self.update, self.at = update, update.work / "casync"
        self.at.mkdir()
        timed(["casync", "make", f"--store={self.at}/s.castr", self.at / "new.caidx", update.new])

    def moved(self, old):
        """Bytes that it reads to have the new tree where the old one is: chunks, and its index."""
        out, begin = self.update.t.new_dir("casync"), len(self.update.nginx.lines())
        url = f"{self.update.nginx.url}/casync"
        timed(["casync", "extract", f"--store={url}/s.castr", f"--seed={old}", f"{url}/new.caidx", out / "tree"])
        remove(out)
        return self.update.served(begin, ".cacnk")


def p3_without_patch(bench, update, label, old):
    """What moves where no patch is offered, beside what casync and a full download would move."""
    say, whole = bench.report, update.peer_size("new.tar.zst")
    least = least_of_all = whole
    if shutil.which("casync") is None:
        say.say("casync is missing (apt-get install casync): beside the full tar.zst alone")
    else:
        chunks, index = Casync(update).moved(old)
        say.row(f"{label}: casync 64K with seed / full tar.zst: chunks", f"{chunks / whole:.3f} x")
        least, least_of_all = min(whole, chunks), min(whole, chunks + index)
    elsewhere = Elsewhere(update, label, old)
    content, about, how = elsewhere.fetch(update.package)
    say.at_most(f"{label}: without a patch, by {how} / the least of them", content / least, 1.0)
    say.row(f"{label}: the same with index and manifest, all around", f"{(content + about) / least_of_all:.3f} x")
    content, about, _ = elsewhere.renamed()
    say.at_most(f"{label}: all files renamed: content", content, 0, "bytes")
    say.row(f"{label}: all files renamed: index and manifest", f"{about / 1e6:.2f} MB")


def p3_update_bytes(bench, t):
    for label, (old, new) in bench.pairs().items():
        note(f"making patch and stream: {label}")
        update = Update(t, label, old, new)
        whole = update.peer_size("new.tar.zst")
        if update.size("1") > 0:
            bench.report.at_most(f"{label}: patch / (zstd -12 --long=31 --patch-from)",
                                 update.size("1") / update.peer_size("patch.zst"), 1.0)
        else:
            ranges = update.packs() - update.old_packs
            bench.report.at_most(f"{label}: no patch is worth it; stream or new packs / (tar | zstd -12)",
                                 min(ranges, update.size("none") or ranges) / whole, 1.0)
        if update.size("none") > 0:
            bench.report.at_most(f"{label}: stream / (tar | zstd -12 --long=27)", update.size("none") / whole, 1.05)
        else:
            bench.report.row(f"{label}: stream", "none is worth it")
        bench.report.row(f"{label}: making both, CPU", f"{update.making.cpu:.0f} s")
        p3_without_patch(bench, update, label, old)
        remove(update.work)


def p4_update_time(bench, t):
    for label, (old, new) in bench.pairs().items():
        note(f"making patch and stream: {label}")
        update = Update(t, label, old, new)
        cost = in_rounds({"packway fetch": update.update,
                          "curl | zstd -d | tar x": update.unpack}, bench.rounds)
        ours, peer = cost["packway fetch"], cost["curl | zstd -d | tar x"]
        bench.report.at_most(f"{label}: fetch, wall / (curl | zstd -d | tar x)", ours.wall / peer.wall, 1.0)
        bench.report.row(f"{label}: the same in CPU", f"{ours.cpu / peer.cpu:.2f} x")
        remove(update.work)
