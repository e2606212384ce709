#!/usr/bin/python3
"""Programs run once and are reported once, whatever is killed when; and what a run may end like."""
from flow import *
from victims import *
import zlib

KILLS = 50
ENDS = {10004, 10006, 10008, 11006}
PROGRAM_KEYS = ("echo $PACKWAY_ADVERTISEMENT >> {dir}/ran.$PACKWAY_CLIENT; sleep {pause}; "
                "echo $PACKWAY_ADVERTISEMENT >> {dir}/ended.$PACKWAY_CLIENT")


def small_site(t):
    site = t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    source = make_tree(t.dir / "source", files=4, size=3000)
    package = site.package("tool", source)
    site("publish")
    return site, package


def advertise(site, package, name, command, *options, program=(), mandatory="now"):
    """A program and its advertisement; not yet published."""
    site("program", "add", package, name, "--command", command, *program)
    return site("advertise", package, name, "--collection", "all",
                *(["--mandatory", mandatory] if mandatory else []), *options).out.strip()


def enrolled(t, site, name="client1", config=""):
    return t.client(name, config=config).enroll(site, f"file://{t.dir}/cap1")


def marks(path):
    return path.read_text().split() if path.exists() else []


def timeline(site, client, adv=None):
    return [m for m in site.json("messages", "--client", client.id) if adv is None or m["advertisement"] == adv]


def ids(rows, *wanted):
    return [m["id"] for m in rows if m["id"] in wanted or not wanted]


def settle(site, client):
    """Sync until nothing of this client runs and everything is with the site."""
    def quiet():
        client("sync", check=False)
        return not list(of_client(client, "reaper")) and not any((client.state / "journal").glob("LON*"))
    try:
        wait_for("the last programs", 20, quiet, 0.2)
    except Failed as why:
        raise Failed(f"{why}\n  {[*of_client(client, 'reaper')]} {sorted((client.state / 'journal').glob('LON*/*'))}") from why
    site("intake")
    client("sync")
    site("intake")


def essence(m):
    return m["id"], m["time"], m.get("advertisement"), m.get("program"), m["text"]


def check_records(site, client):
    """Every record once, in its place and without a gap, and the site knows what the client knows."""
    rows = timeline(site, client)
    odd = [r for r in rows if "gap" in r or r.get("refused")]
    need(not odd, "gaps or refusals", odd[:3])
    keys = [(r["stream"], r["sequence"]) for r in rows if r["sequence"]]
    equal(len(keys), len(set(keys)), "records, and numbers")
    streams = list(dict.fromkeys(stream for stream, _ in keys))
    equal(keys, sorted(keys, key=lambda k: (streams.index(k[0]), k[1])), "the order")
    stored = {(r["stream"], r["sequence"]): essence(r) for r in rows if r["sequence"]}
    for m in client.json("messages"):
        if m.get("kind") == "status":
            equal(stored.get((m["stream"], m["sequence"])), essence(m), "what the site has of a record")


def check_advertisement(site, client, adv, ran, ended):
    rows = timeline(site, client, adv)
    got = ids(rows, 10002, 10005, *ENDS)
    need(got[:1] == [10002], f"{adv}: does not begin with its arrival", got)
    equal(got.count(10002), 1, f"{adv}: arrivals in {got}")
    equal(got.count(10005), 1, f"{adv}: starts in {got}")
    equal(len([i for i in got if i in ENDS]), 1, f"{adv}: ends in {got}")
    need(got.index(10005) < len(got) - 1 and got[-1] in ENDS, f"{adv}: out of order", got)
    need(ran.count(adv) <= 1, f"{adv}: ran {ran.count(adv)} times", got)
    # A kill may meet the program's process before it is the program: until its execve it looks like the parent.
    is_killed = got[-1] == 10006 and rows[-1]["data"].get("signal") == signal.SIGKILL
    need(got[-1] in (10008, 11006) or is_killed, f"{adv}: ended as", got, rows[-1])
    if got[-1] == 10008:
        equal((ran.count(adv), ended.count(adv)), (1, 1), f"{adv}: marks of what was told to have succeeded")
    return got[-1]


