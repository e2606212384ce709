#!/usr/bin/python3
"""SMB shares as DPs, CAPs and inboxes: real smbd servers, counted by their own logs."""
from flow import *


def smb_processes(under=None):
    """Processes of packway-smb, of that parent or all of this build."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if not entry.name.isdigit() or (entry / "comm").read_text().strip() != "packway-smb":
                continue
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if under is None or parent == under:
                found.append(int(entry.name))
    return found


class Branch:
    """A site whose one CAP and one DP are folders of one share."""

    def __init__(self, t, packages=1, secret=None, **more):
        self.t, self.site = t, t.site()
        self.smb = t.samba(**more)
        if secret:
            self.site("credential", "set", self.smb.host, "--user", "writer", "--secret-file", secret)
        self.site("cap", "add", "cap1", self.smb.url("cap"))
        self.site("dp", "add", "dp1", self.smb.url("dp"))
        self.packages = []
        for i in range(packages):
            make_tree(t.dir / f"source{i}", seed=i)
            made = self.site.package(f"tool{i}", t.dir / f"source{i}")
            self.site("program", "add", made, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
            self.site("advertise", made, "install", "--collection", "all", "--available", "now")
            self.packages.append(made)
        self.site("publish")

    def client(self, name="client1", **more):
        return self.t.client(name, **more).enroll(self.site, self.smb.url("cap"))


@case("a guest fetches a package from a share, in one session")
def _(t):
    site, smb = t.site(), t.samba()
    cap = site.folder_cap()
    site("dp", "add", "dp1", smb.url("content"))
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    before = smb.mark()
    got = client.json("fetch", made)
    same_tree(t.dir / "src", got["path"])
    equal(len(smb.setups(before)), 1, "session setups")
    equal(smb.trees(before, share="packway"), ["packway"], "tree connects")


@case("a site and its client do all their business over one share")
def _(t):
    b = Branch(t)
    client = b.client()
    got = client.json("fetch", b.packages[0])
    same_tree(t.dir / "source0", got["path"])
    client("run", b.packages[0], "install")
    equal((t.dir / "ran").read_text(), "run\n", "runs")
    client("sync")
    need(list((b.smb.folder / "cap" / "inbox").iterdir()), "no record in the inbox")
    b.site("intake")
    equal(list((b.smb.folder / "cap" / "inbox").iterdir()), [], "the inbox after intake")
    client("sync")
    need(all(m["done"] for m in client.json("messages")) if "done" in client.json("messages")[0] else True, "a record is not done")
    need(any(b.smb.folder.rglob("receipts/*.json")), "no receipt")
    b.site("dp", "validate", "dp1", b.packages[0])
    b.site("dp", "remove", "dp1", "--force", check=False)
    equal(smb_processes(), [], "processes left")


@case("three fetches by three commands cost one session with the agent, three without")
def _(t):
    b = Branch(t, 3)
    client = b.client()
    agent = client.agent()
    before = b.smb.mark()
    for package in b.packages:
        client("fetch", package)
    equal(len(b.smb.setups(before)), 1, "session setups with the agent")
    rows = [r for r in client.json("connections") if r["way"] == "session"]
    equal([(r["server"], r["share"], r["scheme"], r["context"], r["credential"], r["owner"], r["leases"]) for r in rows],
          [("dp1", "packway", "smb", "system", "guest", "agent", 0)], "connections")
    need(rows[0]["requests"] >= 3 * 2, "requests", rows)
    equal(len(b.smb.sessions()), 1, "sessions at the server")
    equal(client.json("explain")["chosen"]["way"], "session", "way of the last fetch")
    agent.terminate()
    agent.wait(20 * SLOW)
    wait_for("the end of the session", 5, lambda: not b.smb.sessions())
    equal(smb_processes(), [], "processes left")
    client("cache", "--clear")
    before = b.smb.mark()
    for package in b.packages:
        client("fetch", package)
    equal(len(b.smb.setups(before)), 3, "session setups without")
    equal(smb_processes(), [], "processes left")


main()
