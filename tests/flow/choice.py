#!/usr/bin/python3
"""The choice as the programs make it: mounts, preferences, groups, waiting, and SMS 2.0's draw."""
import re

from flow import *

SEEDS = 200


def two_dps(t, *names, groups=None):
    """A site over folders with a package on DPs of those names; groups: DP name → group."""
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    for name in names or ("dp1", "dp2"):
        site.folder_dp(name, *(["--group", groups[name]] if groups and name in groups else []))
    source = make_tree(t.dir / "source", files=4)
    package = site.package("tool", source)
    site("publish")
    return site, cap, package, source


def chosen(client, *question):
    return client.json("locate", *question)["chosen"]


def row_of(decision, server):
    return next(c for c in decision["candidates"] if c["server"] == server)


# -- mounts ----------------------------------------------------------------------------------------

class Mounted:
    """A DP `web` that nginx serves and a mount table shows mounted, beside two folder DPs."""

    def __init__(self, t, shows="web"):
        self.site = t.site()
        cap = f"file://{self.site.folder_cap('cap1')}"
        web, at = t.dir / "web", t.dir / "mounted"
        port = free_port()
        web.mkdir()
        self.site("dp", "add", "web", f"file://{web}", f"http://127.0.0.1:{port}/")
        other = self.site.folder_dp("dp2")
        self.site.folder_dp("dp3")
        self.source = make_tree(t.dir / "source")
        self.package = self.site.package("tool", self.source)
        self.site("publish")
        hidden = web.rename(t.dir / "web.elsewhere")  # the site's folder is not on the client
        self.nginx = t.nginx(hidden, port=port)
        show = {"web": hidden, "dp2": other}[shows]
        if not t.bind_mount(show, at):
            shutil.copytree(show, at, dirs_exist_ok=True)
        table = t.dir / "mountinfo"
        uid = os.geteuid()
        table.write_text(
            "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
            f"36 22 0:60 / {at} rw,relatime - fuse http://127.0.0.1:{port}/ rw,user_id={uid}\n")
        self.client = t.client(config=f"mounts = {table}\n").join(self.site, cap)
        self.at = at


@case("existing takes the mount 20 of 20 and reads through it (Q226113, Q185337)")
def _(t):
    m = Mounted(t)
    for seed in range(20):
        got = chosen(m.client, m.package, "--seed", str(seed))
        equal((got["server"], got["way"]), ("web", "mount"), f"seed {seed}")
    need(any(c["way"] == "mount" and c["server"] == "web" for c in m.client.json("connections")),
         "connections does not show the mount")
    m.nginx.log.write_text("")
    got = m.client.json("fetch", m.package)
    equal((got["server"], got["way"]), ("web", "mount"), "fetch")
    same_tree(m.source, got["path"])
    need(got["bytes_network"] > 0, "bytes through a mount were not counted", got)
    equal(m.nginx.lines(), [], "the server's log")


@case("a system is read at its second address where the first is another machine's folder")
def _(t):
    m = Mounted(t)
    (m.client.state / "packway.conf").write_text(f"name = client1\naddress = 10.1.0.1\n{WORKER_USER}")
    m.client("prefer", "web", "--dp")
    got = m.client.json("fetch", m.package)
    equal((got["server"], got["way"]), ("web", "new"), "server and way")
    same_tree(m.source, got["path"])
    decision = m.client.json("explain")
    equal(decision["chosen"]["address"], f"{m.nginx.url}/", "the address that served")
    equal([a["class"] for a in decision["attempts"]], ["not-found", "ok"], "attempts")
    need("failed" not in decision["because"], "it did not fail", decision["because"])
    equal(m.client.json("locate", m.package)["chosen"]["server"], "web", "afterwards")


@case("a mount whose marker names another DP is not used")
def _(t):
    m = Mounted(t, shows="dp2")
    got = m.client.json("fetch", m.package)
    decision = m.client.json("explain")
    need(got["way"] != "mount", "content was read through a foreign mount", decision)
    same_tree(m.source, got["path"])
    equal([a["class"] for a in decision["attempts"] if a["way"] == "mount"], ["not-found"],
          "the attempt through the mount")


@case("sms2 does not look at the mount: 200 seeds are a uniform draw, and say so")
def _(t):
    names = [f"dp{i}" for i in range(1, 8)]
    site, cap, package, _ = two_dps(t, *names)
    for i in range(2, 6):
        site.folder_cap(f"cap{i}")
    site("publish")
    table = t.dir / "mountinfo"
    table.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 22 0:60 / {t.dir}/dp3 rw - fuse "
                     f"{t.dir}/dp3 rw,user_id={os.geteuid()}\n")
    client = t.client(config=f"mounts = {table}\n").join(site, cap)
    equal(chosen(client, package)["way"], "mount", "the way of the default policy")
    for question, names in (([package], names), (["--cap"], [f"cap{i}" for i in range(1, 6)])):
        counts = dict.fromkeys(names, 0)
        for seed in range(SEEDS):
            decision = client.json("locate", *question, "--policy", "sms2", "--seed", str(seed))
            counts[decision["chosen"]["server"]] += 1
        need("at random" in decision["because"] and "Q226113" in decision["because"],
             "not explained", decision["because"])
        equal({c["tier"] for c in decision["candidates"]}, {1}, "tiers")
        need(chi_square(list(counts.values())) < CHI_SQUARE_0_001[len(names) - 1], f"not uniform: {counts}")


