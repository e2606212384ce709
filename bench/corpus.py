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


# The trees of --wide, beside those that are made below: a browser, an office suite, a runtime that is
# one large file with little around it.
WIDE_PACKAGES = {
    "browser": ["firefox-esr"],
    "office": ["libreoffice-core"],
    "runtime": ["openjdk-17-jre-headless"],
}
PIECE = 8 << 20  # of the disk image: what moves


def output(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def versions(package):
    rows = [line.split("|") for line in output("apt-cache", "madison", package).splitlines()]
    found = []
    for row in rows:
        if row[1].strip() not in found:
            found.append(row[1].strip())
    return found


def kernels():
    """The archive's, the newest first."""
    names = output("apt-cache", "search", "--names-only", "^linux-image-6[.]1[.]0-[0-9]+-amd64$")
    names = [line.split()[0] for line in names.splitlines()]
    return sorted(names, key=lambda n: int(n.split("-")[3]), reverse=True)


def deb_name(package, version):
    return f"{package}_{version.replace(':', '%3a')}_"


def fetch(folder, package, version):
    """The package's file, from the archive unless it is here."""
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    name = deb_name(package, version)
    if not list(debs.glob(name + "*.deb")):
        output("apt-get", "download", "-qq", f"{package}={version}", cwd=debs)
    return next(debs.glob(name + "*.deb"))


def unpack(folder, package, version, at):
    output("dpkg-deb", "-x", str(fetch(folder, package, version)), str(at))


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
    kernel = kernels()[0]
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


# -- trees of --wide ---------------------------------------------------------------------------------

def kernel_pair(folder):
    """Two versions whose folders carry the version in their names: every file is renamed."""
    new, old = kernels()[:2]
    return {side: lambda at, name=name: unpack(folder, name, versions(name)[0], at)
            for side, name in (("old", old), ("new", new))}


def text_pair(_folder):
    """Of 20,000 files 200 with a change inside, 100 new, 100 gone, 100 renamed."""
    def change(at):
        small_files(at)
        for i, path in enumerate(sorted(at.rglob("*.txt"))):
            if i % 100 == 3:
                text = path.read_text()
                path.write_text(text[:len(text) // 2] + " inserted here " + text[len(text) // 2:])
            elif i % 200 == 1:
                path.unlink()
            elif i % 200 == 2:
                path.rename(path.with_name("renamed-" + path.name))
            elif i % 200 == 4:
                path.with_name("new-" + path.name).write_text(path.read_text()[::-1])
    return {"old": small_files, "new": change}


def image_pair(folder):
    """One large file: the kernel's tree as a disk image would hold it; a block moves to the front."""
    def fill(at):
        with open(at / "disk.img", "wb") as image:
            for path in sorted(p for p in trees(folder)["kernel"].rglob("*") if p.is_file() and not p.is_symlink()):
                image.write(path.read_bytes())
                image.write(bytes(-image.tell() % 4096))

    def move(at):
        fill(at)
        image = at / "disk.img"
        whole = image.read_bytes()
        middle = len(whole) // 2 // PIECE * PIECE
        image.write_bytes(whole[middle:middle + PIECE] + whole[:middle] + whole[middle + PIECE:])
    return {"old": fill, "new": move}


def deb_pair(folder):
    """Debian packages as what is distributed: each is compressed, and wholly another."""
    def fill(at, index):
        for packages in WIDE_PACKAGES.values():
            for package in packages:
                shutil.copy(fetch(folder, package, versions(package)[index]), at / (package + ".deb"))
    return {"old": lambda at: fill(at, 1), "new": lambda at: fill(at, 0)}


def archive_pair(folder, packages):
    return {side: lambda at, index=index: [unpack(folder, p, versions(p)[index], at) for p in packages]
            for side, index in (("old", 1), ("new", 0)) if all(len(versions(p)) > index for p in packages)}


def wide_pairs(folder):
    """label → (old, new) of trees of many kinds; without what the archive has one version of."""
    found = {"kernels": kernel_pair, "text20k": text_pair, "image": image_pair, "debs": deb_pair}
    made = {label: archive_pair(folder, packages) for label, packages in WIDE_PACKAGES.items()}
    made.update({label: how(folder) for label, how in found.items()})
    return {label: tuple(make(folder / "wide" / label / side, sides[side]) for side in ("old", "new"))
            for label, sides in made.items() if len(sides) == 2}


def summary(tree):
    sizes = [p.lstat().st_size for p in pathlib.Path(tree).rglob("*")
             if p.is_file() and not p.is_symlink()]
    return len(sizes), sum(sizes)