@case(f"{KILLS} kills of agents, workers and runs' parents lose no record and repeat no run")
def _(t):
    site, package = small_site(t)
    clients = [enrolled(t, site, f"client{i}", "poll = 1s\n") for i in range(2)]
    advs, killed, over = [], {}, time.monotonic() + 150 * SLOW
    keepers = [Keeper(t, client) for client in clients]
    for keeper in keepers:
        keeper.start()
    while sum(killed.values()) < KILLS:
        need(time.monotonic() < over, "too few kills in time", killed)
        if len(advs) <= sum(killed.values()) // 2 and len(advs) < 25:
            pause = t.rng.choice([0, 0, t.rng.uniform(0.5, 2)])
            name = f"p{len(advs)}"
            command = f"sh -c '{PROGRAM_KEYS.format(dir=t.dir, pause=round(pause, 2))}'"
            advs.append(advertise(site, package, name, command))
            site("publish")
        time.sleep(t.rng.uniform(0, 0.5))
        kind = t.rng.choice(["agent", "agent", "worker", "reaper", "reaper", "command"])
        if kill_one(t, t.rng.choice(clients), kind):
            killed[kind] = killed.get(kind, 0) + 1
        site("intake")
    for keeper in keepers:
        keeper.over.set()
    for keeper in keepers:
        keeper.join(60 * SLOW)
        need(not keeper.is_alive(), "an agent or command does not end")
    outcomes = {}
    for client in clients:
        settle(site, client)
        ran, ended = marks(t.dir / f"ran.{client.id}"), marks(t.dir / f"ended.{client.id}")
        check_records(site, client)
        for adv in advs:
            end = check_advertisement(site, client, adv, ran, ended)
            outcomes[end] = outcomes.get(end, 0) + 1
    ended_early = sum(n for end, n in outcomes.items() if end != 10008)
    need(ended_early <= killed.get("reaper", 0), "interrupted without a killed parent", killed, outcomes)
    print(f"# killed {killed}, {sum(k.starts for k in keepers)} agents, {len(advs)} programs on 2 clients: {outcomes}")


def until(t, gate):
    """Words of a shell that wait for a file, which is there at the latest when the case ends."""
    t.defer((t.dir / gate).touch)
    return f"until test -e {t.dir}/{gate}; do sleep 0.1; done"


@case("a program outlives its agent, and the next one tells its end")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site, config="poll = 1s\n")
    adv = advertise(site, package, "long", f"sh -c 'echo begun > {t.dir}/begun; {until(t, 'gate')}; echo ended > {t.dir}/ended'")
    site("publish")
    agent = client.agent()
    wait_for("the program", 15, (t.dir / "begun").exists)
    for kind in ("agent", "worker"):
        while kill_one(t, client, kind):
            pass
    agent.wait(5)
    need(list(of_client(client, "reaper")), "the run's parent died with the agent")
    (t.dir / "gate").touch()
    wait_for("the program's end", 10, (t.dir / "ended").exists)
    settle(site, client)
    rows = timeline(site, client, adv)
    equal(ids(rows, 10002, 10005, *ENDS), [10002, 10005, 10008], "the timeline")
    equal(rows[-1]["data"]["exit"], 0, "exit code")


def wait_for_marks(path, wanted):
    wait_for(f"{wanted} in {path.name}", 20, lambda: marks(path) == wanted, 0.05)


