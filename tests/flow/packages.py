"""The Debian packages: built from this tree, unpacked, looked at, and their programs run.

A real installation is tests/deep/packages.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile

from flow import case, equal, main, need, run

TOP = pathlib.Path(__file__).resolve().parents[2]
MODES = {"etc/packway/credentials.d": 0o700, "etc/packway/enroll.d": 0o700}
SCORES = {"packway-agent": 6.0, "packway-site": 2.0}
_built = {}


def packages():
    """The .deb files, built once for all cases; the programs are kept in build/package."""
    if not _built:
        out = tempfile.TemporaryDirectory(prefix="packway-packages.")
        _built["out"] = out
        run(TOP / "packaging/build-deb", out.name, timeout=600, env={"PACKWAY_JOBS": "2"})
        _built["debs"] = {p.name.split("_")[0]: p for p in pathlib.Path(out.name).glob("*.deb")}
    return _built["debs"]


def field(deb, name):
    return run("dpkg-deb", "-f", deb, name).out.strip()


def control(deb, folder):
    run("dpkg-deb", "-e", deb, folder)
    return folder


def unpack(t, *names):
    root = pathlib.Path(t.dir) / "root"
    for name in names:
        run("dpkg-deb", "-x", packages()[name], root)
    return root


@case("three packages with what they need, and none links what it should not")
def _(t):
    debs = packages()
    equal(sorted(debs), ["packway", "packway-site", "packway-smb"], "the packages")
    for name, deb in debs.items():
        equal(field(deb, "Package"), name)
        need(re.fullmatch(r"\d+\.\d+\.\d+", field(deb, "Version")), "a version", field(deb, "Version"))
        need("libc6" in field(deb, "Depends"), "libraries are named", field(deb, "Depends"))
        need(int(field(deb, "Installed-Size")) > 10, "a size")
    for name in ("packway", "packway-site"):
        need("samba" not in field(debs[name], "Depends") and "smbclient" not in
             field(debs[name], "Depends"), f"{name} links no library under the GPL")
    need("libsmbclient" in field(debs["packway-smb"], "Depends"), "the SMB helper does")


@case("files belong to root, nobody else writes them, secrets' folders are root's alone")
def _(t):
    for name, deb in packages().items():
        for line in run("dpkg-deb", "-c", deb).out.splitlines():
            mode, owner, _, _, _, path = line.split(maxsplit=5)
            path = path.removeprefix("./").rstrip("/")
            equal(owner, "root/root", f"{name}: {path}")
            need(mode[0] in "-d", f"{name}: {path} is a file or folder", mode)
            need("w" not in mode[4:] and "s" not in mode and "t" not in mode,
                 f"{name}: {path} has a safe mode", mode)
            if path in MODES:
                equal(mode, "drwx------", f"{name}: {path}")
            if path.startswith(("usr/bin/", "usr/libexec/packway/packway-")):
                equal(mode, "-rwxr-xr-x", f"{name}: {path}")
            need(path == "" or path.split("/")[0] in ("etc", "usr"), f"{name}: {path} has its place")


@case("md5sums, manual pages, copyright and changelog are there; scripts are sh and pass a checker")
def _(t):
    for name, deb in packages().items():
        root, info = pathlib.Path(t.dir) / name, pathlib.Path(t.dir) / f"{name}.control"
        run("dpkg-deb", "-x", deb, root)
        control(deb, info)
        run("md5sum", "--quiet", "-c", info / "md5sums", cwd=root)
        for doc in ("copyright", "changelog.gz"):
            need((root / "usr/share/doc" / name / doc).exists(), f"{name} has {doc}")
        for script in ("postinst", "prerm", "postrm"):
            if (info / script).exists():
                run("sh", "-n", info / script)
                run("shellcheck", info / script)
        for program in (root / "usr/bin").glob("*"):
            page = root / "usr/share/man/man1" / f"{program.name}.1.gz"
            need(page.exists(), f"{program.name} has its manual page")


@case("programs are hardened by the compiler: PIE, full RELRO, a stack that cannot run")
def _(t):
    root = unpack(t, *packages())
    programs = [*(root / "usr/bin").iterdir(),
                *(root / "usr/libexec/packway").glob("packway-*")]
    equal(len(programs), 7, "programs")
    for program in programs:
        seen = run("readelf", "-W", "-h", "-l", "-d", program).out
        need("DYN (Position-Independent Executable" in seen, f"{program.name} is a PIE")
        need("GNU_RELRO" in seen and "BIND_NOW" in seen, f"{program.name} has full RELRO", seen)
        stack = next(line for line in seen.splitlines() if "GNU_STACK" in line)
        need("RWE" not in stack, f"{program.name}: stack", stack)
        need("RPATH" not in seen and "RUNPATH" not in seen, f"{program.name} has no search path")


@case("the units are understood by systemd and as shut as they are said to be")
def _(t):
    root = unpack(t, "packway", "packway-site")
    for unit, limit in SCORES.items():
        path = root / "usr/lib/systemd/system" / f"{unit}.service"
        text = path.read_text()
        copy = pathlib.Path(t.dir) / f"{unit}.service"
        # What it starts is not installed here, and the man pages neither.
        copy.write_text(re.sub(r"(?m)^Documentation=.*$", "", text).replace(
            "/usr/bin/packway", str(root / "usr/bin/packway")))
        done = run("systemd-analyze", "--no-pager", "verify", copy, check=False)
        need(done.code == 0 and not done.err.strip(), f"{unit}: systemd-analyze verify", done.err)
        done = run("systemd-analyze", "--no-pager", "security", "--offline=true", path,
                   check=False, env={"LC_ALL": "C"})
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.out)
        need(found, f"{unit}: a score", done.out[-500:], done.err)
        print(f"# {unit}: exposure {found[1]}, at most {limit}")
        need(float(found[1]) <= limit, f"{unit} scores {found[1]}, more than {limit}")


@case("the unpacked programs do the main job with their own helpers")
def _(t):
    root, box = unpack(t, *packages()), pathlib.Path(t.dir)
    site, client = root / "usr/bin/packway-site", root / "usr/bin/packway"
    # In a namespace of its own where it may: helpers are in the folder they were built for.
    inside = box / "do"
    inside.write_text(f"""#!/bin/sh