# -- preferences -----------------------------------------------------------------------------------

def grouped(t, *options):
    """dp1 in this client's group, dp2 in another, dp3 in none."""
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("group", "add", "hub")
    site("group", "add", "branch", *options)
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    site("boundary", "add", "10.2.0.0/16", "--group", "hub")
    site.folder_dp("dp1", "--group", "branch")
    site.folder_dp("dp2", "--group", "hub")
    site.folder_dp("dp3")
    source = make_tree(t.dir / "source", files=4)
    package = site.package("tool", source)
    site("publish")
    return site, cap, package, source


@case("Q281107, Q276531: a client that moves to another network reads elsewhere, and is whose and what it was")
def _(t):
    site, cap, package, _ = grouped(t)
    site("program", "add", package, "install", "--command", "./install")
    site("advertise", package, "install", "--collection", "all", "--available", "now")
    site("publish")
    client = t.client().enroll(site, cap)
    was, offers = client.id, client.json("list")
    equal((len(offers), chosen(client, package)["server"]), (1, "dp1"), "before")
    conf = client.state / "packway.conf"
    for address, server in (("10.2.0.9", "dp2"), ("192.0.2.7", "dp3"), ("10.1.0.9", "dp1")):
        conf.write_text(re.sub("(?m)^address.*", f"address = {address}", conf.read_text()))
        client("sync")
        site("intake")
        client("sync")
        equal(chosen(client, package)["server"], server, f"the server at {address}")
        equal((client.id, client.json("list")), (was, offers), f"the client at {address}")
    equal([c["client_id"] for c in site.json("client", "list")], [was], "clients of the site")
    equal(client.json("status")["outbox_records"], 0, "records that found no way")
    client("fetch", package)
    # Another site that it meets there is not joined unless it leaves its own.
    other = t.site(code="PAR", name="other")
    refused = client("enroll", "--cap", f"file://{other.folder_cap('cap9')}", "--root", other.root, "--token", other.token(),
                     check=False)
    need(refused.code == 1 and was in refused.err and "LON" in refused.err, "a second site", refused.code, refused.err)
    equal(client.id, was, "whose it is")


@case("a preferred DP is taken across tiers, and given up when it is dead (Q235873)")
def _(t):
    site, cap, package, source = grouped(t)
    client = t.client().join(site, cap)
    equal(chosen(client, package)["server"], "dp1", "without a preference")
    client("prefer", "dp3", "--dp")
    decision = client.json("locate", package)
    equal((decision["chosen"]["server"], row_of(decision, "dp3")["tier"]), ("dp3", 0), "preferred")
    (t.dir / "dp3").rename(t.dir / "gone")
    got = client.json("fetch", package)
    equal(got["server"], "dp1", "with the preferred DP gone")
    same_tree(source, got["path"])
    client("prefer", "--clear")
    equal(chosen(client, package)["server"], "dp1", "after --clear")


@case("a fence holds against a client's preference")
def _(t):
    site, cap, package, _ = grouped(t, "--fence")
    client = t.client().join(site, cap)
    client("prefer", "dp3", "--dp")
    decision = client.json("locate", package)
    equal(decision["chosen"]["server"], "dp1", "chosen")
    equal(row_of(decision, "dp3")["excluded"], "fence", "dp3")
    (t.dir / "dp1").rename(t.dir / "gone")
    client("fetch", package, check=False).want(4)


@case("a policy that would cut the client off is refused (Q235873)")
def _(t):
    site, cap, package, _ = two_dps(t)
    client = t.client().join(site, cap)
    client("prefer", "--policy", "preferred-only", check=False).want(1)
    equal(chosen(client, package)["way"], "new", "the choice afterwards")
    client("prefer", "dp2", "--dp")
    client("prefer", "cap1", "--cap")
    client("prefer", "--policy", "preferred-only")
    decision = client.json("locate", package)
    equal((decision["chosen"]["server"], row_of(decision, "dp1")["excluded"]),
          ("dp2", "not-preferred"), "preferred-only")


@case("one DP takes the same path as many (Q235873)")
def _(t):
    site, cap, package, source = two_dps(t, "only")
    client = t.client().join(site, cap)
    for options in ([], ["--policy", "sms2"], ["--policy", "nearest"], ["--policy", "random"]):
        equal(chosen(client, package, *options)["server"], "only", f"{options}")
    client("prefer", "only", "--dp")
    decision = client.json("locate", package)
    equal((decision["listed"], decision["valid"], row_of(decision, "only")["tier"]), (1, 1, 0),
          "listed, valid, tier")
    same_tree(source, client.json("fetch", package)["path"])