@case("while a program runs the agent polls, tells and answers; the next one waits for its end")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site, config="poll = 1s\n")
    gate, ran = t.dir / "gate", t.dir / "ran"
    t.defer(gate.touch)
    long = advertise(site, package, "long", f"sh -c 'echo long >> {ran}; until test -e {gate}; do sleep 0.1; done; echo end >> {ran}'")
    site("publish")
    agent = client.agent()
    wait_for_marks(ran, ["long"])

    def told(adv, number):
        site("intake")
        return number in ids(timeline(site, client, adv))
    wait_for("the record of the start", 20, lambda: told(long, 10005))
    # Policy that comes only now is seen, and what it assigns waits for its turn with a reason.
    late = advertise(site, package, "late", f"sh -c 'echo late >> {ran}'")
    optional = advertise(site, package, "optional", f"sh -c 'echo optional >> {ran}'", mandatory=None)
    site("publish")
    wait_for("the arrival of a second program", 20, lambda: told(late, 10002))
    wait_for("word that it waits", 20, lambda: told(late, 11005))
    offers = {o["advertisement"]: o for o in client.json("list")}
    equal((offers[late]["state"], offers[late]["reason"]), ("waiting", "busy"), "the second")
    equal(offers[long]["state"], "running", "the first")
    client("locate", package)
    refused = client("run", package, "long", check=False).want(1)
    need("running" in refused.err, "no word of the run", refused.err)
    by_hand = t.spawn(program("packway"), "--state", client.state, "run", package, "optional", env=client.env)
    with contextlib.suppress(subprocess.TimeoutExpired):
        by_hand.wait(3)
    equal(marks(ran), ["long"], "runs before the first one's end")
    gate.touch()
    equal(by_hand.wait(30 * SLOW), 0, "the program by hand")
    wait_for("all three", 20, lambda: sorted(marks(ran)) == sorted(["long", "end", "late", "optional"]))
    equal(marks(ran)[:2], ["long", "end"], "the order")
    agent.terminate()
    agent.wait(20)
    settle(site, client)
    equal(ids(timeline(site, client, late), 10002, 11005, 10005, *ENDS), [10002, 11005, 10005, 10008], "the timeline")


@case("long programs follow each other at once, in their order")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site, config="poll = 1h\n")
    ran = t.dir / "ran"
    names = [f"p{i}" for i in range(4)]
    for i, name in enumerate(names):
        advertise(site, package, name, f"sh -c 'sleep 2.5; echo {name} >> {ran}'")
    site("publish")
    client.agent()
    began = time.monotonic()
    client("sync")
    equal(marks(ran), names, "a person's sync ends with the last of them")
    need(time.monotonic() - began < 40 * SLOW, "they waited for something else")


@case("the agent alone runs long programs one after another, without its polls")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site, config="poll = 1h\n")
    ran = t.dir / "ran"
    names = [f"p{i}" for i in range(3)]
    for name in names:
        advertise(site, package, name, f"sh -c 'sleep 2.5; echo {name} >> {ran}'")
    site("publish")
    # A person's command goes as soon as the first one runs: the rest is the agent's.
    client.agent()
    sync = t.spawn(program("packway"), "--state", client.state, "sync", env=client.env)
    wait_for("the first one", 20, lambda: list(of_client(client, "reaper")), 0.05)
    sync.kill()
    sync.wait()
    wait_for("all of them", 60, lambda: marks(ran) == names)


@case("a program without its parent is ended at its time limit by the agent, and told as interrupted")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site, config="poll = 1s\n")
    pids = t.dir / "pids"
    adv = advertise(site, package, "long", f"sh -c 'echo $$ >> {pids}; setsid sh -c \"echo \\$\\$ >> {pids}; exec sleep 300\" & wait'",
                    program=("--timeout", "6s"))
    site("publish")
    agent = client.agent()
    wait_for("the program", 20, lambda: len(marks(pids)) == 2)
    need(kill_one(t, client, "parent"), "no parent to kill")
    need(all(pathlib.Path(f"/proc/{pid}").exists() for pid in marks(pids)), "it died with its parent")
    wait_for("its end", 90, lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in marks(pids)))
    agent.terminate()
    agent.wait(20)
    settle(site, client)
    rows = timeline(site, client, adv)
    equal(ids(rows, 10005, *ENDS), [10005, 11006], "the timeline")
    need("time limit" in rows[-1]["text"], "no word of the time limit", rows[-1])