set -e
mount --make-rprivate /
mount --bind {root}/usr/libexec /usr/libexec
cd {box}
{site} --site {box}/site init {box}/site --code LON
{site} --site {box}/site cap add cap1 file://{box}/cap
{site} --site {box}/site dp add dp1 file://{box}/dp
mkdir source && printf '#!/bin/sh\\necho did it\\n' >source/install && chmod +x source/install
{site} --site {box}/site package create tool --source source
{site} --site {box}/site program add LON00001 install --command ./install
{site} --site {box}/site package distribute LON00001 --all
{site} --site {box}/site advertise LON00001 install --collection all --mandatory now
{site} --site {box}/site publish
{site} --site {box}/site token create --bundle {box}/bundle.json
mkdir -m 700 state
{client} --state {box}/state enroll bundle.json
{site} --site {box}/site intake
{client} --state {box}/state sync
{site} --site {box}/site intake
{site} --site {box}/site status LON20001 --json >{box}/status.json
""")
    inside.chmod(0o755)
    run("unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), inside,
        env={"PACKWAY_MACHINE_ID": "0123456789abcdef0123456789abcdef"})
    row = json.loads((box / "status.json").read_text())[0]
    equal(row["succeeded"], 1, "the program's success is at the site")


@case("as root, a site in a service account's folder is made, kept and used as that account's")
def _(t):
    if os.geteuid() != 0:
        print("# skipped: needs root")
        return
    from flow import program
    site, box = program("packway-site"), pathlib.Path(t.dir)
    nobody = pwd.getpwnam("nobody")
    box.chmod(0o755)
    for name in ("site", "srv"):
        (box / name).mkdir(mode=0o750)
        os.chown(box / name, nobody.pw_uid, nobody.pw_gid)
    def verb(*words, **more):
        return run(site, "--site", box / "site", *words, **more)
    verb("init", box / "site", "--code", "LON")
    equal((box / "site").stat().st_mode & 0o777, 0o750, "the folder's mode")
    verb("cap", "add", "cap1", f"file://{box}/srv/cap")
    verb("publish")
    secret = box / "root-only"
    secret.mkdir(mode=0o700)
    refused = verb("package", "create", "tool", "--source", secret, check=False)
    need(refused.code == 5 and "PW-PERMISSION" in refused.err, "root's files are not read",
         refused.code, refused.err)
    for path in [box / "site", *(box / "site").rglob("*"), *(box / "srv").rglob("*")]:
        equal(path.lstat().st_uid, nobody.pw_uid, f"the owner of {path}")


main()
