#!/usr/bin/python3
"""The agent: service for commands, sessions that last, its own schedule, and its end."""
import pathlib

from flow import *
import concurrent.futures
import grp


def web_site(t, packages=1, size=20000, server=""):
    """A site with a folder CAP and one DP that nginx serves; packages offered to all."""
    site = t.site()
    site.folder_cap("cap1")
    web = t.new_dir("web")
    web.chmod(0o777)  # nginx started as root writes as nobody
    nginx = t.nginx(web, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;" + server)
    site("dp", "add", "web", nginx.url)
    made = []
    for i in range(packages):
        source = make_tree(t.dir / f"source{i}", size=size, seed=i)
        made.append(site.package(f"tool{i}", source))
        site("program", "add", made[-1], "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
        site("advertise", made[-1], "install", "--collection", "all", "--available", "now")
    site("publish")
    return site, nginx, made


def enrolled(t, site, name="client1", config=""):
    return t.client(name, config=config).enroll(site, f"file://{t.dir}/cap1")


def new_connections(nginx, act):
    before = nginx.connections()
    act()
    return len({l[0] for l in nginx.lines() if l[2] == "GET"} - before)


def processes_of(client):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            argv = (entry / "cmdline").read_bytes().split(b"\0")
            if str(client.state).encode() in argv:
                found.append((int(entry.name), os.path.basename(argv[0]).decode()))
    return found


@case("commands get the same answers through the agent as without it")
def _(t):
    site, _, (package,) = web_site(t)
    client = enrolled(t, site)
    questions = [("locate", package, "--seed", "3"), ("locate", "--cap", "--seed", "3"), ("fetch", package), ("list",),
                 ("sync",), ("status",)]
    client("fetch", package)
    alone = [client.json(*q) for q in questions]
    agent = client.agent()
    through = [client.json(*q) for q in questions]
    for question, one, two in zip(questions, alone, through):
        equal(sorted(one[0] if isinstance(one, list) else one), sorted(two[0] if isinstance(two, list) else two),
              f"members of {question[0]}")
    equal((alone[0]["chosen"]["server"], alone[1]["chosen"]["server"]),
          (through[0]["chosen"]["server"], through[1]["chosen"]["server"]), "chosen")
    equal(client.json("run", package, "install")["outcome"], "succeeded", "run")
    missing = client("fetch", "LON0FFFF", "--json", check=False)
    equal(missing.code, 3, "exit code of a package that is not there")
    need(agent.poll() is None, "the agent has ended")


@case("three fetches by three commands cost one connection with the agent, three without")
def _(t):
    site, nginx, packages = web_site(t, 3)
    client = enrolled(t, site)
    agent = client.agent()
    got = new_connections(nginx, lambda: [client("fetch", p) for p in packages])
    equal(got, 1, "new connections with the agent")
    rows = [r for r in client.json("connections") if r["way"] == "session" and r["server"] == "web"]
    equal([(r["owner"], r["leases"]) for r in rows], [("agent", 0)], "connections")
    before = rows[0]["requests"]
    client("cache", "--clear")
    equal(new_connections(nginx, lambda: client("fetch", packages[0])), 0, "new connections of a fourth fetch")
    after = [r for r in client.json("connections") if r["way"] == "session" and r["server"] == "web"]
    need(after[0]["requests"] > before, "requests do not grow", before, after)
    equal(client.json("explain")["chosen"]["way"], "session", "way")
    agent.terminate()
    agent.wait(20 * SLOW)
    client("cache", "--clear")
    equal(new_connections(nginx, lambda: [client("fetch", p) for p in packages]), 3, "new connections without it")


@case("SIGTERM ends the agent and its worker, and another may follow")
def _(t):
    site, _, (package,) = web_site(t)
    client = enrolled(t, site)
    agent = client.agent()
    client("fetch", package)
    need("packway-worker" in [n for _, n in processes_of(client)], "no worker", processes_of(client))
    second = client("agent", check=False, timeout=20)
    need(second.code != 0 and "another agent" in second.err and "[PW-LOCKED]" in second.err, "a second agent",
         second.code, second.err)
    agent.terminate()
    equal(agent.wait(20 * SLOW), 0, "exit code")
    wait_for("the end of all", 5, lambda: not processes_of(client))
    need(not (client.state / "agent.sock").exists(), "the socket is left")
    client.agent()
    client("sync")


@case("the agent runs what is mandatory by its own schedule")
def _(t):
    site, _, (package,) = web_site(t)
    client = enrolled(t, site, config="poll = 2s\n")
    client.agent()
    site("advertise", package, "install", "--collection", "all", "--mandatory", "now")
    site("publish")
    wait_for("the program", 15, (t.dir / "ran").exists)
    time.sleep(5)
    equal((t.dir / "ran").read_text(), "run\n", "runs")


@case("a command killed in mid-fetch leaves the agent fine, and the next fetch goes on")
def _(t):
    site, nginx, (package,) = web_site(t, size=4000000, server="limit_rate 4m;")
    client = enrolled(t, site)
    agent = client.agent()
    command = t.spawn(program("packway"), "--state", client.state, "fetch", package, env=client.env)
    # A frame has up to 4 MiB; what was whole is noted chunk by chunk.
    wait_for("the first chunks", 15, lambda: any(p.read_bytes().count(1) >= 60
             for p in (client.state / "store" / "building").glob("*/journal")))
    need(command.poll() is None, "the fetch was over before the kill")
    command.kill()
    command.wait()
    got = client.json("fetch", package, "-o", t.dir / "out")
    same_tree(t.dir / "source0", t.dir / "out")
    need(agent.poll() is None, "the agent has ended")
    pack = sum(p.stat().st_size for p in nginx.folder.rglob("*") if p.is_file())
    need(got["bytes_seed"] > 3000000 and got["bytes_network"] < pack - 1000000, f"the second fetch began anew: {got} of {pack}")


@case("another user gets what is offered to their group and nothing else")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    site, _, (mine, theirs) = web_site(t, 2)
    group = grp.getgrgid(65534).gr_name
    site("advertise", theirs, "install", "--collection", "all", "--available", "now", "--offer-to", group)
    site("publish")
    client = enrolled(t, site)
    client.agent()
    t.dir.chmod(0o755)
    ask = lambda *args: run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program("packway"),
                            "--state", client.state, *args, env=client.env, check=False)
    client.state.chmod(0o711)
    for args in (("sync",), ("fetch", mine), ("run", mine, "install")):
        refused = ask(*args)
        need(refused.code not in (0, 2) and "[PW-" in refused.err, f"{args} was not refused", refused.code, refused.err)
    done = ask("run", theirs, "install")
    equal(done.code, 0, f"run of what is offered: {done.err}")
    client("sync")


@case("another user's slow fetch holds up neither the owner nor the schedule")
def _(t):
    skip_unless(os.geteuid() == 0, "root")
    slow = t.dir / "slow"
    t.dir.chmod(0o755)
    site, nginx, (package,) = web_site(t, 1, size=100000, server=f"if (-f {slow}) {{ set $limit_rate 4k; }}")
    group = grp.getgrgid(65534).gr_name
    site("advertise", package, "install", "--collection", "all", "--available", "now", "--offer-to", group)
    site("publish")
    client = enrolled(t, site, config="poll = 1s\n")
    client.agent()
    client("sync")
    client.state.chmod(0o711)
    slow.touch()
    guest = t.spawn("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program("packway"),
                    "--state", client.state, "fetch", package, env=client.env)
    part = client.state / "store"

    def has_begun():
        with contextlib.suppress(FileNotFoundError):
            return any(p.is_file() and p.stat().st_size for p in all_below(part))
    wait_for("the guest's fetch", 20, has_begun)
    for verb in (("locate", package), ("connections",), ("sync",)):
        client(*verb)
        need(guest.poll() is None, f"the guest's fetch was over before {verb[0]}; nothing is shown", guest.returncode)
    guest.kill()


def usage(pid):
    """(resident KiB, descriptors) of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    rss = int(next(l for l in status.splitlines() if l.startswith("VmRSS")).split()[1])
    return rss, len(os.listdir(f"/proc/{pid}/fd"))


@case("a hundred commands at once are served, and two hundred leave the agent as it was")
def _(t):
    site, nginx, (package,) = web_site(t)
    client = enrolled(t, site)
    agent = client.agent()
    client("fetch", package)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        verbs = [("fetch", package), ("locate", package), ("connections",), ("sync",)]
        results = list(pool.map(lambda i: client(*verbs[i % 4], check=False, timeout=120), range(100)))
    bad = [r for r in results if r.code != 0]
    need(not bad, f"{len(bad)} of 100 failed", bad[0].line if bad else "", bad[0].err if bad else "")
    rss, fds = usage(agent.pid)
    for i in range(200):
        client(*verbs[i % 3])
    rss_after, fds_after = usage(agent.pid)
    # A sanitizer keeps freed memory aside for a while.
    room = 16384 if b"__asan_init" in pathlib.Path(program("packway-agent")).read_bytes() else 1024
    need(fds_after <= fds + 1 and rss_after <= rss + room, "the agent has grown", (rss, fds), (rss_after, fds_after))
    workers = [p for p, n in processes_of(client) if n == "packway-worker"]
    equal(len(workers), 1, "workers")


@case("eight fetches of one version at once all end with it, with an agent and without")
def _(t):
    site = t.site()
    cap = site.folder_cap()
    site.folder_dp("dp1")
    source = make_tree(t.dir / "source", files=60, size=700000)
    package = site.package("tool", source)
    site("publish")
    for name in ("alone", "served"):
        client = t.client(name).join(site, cap)
        client("sync")
        if name == "served":
            client.agent()
        at_once = [t.spawn(program("packway"), "--state", client.state, "fetch", package, env=client.env) for _ in range(8)]
        equal([p.wait(120) for p in at_once], [0] * 8, f"the fetches of {name}")
        same_tree(source, client.state / "store" / package / "1")


main()
