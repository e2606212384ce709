#!/usr/bin/python3
"""The choice as the site sees it: explain, what-if, boundary lint."""
import datetime
import pathlib
import sqlite3
from flow import *

SITE_ONLY = ("client", "address", "addresses", "without", "notes")  # members that what-if adds


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def as_located(decision):
    """What a client's `locate --json` holds of it; times count from the command's own."""
    def plain(value):
        if isinstance(value, dict):
            return {k: seconds(v) - seconds(decision["time"]) if k == "until" else plain(v)
                    for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, list) else value
    return {k: plain(v) for k, v in decision.items() if k not in SITE_ONLY + ("time",)}


def branch(t, *options):
    """near and near2 in this client's group, far in the neighbour that opens after 120 minutes."""
    site = t.site()
    cap = f"file://{site.folder_cap('cap1')}"
    site("group", "add", "hub")
    site("group", "add", "branch", "--neighbour", "hub", "--default-after", "never", *options)
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    site("boundary", "add", "10.2.0.0/16", "--group", "hub")
    site.folder_dp("near", "--group", "branch")
    site.folder_dp("near2", "--group", "branch")
    site.folder_dp("far", "--group", "hub")
    site.folder_dp("central")
    source = make_tree(t.dir / "source", files=4)
    package = site.package("tool", source)
    site("publish")
    return site, cap, package, source


def report(client, site):
    """What the client has told reaches the database."""
    client("sync")
    site("intake")


def fails(result, exit_code, *words):
    """Three lines with a code, and the words in them."""
    equal(result.code, exit_code, "exit code")
    lines = result.err.strip().splitlines()
    equal(len(lines), 3, f"lines of the error: {lines}")
    for word in words:
        need(word in result.err, f"no \"{word}\"", result.err)


# -- what-if ---------------------------------------------------------------------------------------

@case("what-if is what the client's locate says, for every seed and policy (Q205406)")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    report(client, site)
    for seed in range(12):
        for policy in ("existing", "sms2", "random", "nearest"):
            question = [package, "--seed", str(seed), "--policy", policy]
            equal(as_located(site.json("what-if", *question, "--client", client.id)),
                  as_located(client.json("locate", *question)), f"seed {seed}, {policy}")
    equal(as_located(site.json("what-if", package, "--seed", "7", "--address", "10.1.0.1")),
          as_located(client.json("locate", package, "--seed", "7")), "by address")
    equal(site.json("what-if", "cap", "--seed", "7", "--client", "client1")["chosen"],
          client.json("locate", "--cap", "--seed", "7")["chosen"], "for CAPs")


@case("what-if knows since when a client waits for its neighbours")
def _(t):
    site, cap, package, _ = branch(t)
    lone = site.package("lone", make_tree(t.dir / "lone", files=1), "far")
    site("publish")
    client = t.client().enroll(site, cap)
    client("fetch", lone, check=False).want(4)
    report(client, site)
    time.sleep(3)
    here, there = client("locate", lone, "--json", check=False).json, \
        site("what-if", lone, "--client", client.id, "--json", check=False).json
    equal(there["waits"]["reason"], "neighbours", "what it waits for")
    need(abs(seconds(there["waits"]["until"]) - seconds(here["waits"]["until"])) <= 1,
         "they open at another time", here["waits"], there["waits"])
    fresh = site("what-if", lone, "--address", "10.1.0.9", "--json", check=False).json
    need(seconds(fresh["waits"]["until"]) >= seconds(there["waits"]["until"]) + 3,
         "a new machine begins to wait now", fresh["waits"], there["waits"])


@case("what-if knows by what a client told who served it")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    client("fetch", package, "--seed", "3")
    report(client, site)
    served = client.json("explain", package)["chosen"]["server"]
    for seed in range(8):
        question = [package, "--seed", str(seed)]
        got = site.json("what-if", *question, "--client", client.id)
        equal(got["chosen"]["server"], served, "the server that served last")
        equal(got["candidates"][0]["terms"].get("sticky"), 1, "why")
        equal(client.json("locate", *question)["chosen"]["server"], served, "the client's own")