@case("a run whose parent is killed is interrupted, told as that, and not repeated")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    adv = advertise(site, package, "long", f"sh -c 'echo run >> {t.dir}/ran; {until(t, 'gate')}'")
    site("publish")
    command = t.spawn(program("packway"), "--state", client.state, "sync", env=client.env)
    wait_for("the program", 15, (t.dir / "ran").exists)
    need(kill_one(t, client, "parent"), "no parent to kill")
    (t.dir / "gate").touch()
    command.wait(20 * SLOW)
    settle(site, client)
    equal(ids(timeline(site, client, adv), 10005, *ENDS), [10005, 11006], "the timeline")
    equal([o["state"] for o in client.json("list")], ["interrupted"], "list")
    client("sync")
    equal(marks(t.dir / "ran"), ["run"], "runs")


@case("a run that did not get to its start runs later")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    adv = advertise(site, package, "once", f"sh -c 'echo run >> {t.dir}/ran'")
    site("publish")
    # As a kill between the intent and the start leaves it.
    folder = client.state / "journal" / f"{adv}-1-1"
    folder.mkdir(mode=0o700, parents=True)
    (folder / "lock").touch(0o600)
    (folder / "intent").write_text(json.dumps({
        "format": 1, "time": "2026-01-01T00:00:00Z", "attempt": 1, "advertisement": adv, "serial": 1, "package": package,
        "version": 1, "program": "once", "command": "true", "timeout_s": 60, "as": "root", "content": "/nonexistent"}))
    client("sync")
    settle(site, client)
    equal(marks(t.dir / "ran"), ["run"], "runs")
    equal(ids(timeline(site, client, adv), 10005, *ENDS), [10005, 10008], "the timeline")


def run_one(t, command, *options, program=(), **more):
    """A site with one client and one advertisement that the client has synced once."""
    site, package = small_site(t)
    client = enrolled(t, site)
    adv = advertise(site, package, "one", command, *options, program=program, **more)
    site("publish")
    client("sync", check=False)
    site("intake")
    return site, client, adv


def last(site, client, adv):
    return [m for m in timeline(site, client, adv) if m["id"] in ENDS][-1]


@case("exit codes are what the program's table makes of them")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    table = [
        ("ok", "exit 0", (), 10008, 0), ("bad", "exit 7", (), 10006, 7),
        ("good7", "exit 7", ("--success", "0,7"), 10008, 7), ("not0", "exit 0", ("--success", "7"), 10006, 0),
        ("restart", "exit 194", ("--restart-codes", "194"), 10008, 194),
    ]
    advs = {n: advertise(site, package, n, f"sh -c '{c}'", program=o) for n, c, o, _, _ in table}
    missing = advertise(site, package, "missing", "./not-there")
    killed = advertise(site, package, "killed", "sh -c 'kill -9 $$'")
    site("publish")
    client("sync", check=False)
    site("intake")
    for name, _, _, number, code in table:
        end = last(site, client, advs[name])
        equal((end["id"], end["data"]["exit"]), (number, code), name)
    equal(last(site, client, advs["restart"])["data"]["restart_pending"], True, "restart pending")
    equal(last(site, client, missing)["id"], 10004, "a program that is not there")
    equal(last(site, client, killed)["data"]["signal"], 9, "signal")
    equal(client.json("status")["restart_pending"], True, "the client's status")


@case("a restart is pending until the machine has started anew")
def _(t):
    site, client, adv = run_one(t, "sh -c 'exit 66'", program=("--restart-codes", "66"))
    equal(client.json("status")["restart_pending"], True, "restart pending")
    equal(client.json("list")[0]["restart_pending"], True, "list")
    client("sync")
    equal(client.json("status")["restart_pending"], True, "still pending after another cycle")
    # The boot id is the machine's: let the journal be from another boot.
    history = client.state / "journal" / "history"
    words = history.read_text().split()
    equal(len(words), 12, "words in history")
    words[10] = "00000000-0000-0000-0000-000000000000"
    line = " ".join(words[:11])
    history.write_text(f"{line} {zlib.crc32(line.encode()):08x}\n")
    equal(client.json("status")["restart_pending"], False, "pending after the restart")
    equal(client.json("list")[0]["state"], "succeeded", "state after the restart")


