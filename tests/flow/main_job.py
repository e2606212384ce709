#!/usr/bin/python3
"""The main job, end to end, over folders: publish, enrol, sync, run once, report."""
from flow import *


def small_site(t, dps=1):
    site = t.site()
    site.folder_cap("cap1")
    for i in range(dps):
        site.folder_dp(f"dp{i + 1}")
    return site


def advertised(t, site, command="./install", *options):
    source = make_tree(t.dir / "source")
    package = site.package("tool", source)
    site("program", "add", package, "install", "--command", command)
    adv = site("advertise", package, "install", "--collection", "all", *(options or ("--mandatory", "now"))).out.strip()
    site("publish")
    return source, package, adv


@case("a package is delivered, run once, and reported")
def _(t):
    site = small_site(t)
    source, package, adv = advertised(t, site, f"sh -c 'echo run >> {t.dir}/ran; cat d0/* > /dev/null'")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark")
    client("sync")
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark after another sync")
    site("intake")
    status = site.json("status", adv)[0]
    equal(status["succeeded"], 1, "status")
    equal((status["targeted"], status["received"]), (1, 1), "targeted, received")
    ids = [m["id"] for m in site.json("messages", "--client", client.id) if m["id"]]
    for wanted in (10002, 10005, 10008):
        need(wanted in ids, f"no message {wanted}", ids)
    need(ids.index(10002) < ids.index(10005) < ids.index(10008), "messages out of order", ids)


@case("fetch delivers the very tree, and a second fetch moves nothing")
def _(t):
    site = small_site(t)
    source, package, _ = advertised(t, site, "./install", "--available", "now")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    first = client.json("fetch", package, "-o", t.dir / "out")
    same_tree(source, t.dir / "out")
    equal(first["server"], "dp1", "server")
    equal(first["version"], 1, "version")
    again = client.json("fetch", package)
    equal(again["how"], "none", "how")
    equal(again["bytes_network"], 0, "bytes_network")


@case("an update moves only what is new, and a rollback nothing")
def _(t):
    site = small_site(t)
    source, package, _ = advertised(t, site, "./install", "--available", "now")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    first = client.json("fetch", package)
    (source / "d1" / "new").write_bytes(random.Random(9).randbytes(5000))
    equal(site.json("package", "update", package)["version"], 2, "version")
    site("package", "distribute", package, "--all", "--no-patches")
    site("publish")
    client("sync")
    second = client.json("fetch", package)
    equal(second["version"], 2, "version")
    need(second["bytes_network"] < first["bytes_network"], "the update moved everything", second)
    equal(site.json("package", "update", package)["version"], 2, "an update without a change")
    site("package", "rollback", package, "--to", "1")
    site("package", "distribute", package, "--all", "--no-patches")
    site("publish")
    client("sync")
    third = client.json("fetch", package, "-o", t.dir / "out")
    equal(third["version"], 3, "version after rollback")
    need(third["chunks_fetched"] == 0, "the rollback moved chunks", third)


@case("a program runs as the account that its line names, and sees only its content")
def _(t):
    if os.geteuid() != 0:
        return  # only root can run anything as somebody else
    site = small_site(t)
    out = t.dir / "out"
    out.mkdir()
    out.chmod(0o777)
    t.dir.chmod(0o711)
    see = "id -un; cat d0/* | wc -c; cat ../../../client.key ../../../worker/nal.json ../../../policy/current"
    _, package, adv = advertised(t, site, f"sh -c '({see}; ls ../../..; true) > {out}/told 2>&1'",
                                 "--mandatory", "+1h")
    site("program", "add", package, "other", "--command", f"sh -c '({see}; ls ../../..; true) > {out}/told 2>&1'",
         "--as", "nobody")
    site("advertise", package, "other", "--collection", "all", "--mandatory", "now")
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    told = (out / "told").read_text().splitlines()
    equal(told[0], "nobody", "who ran")
    need(int(told[1]) > 0, "the content could not be read", told)
    equal([line for line in told[2:] if "Permission denied" not in line], [], "what else could be read")


@case("a stopped advertisement does not run, a resumed one does")
def _(t):
    site = small_site(t)
    _, package, adv = advertised(t, site, f"sh -c 'echo run >> {t.dir}/ran'")
    site("advertisement", "stop", adv)
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    need(not (t.dir / "ran").exists(), "a stopped advertisement ran")
    site("advertisement", "resume", adv)
    site("publish")
    client("sync")
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark")


@case("a failing program is reported with its exit code and output")
def _(t):
    site = small_site(t)
    _, package, adv = advertised(t, site, "sh -c 'echo out of luck; exit 3'")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync", check=False)
    site("intake")
    equal(site.json("status", adv)[0]["failed"], 1, "status")
    failed = [m for m in site.json("messages", "--advertisement", adv) if m["id"] == 10006]
    equal(len(failed), 1, "messages 10006")
    need("3" in failed[0]["text"], "the text does not name the exit code", failed[0])


@case("an optional program waits for its user")
def _(t):
    site = small_site(t)
    _, package, adv = advertised(t, site, f"sh -c 'echo run >> {t.dir}/ran'", "--available", "now")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("sync")
    need(not (t.dir / "ran").exists(), "an optional program ran by itself")
    offered = client.json("list")
    equal([o["state"] for o in offered], ["offered"], "list")
    client("run", package, "install")
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark")