@case("what-if takes a mount that the client told of, and names it (Q226113)")
def _(t):
    site, cap, package, _ = branch(t)
    at = t.dir / "mounted"
    if not t.bind_mount(site.dir.parent / "near2", at):
        shutil.copytree(site.dir.parent / "near2", at)
    table = t.dir / "mountinfo"
    table.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 22 0:60 / {at} rw - fuse "
                     f"{site.dir.parent}/near2 rw,user_id={os.geteuid()}\n")
    client = t.client(config=f"mounts = {table}\n").enroll(site, cap)
    client("fetch", package)
    report(client, site)
    for seed in range(8):
        got = site.json("what-if", package, "--seed", str(seed), "--client", client.id)
        equal((got["chosen"]["server"], got["chosen"]["way"]), ("near2", "mount"), "chosen")
        equal(got["because"],
              client.json("locate", package, "--seed", str(seed))["because"], "the sentence")
    need(any(str(at) in note for note in got["notes"]), "the mount is not named", got["notes"])


@case("without a server: the next one, then the neighbours in their time")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    report(client, site)
    got = site.json("what-if", package, "--client", client.id, "--without", "near")
    equal(got["chosen"]["server"], "near2", "chosen")
    equal([c["server"] for c in got["candidates"] if c.get("excluded") == "left-out"], ["near"],
          "left out")
    done = site("what-if", package, "--client", client.id, "--without", "near", "near2", "--json",
                check=False)
    equal(done.code, 4, "exit code")
    got = done.json
    equal((got["chosen"], got["waits"]["reason"]), (None, "neighbours"), "waits")
    need("120 min" in got["because"], "when", got["because"])
    said = site("what-if", package, "--client", client.id).out
    need("not known here" in said, "what is not known is not said", said)


@case("for all clients: clients per DP, bytes per link, and who waits (Q278856)")
def _(t):
    site, cap, package, _ = branch(t)
    size = site.json("package", "list")[0]["bytes"]
    fill(site, [f"10.1.{i // 200}.{i % 200}" for i in range(1000)] +
         [f"10.2.0.{i}" for i in range(100)] + [f"192.168.0.{i}" for i in range(10)] + [None] * 5)
    got = site.json("what-if", package)
    equal((got["clients"], got["reading"], got["unknown"]), (1115, 1110, 5), "clients")
    equal({s["server"]: s["clients"] for s in got["servers"]},
          {"near": 500, "near2": 500, "far": 100, "central": 10}, "clients per DP")
    equal({(l["from"], l["to"]): (l["clients"], l["bytes"], l["crosses"]) for l in got["links"]},
          {("branch", "branch"): (1000, 1000 * size, False), ("hub", "hub"): (100, 100 * size, False),
           (None, None): (10, 10 * size, False)}, "links")
    equal(got["waiting"], [], "waiting")
    got = site.json("what-if", package, "--without", "near", "near2")
    equal([(w["group"], w["clients"], w["reason"], w["minutes"]) for w in got["waiting"]],
          [("branch", 1000, "neighbours", 120)], "waiting")
    got = site.json("what-if", package, "--policy", "sms2")
    equal(sorted(s["clients"] for s in got["servers"]), [277, 277, 278, 278], "sms2 spreads over all")
    need(any(l["crosses"] for l in got["links"]), "sms2 crosses links", got["links"])
    need("5 clients" in site("what-if", package).out, "those without inventory are not told")


@case("100,000 clients take seconds")
def _(t):
    site, cap, package, _ = branch(t)
    for i in range(60):
        site("group", "add", f"g{i}")
        site("boundary", "add", f"10.{100 + i}.0.0/16", "--group", f"g{i}")
    fill(site, [f"10.{i % 200}.{i // 200 % 250}.{i % 250}" for i in range(100000)])
    began = time.monotonic()
    got = site.json("what-if", package)
    took = time.monotonic() - began
    equal(got["clients"], 100000, "clients")
    site("boundary", "lint", check=False)
    linted = time.monotonic() - began - took
    print(f"# {took:.1f} s for 100,000 clients, boundary lint {linted:.1f} s")
    slow = float(os.environ.get("PACKWAY_TEST_SLOW", "1"))
    need(took < 10 * slow and linted < 10 * slow, f"it took {took:.1f} s and {linted:.1f} s")