@case("a time limit ends the whole tree")
def _(t):
    pids = t.dir / "pids"
    inner = t.dir / "tree"
    inner.write_text(f"#!/bin/sh\ntrap '' TERM\necho $$ >> {pids}\nsetsid sh -c 'trap \"\" TERM; echo $$ >> {pids}; "
                     f"sleep 300 & echo $! >> {pids}; wait' &\necho said\nwait\nsleep 300\n")
    inner.chmod(0o755)
    began = time.monotonic()
    site, client, adv = run_one(t, str(inner), program=("--timeout", "1s"))
    need(time.monotonic() - began < 40 * SLOW, "the end took too long")
    end = last(site, client, adv)
    equal((end["id"], end["data"]["timed_out"]), (10006, True), "the end")
    need("said" in end["data"]["output"], "output is lost", end)
    left = [pid for pid in marks(pids) if pathlib.Path(f"/proc/{pid}").exists()]
    need(len(marks(pids)) == 3 and not left, "processes are left", marks(pids), left)


@case("output is kept at its ends and bounded between")
def _(t):
    site, client, adv = run_one(t, "sh -c 'echo FIRST; head -c 3000000 /dev/zero | tr \"\\0\" x; echo LAST >&2; exit 1'")
    data = last(site, client, adv)["data"]
    equal(data["output_bytes"], 3000011, "bytes that there were")
    need(len(data["output"]) < 70000, "output is not bounded", len(data["output"]))
    need(data["output"].startswith("FIRST") and data["output"].rstrip().endswith("LAST"), "ends are missing",
         data["output"][:40], data["output"][-40:])
    need("bytes left out]" in data["output"], "no word of what is missing")


@case("output that is no text arrives all the same")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    sources = ("zero", "urandom")
    advs = {s: advertise(site, package, s, f"sh -c 'head -c 200000 /dev/{s}; exit 1'") for s in sources}
    site("publish")
    client("sync", check=False)
    site("intake")
    for source in sources:
        equal(last(site, client, advs[source])["data"]["output_bytes"], 200000, f"bytes of {source}")


@case("a program waits for the one that it follows, also when that is run by hand")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    mark = lambda word: f"sh -c 'echo {word} >> {t.dir}/ran'"
    first = advertise(site, package, "base", mark("base"), mandatory=None)
    after = advertise(site, package, "after", mark("after"), program=("--run-after", f"{package}:base"))
    site("publish")
    client("sync")
    equal(marks(t.dir / "ran"), [], "runs before the first")
    state = {o["program"]: (o["state"], o["reason"]) for o in client.json("list")}
    equal(state["after"], ("waiting", "run-after"), "list")
    client("sync")
    client("run", package, "base")
    client("sync")
    equal(marks(t.dir / "ran"), ["base", "after"], "order")
    site("intake")
    equal(ids(timeline(site, client, after), 10002, 11005, 10008), [10002, 11005, 10008], "the timeline")
    equal(ids(timeline(site, client, first), 10002, 10008), [10002, 10008], "the first one's timeline")


@case("both of a chain that are due run in its order in one cycle")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    site("program", "add", package, "base", "--command", f"sh -c 'echo base >> {t.dir}/ran'")
    advertise(site, package, "after", f"sh -c 'echo after >> {t.dir}/ran'", program=("--run-after", f"{package}:base"))
    site("advertise", package, "base", "--collection", "all", "--mandatory", "now")
    site("publish")
    client("sync")
    equal(marks(t.dir / "ran"), ["base", "after"], "order")


