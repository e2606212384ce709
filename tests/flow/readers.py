#!/usr/bin/python3
"""Clients that read in a loop while version after version is published see only whole ones, whatever the CAP and DP are."""
from flow import *

UPDATES = int(os.environ.get("PACKWAY_TEST_UPDATES", "5"))
FILES = 5


def put_version(source, number):
    """Files that all say which version they are of, and one that changes its name."""
    source.mkdir(exist_ok=True)
    for n in range(FILES):
        (source / f"file{n}").write_text(f"{number}\n" * (200 * n + 1))
    for old in source.glob("only-in-*"):
        old.unlink()
    (source / f"only-in-{number}").write_text(f"{number}\n")


def version_of(tree):
    """The number that all files of a tree agree on."""
    seen = {line for path in tree.iterdir() for line in path.read_text().split()}
    need(len(seen) == 1, f"a mixture of versions: {sorted(seen)}")
    (number,) = seen
    names = {p.name for p in tree.iterdir()}
    equal(names, {f"file{n}" for n in range(FILES)} | {f"only-in-{number}"}, f"files of version {number}")
    for n in range(FILES):
        equal((tree / f"file{n}").stat().st_size, (200 * n + 1) * (len(number) + 1), f"size of file{n}")
    return int(number)


def is_late(result):
    return any(words in result.out + result.err for words in ("does not answer", "in time", "timeout", "is too slow"))


def patiently(site, *args):
    """A verb of the site, again where a server did not answer in time."""
    for _ in range(5):
        done = site(*args, check=False)
        if done.code != 4 or not is_late(done):
            break
    done.want(0)


class Reader(threading.Thread):
    """Syncs and fetches, again and again, from one CAP and one DP."""

    def __init__(self, client, name, package, hidden=None):
        super().__init__(daemon=True)
        # As root, commands do not see the folder behind a web server, as if that were another machine's.
        self.before = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', hidden] if hidden else []
        self.client, self.name_of_dp, self.package = client, name, package
        self.over, self.rounds, self.seen, self.fault, self.late = threading.Event(), 0, [], None, 0

    def packway(self, *args):
        """A command; on a machine that is busy a server may not answer in time, which shows nothing of a version."""
        done = None
        while done is None or (done.code == 4 and is_late(done) and self.late <= 3):
            self.late += done is not None
            done = run(*self.before, program("packway"), "--state", self.client.state, *args, "--json", env=self.client.env, check=False)
        return done.want(0)

    def read_once(self):
        self.packway("sync")
        got = self.packway("fetch", self.package).json
        need(got.get("server") in (None, self.name_of_dp), "another server", got)
        number = version_of(pathlib.Path(got["path"]))
        equal(got["version"], number, "the version that it calls itself")
        need(not self.seen or number >= self.seen[-1], f"an older version than before: {number} after {self.seen[-1:]}")
        self.seen.append(number)

    def run(self):
        try:
            while not self.over.is_set():
                self.read_once()
                self.rounds += 1
        except Exception as fault:  # told by the case
            self.fault = fault

    def finish(self):
        self.over.set()
        self.join()
        if self.fault:
            raise self.fault
        self.read_once()


def places(t, site):
    """A CAP and a DP of each kind, written and read over their own protocol: {name: URL of the CAP}."""
    caps = {"folder": f"file://{site.folder_cap('folder-cap')}"}
    site.folder_dp("folder-dp")
    root = t.new_dir("web")
    for name in ("cap", "dp"):
        (root / name).mkdir()
        (root / name).chmod(0o777)
    root.chmod(0o777)  # nginx started as root writes as nobody
    web = t.nginx(root, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;")
    caps["web"] = f"{web.url}/cap"
    site("cap", "add", "web-cap", f"file://{root}/cap", caps["web"])
    site("dp", "add", "web-dp", f"{web.url}/dp")
    smb = t.samba()
    caps["share"] = smb.url("cap")
    site("cap", "add", "share-cap", caps["share"])
    site("dp", "add", "share-dp", smb.url("dp"))
    return caps, web


@case(f"readers over folder, nginx and SMB see only whole versions during {UPDATES} updates")
def _(t):
    site, source = t.site(), t.dir / "source"
    caps, web = places(t, site)
    put_version(source, 1)
    package = site.package("tool", source)
    site("publish")
    readers = []
    for number, (name, cap) in enumerate(caps.items(), 1):
        client = t.client(name, f"10.1.0.{number}").join(site, cap)
        client("prefer", f"{name}-cap", "--cap")
        client("prefer", f"{name}-dp", "--dp")
        hidden = web.folder if name == "web" and os.geteuid() == 0 else None
        readers.append(Reader(client, f"{name}-dp", package, hidden))
    for reader in readers:
        reader.start()
    wait_for("a first round of each", 60, lambda: all(r.rounds or r.fault for r in readers))
    for number in range(2, UPDATES + 2):
        put_version(source, number)
        site("package", "update", package)
        patiently(site, "package", "distribute", package, "--all", "--no-patches")
        patiently(site, "publish")
        need(not any(r.fault for r in readers), "a reader saw something else", *[r.fault for r in readers if r.fault])
    for reader in readers:
        reader.finish()
        equal(reader.seen[-1], UPDATES + 1, f"{reader.name_of_dp}: what it ends with")
        need(len(set(reader.seen)) >= max(2, UPDATES // 10), f"{reader.name_of_dp}: it saw too few versions", reader.seen)
    asked = [l for l in web.lines() if l[2] == "GET" and l[3].startswith("/cap/metadata/timestamp.json")]
    need(os.geteuid() != 0 or len(asked) >= UPDATES // 2, "policy hardly came over HTTP", len(asked))
    print("# " + ", ".join(f"{r.name_of_dp}: {len(set(r.seen))} versions in {r.rounds} rounds" for r in readers))


main()