def fill(site, addresses):
    """Enrolled clients with these addresses, by the database itself; None: no inventory yet."""
    with sqlite3.connect(site.dir / "site.db", timeout=20) as db:
        db.execute("DELETE FROM enrolment")
        db.execute("DELETE FROM network")
        ids = [f"{i:032x}" for i in range(len(addresses))]
        db.executemany("INSERT INTO enrolment(client_id, name, state, public_key, created, last_seen)"
                       " VALUES(?, ?, 'enrolled', '', 0, 0)", [(i, i[-8:]) for i in ids])
        db.executemany("INSERT INTO network VALUES(?, 'eth0', ?, 24, '')",
                       [(i, a) for i, a in zip(ids, addresses) if a])


@case("what nobody can answer is refused in three lines")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    lone = site.package("lone", make_tree(t.dir / "lone", files=1), distribute=False)
    for exit_code, words, arguments in (
            (3, ["LON0FFFF"], ["LON0FFFF"]),
            (2, ["PW-USAGE"], ["no\npackage"]),
            (2, ["PW-USAGE"], ["LON00001" * 40]),
            (4, ["distribute"], [lone]),
            (3, ["nobody"], [package, "--client", "nobody"]),
            (3, ["there is no client"], [package, "--client", "0" * 32]),
            (3, ["two words"], [package, "--client", "two words\nand a line"]),
            (2, ["10.1.2.300"], [package, "--address", "10.1.2.300"]),
            (2, ["no IP address"], [package, "--address", "9" * 300]),
            (2, ["not both"], [package, "--address", "10.1.0.1", "--client", client.id]),
            (3, ["nas99"], [package, "--without", "nas99"]),
            (2, ["fastest"], [package, "--policy", "fastest"]),
            (2, ["seed"], [package, "--seed", "99999999999999999999999"])):
        fails(site("what-if", *arguments, check=False), exit_code, *words)


@case("the site's tables of docs/choosing.md are what the commands say")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    for group in (("harbour",), ("hub",), ("branch", "--neighbour", "hub:120", "--default-after", "240")):
        site("group", "add", *group)
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    site("boundary", "add", "10.2.0.0/16", "--group", "hub")
    for name, group in {"dp1": "branch", "nas12": "branch", "dp3": "branch", "dp4": "branch", "dp5": "hub",
                        "dp6": None, "dp7": "harbour"}.items():
        site.folder_dp(name, *(["--group", group] if group else []))
    package = site.package("tool", make_tree(t.dir / "source", files=2))
    fill(site, [f"10.1.2.{i % 250}" for i in range(300)] + [f"10.2.0.{i}" for i in range(40)])
    lines = ["| without | server | because |", "|---|---|---|"]
    for without in ([], ["nas12"], ["nas12", "dp1", "dp3", "dp4"]):
        got = site("what-if", package, "--address", "10.1.2.3", "--seed", "1", "--json",
                   *(["--without", *without] if without else []), check=False).json
        lines.append(f"| {' '.join(without)} | {(got['chosen'] or {'server': 'none'})['server']} | {got['because']} |")
    lines += ["", "| without | clients per server | links | waiting |", "|---|---|---|---|"]
    for without in ([], ["nas12"], ["nas12", "dp1", "dp3", "dp4"]):
        got = site.json("what-if", package, *(["--without", *without] if without else []))
        servers = ", ".join(f"{s['server']} {s['clients']}" for s in got["servers"] if s["clients"])
        links = ", ".join(f"{l['from']} to {l['to']} {l['clients']}" for l in got["links"])
        waits = ", ".join(f"{w['group']} {w['clients']} for {w['minutes']} min" for w in got["waiting"])
        lines.append(f"| {' '.join(without)} | {servers} | {links} | {waits} |")
    page = (pathlib.Path(__file__).parents[2] / "docs/choosing.md").read_text()
    equal(page.split("<!-- worked-site -->\n")[1].split("<!-- end -->")[0], "\n".join(lines) + "\n", "the tables")