@case("a chain keeps its order and runs each program once, whatever is killed")
def _(t):
    site, package = small_site(t)
    clients = [enrolled(t, site, f"client{i}", "poll = 1s\n") for i in range(2)]
    names = [f"step{i}" for i in range(6)]
    for i, name in enumerate(names):
        site("program", "add", package, name, *(["--run-after", f"{package}:{names[i - 1]}"] if i else []),
             "--command", f"sh -c 'echo {name} >> {t.dir}/ran.$PACKWAY_CLIENT; sleep {t.rng.choice([0, 0.3, 2.5])}'")
    # The last of the chain is advertised first.
    for name in reversed(names):
        site("advertise", package, name, "--collection", "all", "--mandatory", "now")
    site("publish")
    keepers = [Keeper(t, client) for client in clients]
    for keeper in keepers:
        keeper.start()
    paths, kills = [t.dir / f"ran.{client.id}" for client in clients], 0
    end = time.monotonic() + 60 * SLOW
    while any(len(marks(path)) < len(names) for path in paths):
        need(time.monotonic() < end, "the chain does not end", [marks(path) for path in paths])
        time.sleep(t.rng.uniform(0, 0.6))
        kills += kill_one(t, t.rng.choice(clients), t.rng.choice(["agent", "worker", "command"]))
    for keeper in keepers:
        keeper.over.set()
    for keeper in keepers:
        keeper.join(60 * SLOW)
    for client, path in zip(clients, paths):
        settle(site, client)
        equal(marks(path), names, "the order")
        rows = timeline(site, client)
        equal(len(ids(rows, 10005)), len(names), "starts")
        equal(ids(rows, *ENDS), [10008] * len(names), "ends")
        check_records(site, client)
    print(f"# {kills} kills")


@case("an interrupted program that may run again does so after its pause, one that may not never")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    # The first and the second of all runs end when there are so many gates.
    command = "sh -c 'echo {0} >> {1}/ran; test -e {1}/good || " + \
              "{{ gate={1}/gate$(wc -l < {1}/ran); until test -e $gate; do sleep 0.1; done; }}'"
    t.defer(lambda: [(t.dir / f"gate{n}").touch() for n in (1, 2)])
    again = advertise(site, package, "again", command.format("again", t.dir), program=("--rerun", "on-failure"))
    once = advertise(site, package, "once", command.format("once", t.dir))
    site("publish")
    for count in (1, 2):
        sync = t.spawn(program("packway"), "--state", client.state, "sync", env=client.env)
        wait_for("a program", 20, lambda: len(marks(t.dir / "ran")) == count, 0.02)
        need(kill_one(t, client, "parent"), "no parent to kill")
        (t.dir / f"gate{count}").touch()
        if count == 2:
            (t.dir / "good").touch()
            sync.wait(30 * SLOW)
        else:
            sync.kill()
            sync.wait()
    settle(site, client)
    states = {o["advertisement"]: o["state"] for o in client.json("list")}
    equal(states, {again: "waiting", once: "interrupted"}, "states")
    client("sync", check=False, env=later(3 * 3600))
    settle(site, client)
    equal(sorted(marks(t.dir / "ran")), ["again", "again", "once"], "runs")
    equal(ids(timeline(site, client, again), 10005, *ENDS), [10005, 11006, 10005, 10008], "the one's timeline")
    equal(ids(timeline(site, client, once), 10005, *ENDS), [10005, 11006], "the other's timeline")


@case("a restart that is pending lets the next of a chain run, and is told once")
def _(t):
    site, package = small_site(t)
    client = enrolled(t, site)
    site("program", "add", package, "base", "--restart-codes", "3010,194", "--command", "sh -c 'exit 194'")
    after = advertise(site, package, "after", f"sh -c 'echo after >> {t.dir}/ran'", program=("--run-after", f"{package}:base"))
    base = site("advertise", package, "base", "--collection", "all", "--mandatory", "now").out.strip()
    site("publish")
    client("sync")
    settle(site, client)
    equal(marks(t.dir / "ran"), ["after"], "runs")
    equal(last(site, client, base)["data"]["restart_pending"], True, "the record")
    equal(ids(timeline(site, client, base), *ENDS), [10008], "ends")
    states = {o["advertisement"]: (o["state"], o["restart_pending"]) for o in client.json("list")}
    equal(states, {base: ("succeeded", True), after: ("succeeded", False)}, "list")


