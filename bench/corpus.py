"""
Trees to measure with: real Debian packages, unpacked, and twenty thousand small files. They are
made once, under the folder given.
"""
import os
import pathlib
import random
import shutil
import subprocess

# tree → Debian packages; of each the newest version that the archive lists is `new`, and the one
# before it, where there is one, `old`.
PACKAGES = {
    "pgsql": ["postgresql-15", "postgresql-client-15"],
    "python": ["libpython3.11-stdlib", "python3.11-minimal", "libpython3.11-minimal"],
}


def output(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def versions(package):
    rows = [line.split("|") for line in output("apt-cache", "madison", package).splitlines()]
    found = []
    for row in rows:
        if row[1].strip() not in found:
            found.append(row[1].strip())
    return found


def newest_kernel():
    names = output("apt-cache", "search", "--names-only", "^linux-image-6[.]1[.]0-[0-9]+-amd64$")
    names = [line.split()[0] for line in names.splitlines()]
    return max(names, key=lambda n: int(n.split("-")[3]))


def unpack(folder, package, version, at):
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    name = f"{package}_{version.replace(':', '%3a')}_"
    if not list(debs.glob(name + "*.deb")):
        output("apt-get", "download", "-qq", f"{package}={version}", cwd=debs)
    output("dpkg-deb", "-x", str(next(debs.glob(name + "*.deb"))), str(at))


def drop_leaving_links(tree):
    """Links that are absolute or climb out are none of a package's."""
    for path in tree.rglob("*"):
        if path.is_symlink():
            target = os.readlink(path)
            inside = os.path.normpath(os.path.join(path.parent, target))
            if target.startswith("/") or not inside.startswith(str(tree) + "/"):
                path.unlink()


def make(tree, fill):
    """Fill a folder that appears only when it is whole."""
    if tree.exists():
        return tree
    unfinished = tree.with_name(tree.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    fill(unfinished)
    drop_leaving_links(unfinished)
    unfinished.rename(tree)
    return tree


def small_files(at):
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
             for _ in range(4000)]
    for i in range(20000):
        folder = at / f"d{i % 200:03}"
        folder.mkdir(exist_ok=True)
        size = 200 + rng.randrange(16384)
        text = " ".join(rng.choices(words, k=size // 4))
        (folder / f"f{i:05}.txt").write_text(text[:size])


def trees(folder):
    """label → folder of the newest state of each tree."""
    found = {}
    kernel = newest_kernel()
    found["kernel"] = make(folder / "kernel",
                           lambda at: unpack(folder, kernel, versions(kernel)[0], at))
    for label, packages in PACKAGES.items():
        for side, index in (("new", 0), ("old", 1)):
            chosen = [(p, versions(p)) for p in packages]
            if any(len(listed) <= index for _, listed in chosen):
                continue
            tree = make(folder / label / side,
                        lambda at: [unpack(folder, p, listed[index], at) for p, listed in chosen])
            if side == "new":
                found[label] = tree
    found["small20k"] = make(folder / "small20k", small_files)
    return found


def big_file(folder, size=1 << 30):
    """One file that does not compress: as large as asked, the same every time."""
    path = folder / "big" / "file.bin"

    def fill(at):
        rng = random.Random(11)
        with open(at / "file.bin", "wb") as file:
            for _ in range(size >> 20):
                file.write(rng.randbytes(1 << 20))
    make(path.parent, fill)
    return path


def huge_file(folder, size=5 << 30):
    """One file that compresses to half: as large as asked, the same every time."""
    path = folder / "huge" / "file.bin"

    def fill(at):
        rng = random.Random(13)
        with open(at / "file.bin", "w", encoding="ascii") as file:
            for _ in range(size >> 20):
                file.write(rng.randbytes(1 << 19).hex())
    make(path.parent, fill)
    return path


def pairs(folder):
    """label → (old, new): the pairs that lie in the folder, else those of the archive."""
    def found():
        return {at.name: (at / "old", at / "new") for at in sorted(pathlib.Path(folder).glob("*"))
                if (at / "old").is_dir() and (at / "new").is_dir()}

    if not found():
        trees(folder)
    return found()


def summary(tree):
    sizes = [p.lstat().st_size for p in pathlib.Path(tree).rglob("*")
             if p.is_file() and not p.is_symlink()]
    return len(sizes), sum(sizes)