# -- explain ---------------------------------------------------------------------------------------

@case("explain on the site is the record that the client has, now and for last Tuesday")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    times = []
    for day, seed in (("-7d", "1"), ("-2d", "2"), ("now", "3")):
        now = int(time.time()) + {"-7d": -7 * 86400, "-2d": -2 * 86400, "now": 0}[day]
        client("cache", "--clear", env={"PACKWAY_FAKE_TIME": str(now)})
        client("fetch", package, "--seed", seed, env={"PACKWAY_FAKE_TIME": str(now)})
        times.append(client.json("explain", package))
    report(client, site)
    equal(site.json("explain", "--client", client.id), times[2], "the last")
    equal(site.json("explain", "--client", "client1", "--package", package), times[2], "by name")
    equal(site.json("explain", "--client", client.id, "--at", "-1d"), times[1], "yesterday")
    equal(site.json("explain", "--client", client.id, "--at", "-3d"), times[0], "three days ago")
    equal(site.json("explain", "--client", client.id, "--at", times[1]["time"]), times[1],
          "at that second")
    fails(site("explain", "--client", client.id, "--at", "-30d", check=False), 3,
          times[0]["time"], "PW-NOT-FOUND")
    said, own = site("explain", "--client", client.id).out, client("explain", package).out
    need(said.startswith(own), "the words differ", said, own)


@case("a client that told nothing, and one that does not exist, are told apart")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    fails(site("explain", "--client", client.id, check=False), 3, "no choice", "what-if")
    fails(site("explain", "--client", "nobody", check=False), 3, "there is no client")
    fails(site("explain", "--client", "0" * 32, check=False), 3, "there is no client")
    fails(site("explain", "--client", client.id, "--package", "LON0FFFF", check=False), 3,
          "no package LON0FFFF")
    fails(site("explain", "--client", client.id, "--package", "a\nb", check=False), 2, "PW-USAGE")
    fails(site("explain", "--client", client.id, "--at", "Tuesday", check=False), 2, "--at")
    fails(site("explain", check=False), 2, "--client")


@case("what a client reports as its decision may be anything")
def _(t):
    site, cap, package, _ = branch(t)
    client = t.client().enroll(site, cap)
    client("fetch", package)
    report(client, site)
    want = site.json("explain", "--client", client.id)
    for data in ('{"decision":{}}', '{"decision":{"because":"\\u001b[31m\\n","candidates":7}}',
                 '{"decision":{"candidates":[1,null,{"server":[]}],"attempts":{}}}'):
        with sqlite3.connect(site.dir / "site.db", timeout=20) as db:
            db.execute("UPDATE record SET data = ? WHERE id = 11002", (data,))
        said = site("explain", "--client", client.id).out
        need("\x1b" not in said, "a terminal would see it", repr(said))
        site("what-if", package, "--client", client.id)
    for data in ("[]", '{"decision":[]}', '{"other":1}', None):
        with sqlite3.connect(site.dir / "site.db", timeout=20) as db:
            db.execute("UPDATE record SET data = ? WHERE id = 11002", (data,))
        fails(site("explain", "--client", client.id, check=False), 3, "no choice")
    need(want["chosen"], "it had been explained before")


# -- boundary lint ---------------------------------------------------------------------------------

def lint(site, exit_code):
    done = site("boundary", "lint", "--json", check=False)
    equal(done.code, exit_code, "exit code")
    for row in done.json:
        need(row["text"] and row["fix"], "a finding without words", row)
    return {(row["finding"], row["about"]) for row in done.json}