def later(seconds):
    return {"PACKWAY_FAKE_TIME": f"+{seconds}"}


@case("a failed program is tried again after a pause until it succeeds, if it may")
def _(t):
    site, client, adv = run_one(t, f"sh -c 'echo run >> {t.dir}/ran; test -e {t.dir}/good'",
                                program=("--rerun", "on-failure"))
    client("sync", check=False)
    equal(len(marks(t.dir / "ran")), 1, "runs before the pause is over")
    equal((client.json("list")[0]["state"], client.json("list")[0]["reason"]), ("waiting", "retry"), "list")
    client("sync", check=False, env=later(3 * 3600))
    equal(len(marks(t.dir / "ran")), 2, "runs after the pause")
    (t.dir / "good").touch()
    client("sync", check=False, env=later(12 * 3600))
    equal(len(marks(t.dir / "ran")), 3, "runs after the second pause")
    client("sync", check=False, env=later(23 * 3600))
    equal(len(marks(t.dir / "ran")), 3, "runs after a success")
    site("intake")
    equal(ids(timeline(site, client, adv), *ENDS), [10006, 10006, 10008], "ends")


@case("a program that may run once is not tried again after a failure")
def _(t):
    site, client, adv = run_one(t, f"sh -c 'echo run >> {t.dir}/ran; exit 1'")
    client("sync", check=False, env=later(20 * 3600))
    equal(len(marks(t.dir / "ran")), 1, "runs")


@case("a window is waited for and used")
def _(t):
    minute = lambda offset: time.strftime("%H:%M", time.localtime(time.time() + offset))
    site, client, adv = run_one(t, f"sh -c 'echo run >> {t.dir}/ran'", "--window", f"{minute(7200)}-{minute(10800)}")
    equal(marks(t.dir / "ran"), [], "runs before the window")
    offer = client.json("list")[0]
    equal((offer["state"], offer["reason"]), ("waiting", "window"), "list")
    need(offer["time"], "no time is given", offer)
    client("sync", env=later(3600))
    equal(marks(t.dir / "ran"), [], "runs an hour before the window")
    client("sync", env=later(4 * 3600))
    equal(marks(t.dir / "ran"), [], "runs after the window")
    client("sync", env=later(24 * 3600 + 7200 + 1800))
    equal(marks(t.dir / "ran"), ["run"], "runs in the next day's window")


@case("what expires before it could run is told as expired and never runs")
def _(t):
    site, client, adv = run_one(t, f"sh -c 'echo run >> {t.dir}/ran'", "--expires", "+5h", mandatory="+3h")
    equal(client.json("list")[0]["reason"], "mandatory-time", "list")
    client("sync", env=later(6 * 3600))
    client("sync", env=later(6 * 3600))
    settle(site, client)
    equal(marks(t.dir / "ran"), [], "runs")
    equal(ids(timeline(site, client, adv), 10002, 10019), [10002, 10019], "the timeline")


@case("what is stopped while it waits does not run until it is resumed")
def _(t):
    site, client, adv = run_one(t, f"sh -c 'echo run >> {t.dir}/ran'", mandatory="+1h")
    equal(client.json("list")[0]["state"], "waiting", "list")
    site("advertisement", "stop", adv)
    site("publish")
    client("sync")
    client("sync", env=later(7200))
    equal(marks(t.dir / "ran"), [], "runs while it is stopped")
    site("intake")
    equal(ids(timeline(site, client, adv), 11010), [11010], "told once")
    site("advertisement", "resume", adv)
    site("publish")
    client("sync")
    client("sync", env=later(7200))
    equal(marks(t.dir / "ran"), ["run"], "runs after it is resumed")


main()