@case("the choice explains itself before and after")
def _(t):
    site = small_site(t, 3)
    _, package, _ = advertised(t, site, "./install", "--available", "now")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    before = client.json("locate", package, "--seed", "7")
    equal(before, {**client.json("locate", package, "--seed", "7"), "time": before["time"]}, "same seed")
    equal((before["listed"], before["valid"]), (3, 3), "listed, valid")
    equal(before["attempts"], [], "locate made attempts")
    got = client.json("fetch", package, "--seed", "7")
    after = client.json("explain")
    equal(after["chosen"]["server"], got["server"], "explain")
    need(after["because"].endswith("."), "no sentence", after)
    need(any(a["class"] == "ok" for a in after["attempts"]), "no attempt", after)


@case("a machine with a bundle in its enrol folder enrols itself, and runs what is due")
def _(t):
    site = small_site(t)
    _, package, adv = advertised(t, site, f"sh -c 'echo run >> {t.dir}/ran'")
    (t.dir / "enroll.d").mkdir()
    (t.dir / "enroll.d" / "00-broken.json").write_text("{}")
    site("token", "create", "--bundle", t.dir / "enroll.d" / "10-site.json")
    client = t.client(config=f"enroll-dir = {t.dir}/enroll.d\npoll = 1s\n")
    client.agent()
    wait_for("the enrolment", 20, lambda: (client.state / "identity.json").exists() and "clients enrolled" in site("intake").out
             and site.json("client", "list"))
    wait_for("the program", 20, lambda: (t.dir / "ran").exists())
    time.sleep(2)
    equal((t.dir / "ran").read_text(), "run\n", "the program's mark")


@case("Q245170: an advertisement that cannot be judged is refused alone, and told; the others run")
def _(t):
    site = small_site(t)
    # An integer overflow, but only where there is a row to look at.
    site("collection", "add", "odd", "--query",
         "SELECT client_id FROM os WHERE abs(length(name) - length(name) - 9223372036854775807 - 1) > 0")
    for i, collection in enumerate(("all", "odd", "all")):
        package = site.package(f"tool{i}", make_tree(t.dir / f"src{i}", files=2, seed=i))
        site("program", "add", package, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran{i}'")
        site("advertise", package, "install", "--collection", collection, "--mandatory", "now")
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    equal([(t.dir / f"ran{i}").exists() for i in range(3)], [True, False, True], "what ran")
    site("intake")
    texts = [m["text"] for m in site.json("messages", "--client", client.id) if m["id"] == 10018]
    need(len(texts) == 1 and "integer overflow" in texts[0], "the site is not told once", texts)
    client("sync")
    site("intake")
    equal(len([m for m in site.json("messages", "--client", client.id) if m["id"] == 10018]), 1, "told again")


@case("content that changed in the store since it was verified is not run: it is fetched again, or refused")
def _(t):
    site = small_site(t)
    source = make_tree(t.dir / "source")
    (source / "install").write_text(f"#!/bin/sh\necho genuine >> {t.dir}/ran\n")
    (source / "install").chmod(0o755)
    package = site.package("tool", source)
    site("program", "add", package, "install", "--command", "./install", "--rerun", "always")
    site("advertise", package, "install", "--collection", "all", "--available", "now")
    site("publish")
    client = t.client().enroll(site, f"file://{t.dir}/cap1")
    client("run", package, "install")
    tree = pathlib.Path(client.json("fetch", package)["path"])
    evil = f"#!/bin/sh\necho evil >> {t.dir}/ran\n"

    def spoil():
        tree.chmod(0o755)
        (tree / "install").unlink()
        (tree / "install").write_text(evil)
        (tree / "install").chmod(0o755)

    spoil()
    client("run", package, "install")
    equal((t.dir / "ran").read_text(), "genuine\n" * 2, "what ran")
    (t.dir / "dp1").rename(t.dir / "away")
    spoil()
    refused = client("run", package, "install", check=False).want(4)
    need("has changed since it was verified" in refused.err and "[PW-NO-CANDIDATE]" in refused.err,
         "the refusal", refused.err)
    equal((t.dir / "ran").read_text(), "genuine\n" * 2, "what ran with no server to mend from")


@case("Q293187: a package that was removed is asked for no more, by anybody")
def _(t):
    site = t.site()
    folders = {kind: t.new_dir(kind) for kind in ("cap", "dp")}
    servers = {}
    for kind, folder in folders.items():
        folder.chmod(0o777)  # nginx started as root writes as nobody
        servers[kind] = t.nginx(folder, server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;")
    site("cap", "add", "cap1", f"file://{folders['cap']}", servers["cap"].url)
    site("dp", "add", "dp1", servers["dp"].url)
    gone, stays = (site.package(f"tool{i}", make_tree(t.dir / f"src{i}", files=2, seed=i)) for i in range(2))
    for package in (gone, stays):
        site("program", "add", package, "install", "--command", f"sh -c 'echo {package} >> {t.dir}/ran'")
    adv = site("advertise", gone, "install", "--collection", "all", "--mandatory", "now").out.strip()
    site("publish")
    client = t.client().enroll(site, servers["cap"].url)
    equal((t.dir / "ran").read_text(), f"{gone}\n", "what ran")
    site("advertisement", "remove", adv)
    site("package", "remove", gone)
    site("advertise", stays, "install", "--collection", "all", "--mandatory", "now")
    site("publish")
    asked = {kind: len(server.lines()) for kind, server in servers.items()}
    for _ in range(3):
        client("sync")
    equal((t.dir / "ran").read_text(), f"{gone}\n{stays}\n", "what ran")
    equal([o["package"] for o in client.json("list")], [stays], "what is offered")
    client("fetch", gone, check=False).want(3)
    for kind, server in servers.items():
        lines = server.lines()[asked[kind]:]
        equal([line for line in lines if any(gone in word for word in line)], [], f"what the {kind} was asked of it")


main()