@case("a site in order has no findings, and a fence without servers is one (Q235873)")
def _(t):
    site = t.site()
    equal(lint(site, 1), {("no-cap", None), ("no-dp", None)}, "an empty site")
    site.folder_cap("cap1")
    site.folder_dp("central")
    equal(lint(site, 0), set(), "a site without groups")
    site("group", "add", "branch", "--default-after", "30")
    site("boundary", "add", "10.1.0.0/16", "--group", "branch")
    equal(lint(site, 1), {("group-waits", "branch")}, "a group without DP")
    site("group", "add", "vault", "--fence")
    site("boundary", "add", "10.9.0.0/16", "--group", "vault")
    need(("group-locked-out", "vault") in lint(site, 1), "the fence is not found")
    site.folder_dp("inside", "--group", "vault")
    site.folder_dp("near", "--group", "branch")
    equal(lint(site, 0), set(), "when there are servers")
    said = site("boundary", "lint").out
    need("nothing to find" in said, "what is said", said)


@case("a group that would cut its machines off from every CAP is refused (Q235873)")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    add = ["group", "add", "tight", "--policy", "preferred-only"]
    fails(site(*add, check=False), 1, "preferred server")
    fails(site(*add, "--prefer", "dp1", check=False), 1, "preferred CAP")
    fails(site(*add, "--prefer", "cap1", check=False), 1, "preferred DP")
    equal(site.json("group", "list"), [], "nothing of them is left")
    site(*add, "--prefer", "dp1", "--prefer", "cap1")
    equal(lint(site, 1), {("group-unused", "tight")}, "findings")


@case("neighbours, preferences and boundaries that do nothing are found (Q244157, Q278856)")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("central")
    site("group", "add", "hub")
    site("group", "add", "empty")
    site("group", "add", "branch", "--neighbour", "hub:0", "--neighbour", "empty:10",
         "--neighbour", "gone", "--prefer", "smb://old/share", "--default-after", "5")
    site("group", "add", "late", "--neighbour", "hub:60", "--default-after", "5")
    site("group", "add", "odd")
    for cidr, group in (("10.1.0.0/16", "branch"), ("10.1.0.0/17", "late"), ("10.1.128.0/18", "hub"),
                        ("10.1.192.0/18", "hub"), ("2001:db8::/32", "late")):
        site("boundary", "add", cidr, "--group", group)
    site.folder_dp("far", "--group", "hub")
    site.folder_dp("near", "--group", "branch")
    site.folder_dp("near2", "--group", "late")
    equal(lint(site, 1), {
        ("boundary-shadowed", "10.1.0.0/16"), ("group-unused", "odd"),
        ("neighbour-unknown", "branch"), ("neighbour-empty", "branch"), ("prefer-unknown", "branch"),
        ("neighbour-late", "late"), ("neighbour-at-once", "branch")}, "findings")


@case("clients outside every boundary, and packages a group lacks, are found")
def _(t):
    site, _, package, source = branch(t)
    fill(site, ["10.1.0.5", "192.168.7.7", "fe80::1", None])
    got = site("boundary", "lint", "--json", check=False).json
    about = {row["finding"]: row["text"] for row in got}
    equal(set(about), {"client-outside", "client-unknown"}, "findings")
    need("192.168.7.7" in about["client-outside"], "no example", about)
    need(about["client-unknown"].startswith("2 clients"), "link-local says nothing", about)
    lone = site.package("lone", make_tree(t.dir / "lone", files=1), distribute=False)
    site("program", "add", lone, "run", "--command", "true")
    site("advertise", lone, "run", "--collection", "all")
    need(("package-nowhere", None) in lint(site, 1), "a package on no DP")
    site("package", "distribute", lone, "--dp", "far", "--no-patches")
    need(("package-far", "branch") in lint(site, 1), "a package that the branch lacks")
    site("package", "distribute", lone, "--all", "--no-patches")
    equal({finding for finding, _ in lint(site, 1)}, {"client-outside", "client-unknown"}, "then")


main()