# -- boundaries ------------------------------------------------------------------------------------

BOUNDARIES = [  # why, the client's addresses, its DP
    ("inside its network", "10.1.2.3", "branch"),
    ("the longest prefix wins", "10.1.9.9", "desk"),
    ("one host's own boundary", "10.1.9.10", "host"),
    ("the last address of a network", "10.1.255.255", "branch"),
    ("just outside", "10.3.0.0", "none"),
    ("IPv6", "2001:db8:1::5", "six"),
    ("IPv6, longer prefix", "2001:db8:1:2::5", "desk"),
    ("IPv6, outside", "2001:db9::5", "none"),
    ("IPv4 in IPv6", "::ffff:10.2.0.1", "hub"),
    ("several addresses: the longest prefix of all", "10.2.0.1, 10.1.9.9", "desk"),
    ("several addresses: one inside", "192.0.2.1, 10.2.0.1", "hub"),
    ("no boundary holds it: the site default at once", "192.0.2.1", "none"),
]


@case("a client reads in the group of its boundary")
def _(t):
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    for group, *networks in (("branch", "10.1.0.0/16"), ("desk", "10.1.9.0/24", "2001:db8:1:2::/64"),
                             ("host", "10.1.9.10/32"), ("hub", "10.2.0.0/16"),
                             ("six", "2001:db8:1::/48")):
        site("group", "add", group)
        for network in networks:
            site("boundary", "add", network, "--group", group)
        site.folder_dp(group, "--group", group)
    site.folder_dp("none")
    package = site.package("tool", make_tree(t.dir / "source", files=2))
    site("publish")
    client = t.client().join(site, cap)
    for why, addresses, server in BOUNDARIES:
        (client.state / "packway.conf").write_text(f"name = client1\naddress = {addresses}\n{WORKER_USER}")
        decision = client.json("locate", package)
        equal((decision["chosen"] or {}).get("server"), server, f"{why} ({addresses})")
        equal(row_of(decision, server)["tier"], 1, f"{why}: tier")


def power_off(client):
    """Time that passes from here on is the time of another boot, not a clock that was set."""
    path = client.state / "worker/nal.json"
    memory = json.loads(path.read_text())
    path.write_text(json.dumps({**memory, "boot": "another"}))


@case("a branch waits for its DP before it crosses to neighbours, and says how long")
def _(t):
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("group", "add", "hub")
    site("group", "add", "branch", "--neighbour", "hub:90", "--default-after", "never")
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    site.folder_dp("near", "--group", "branch")
    site.folder_dp("far", "--group", "hub")
    site.folder_dp("default")
    source = make_tree(t.dir / "source", files=4)
    package = site.package("tool", source, "far", "default")
    site("publish")
    client = t.client().join(site, cap)
    refused = client("fetch", package, check=False).want(4)
    need("min" in refused.err and "near" not in refused.err, "no time is told", refused.err)
    decision = client.json("explain", package)
    equal(decision["waits"]["reason"], "neighbours", "reason")
    need(decision["waits"]["until"], "no time", decision)
    equal((row_of(decision, "far")["excluded"], row_of(decision, "default")["excluded"]),
          ("tier-closed", "tier-closed"), "excluded")
    for minutes, code in ((60, 4), (89, 4), (91, 0)):
        power_off(client)
        env = {"PACKWAY_FAKE_TIME": f"+{minutes * 60}"}
        done = client("fetch", package, "--json", check=False, env=env).want(code)
    equal(done.json["server"], "far", "the neighbour")
    same_tree(source, done.json["path"])
    equal(row_of(client.json("explain", package), "default")["excluded"], "tier-closed",
          "the site default stays closed for ever")


@case("a mandatory program waits with its branch, and runs from the branch's DP")
def _(t):
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("group", "add", "hub")
    site("group", "add", "branch", "--neighbour", "hub:120")
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    site.folder_dp("near", "--group", "branch")
    site.folder_dp("far", "--group", "hub")
    package = site.package("tool", make_tree(t.dir / "source", files=4), "far")
    site("program", "add", package, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
    site("advertise", package, "install", "--collection", "all", "--mandatory", "now")
    site("publish")
    client = t.client().enroll(site, cap)
    client("sync")
    need(not (t.dir / "ran").exists(), "the branch crossed to its neighbour")
    (offer,) = client.json("list")
    need("wait" in json.dumps(offer), "list does not say that it waits", offer)
    site("package", "distribute", package, "--dp", "near", "--no-patches")
    site("publish")
    client("sync")
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark")
    equal(client.json("explain", package)["chosen"]["server"], "near", "read from")


main()
