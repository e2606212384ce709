#!/usr/bin/env python3
"""The site's commands as others read them: shapes of the JSON, exit codes, three-line errors."""
import json
import os
import shutil
import subprocess
import sys

from flow import case, equal, main, make_tree, need, program, run, skip_unless


def fails(site, code, name, *args):
    """The command ends with `code`; people see three lines, programs one object."""
    plain = site(*args, check=False).want(code)
    lines = plain.err.rstrip("\n").split("\n")
    need(len(lines) == 3 and lines[2].endswith(f"[{name}]"), "not three lines", plain.err)
    shown = site(*args, "--json", check=False).want(code).json["error"]
    equal(shown["code"], name)
    equal(set(shown), {"code", "what", "why", "fix"})


def tree(t, name, files):
    folder = t.dir / name
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@case("packages are made, updated only by a change, and rolled back")
def _(t):
    site = t.site("LON")
    source = tree(t, "source", {"setup.sh": "exit 0\n", "data/a b": "x" * 1000})
    made = site.json("package", "create", "tool", "--source", source)
    equal({k: made[k] for k in ("id", "version", "files")},
          {"id": "LON00001", "version": 1, "files": 2})
    need(made["bytes"] == 1007 and made["bytes_new"] > 0, "sizes", made)
    same = site.json("package", "update", "LON00001")
    equal((same["version"], same["bytes_new"]), (1, 0))
    (source / "new").write_text("more")
    equal(site.json("package", "update", "LON00001")["version"], 2)
    back = site.json("package", "rollback", "LON00001", "--to", "1")
    equal((back["version"], back["files"], back["bytes_new"]), (3, 2, 0))
    equal([p["version"] for p in site.json("package", "list")], [3])
    equal([v["version"] for v in site.json("package", "show", "LON00001")["versions"]], [1, 2, 3])


@case("a source that cannot be published uses no id up and leaves nothing")
def _(t):
    site = t.site("LON")
    (t.dir / "empty").mkdir()
    fails(site, 1, "PW-SOURCE", "package", "create", "x", "--source", t.dir / "empty")
    fails(site, 3, "PW-NOT-FOUND", "package", "create", "x", "--source", t.dir / "absent")
    # A package must never be its own source (Q263376).
    fails(site, 1, "PW-REFUSED", "package", "create", "x", "--source", site.dir / "library")
    share = site.folder_dp("dp1")
    (share / "file").write_text("x")
    fails(site, 1, "PW-REFUSED", "package", "create", "x", "--source", share)
    outside = tree(t, "outside", {"file": "x"})
    os.symlink("/etc/passwd", outside / "link")
    fails(site, 1, "PW-SOURCE", "package", "create", "x", "--source", outside)
    equal(list((site.dir / "library").iterdir()), [])
    made = site.json("package", "create", "x", "--source", outside, "--skip-outside-links")
    equal(made["id"], "LON00001")


@case("what does not fit is refused with its exit code")
def _(t):
    site = t.site("LON")
    site("group", "add", "hub")
    site("boundary", "add", "10.1.0.0/16", "--group", "hub")
    site("group", "add", "branch", "--neighbour", "hub:30", "--default-after", "never")
    for code, name, *args in [
        (2, "PW-USAGE", "frobnicate"),
        (2, "PW-USAGE", "package"),
        (2, "PW-USAGE", "package", "create", "x"),
        (2, "PW-USAGE", "package", "list", "--colour"),
        (2, "PW-USAGE", "boundary", "add", "10.1.2.3/16", "--group", "hub"),
        (2, "PW-USAGE", "boundary", "add", "10.1/16", "--group", "hub"),
        (1, "PW-EXISTS", "boundary", "add", "10.1.0.0/16", "--group", "branch"),
        (3, "PW-NOT-FOUND", "boundary", "add", "10.2.0.0/16", "--group", "nowhere"),
        (2, "PW-USAGE", "group", "add", "a", "--neighbour", "no where"),
        (1, "PW-REFUSED", "group", "add", "a", "--policy", "preferred-only"),
        (2, "PW-USAGE", "group", "add", "a", "--policy", "best"),
        (1, "PW-EXISTS", "group", "add", "hub"),
        (1, "PW-IN-USE", "group", "remove", "hub"),
        (1, "PW-UNSUPPORTED", "cap", "add", "c", "nwfs://server/volume"),
        (2, "PW-USAGE", "cap", "add", "../c", "/tmp"),
        (1, "PW-QUERY", "collection", "add", "c", "--query", "SELECT random()"),
        (1, "PW-QUERY", "collection", "add", "c", "--query", "DELETE FROM client"),
        (2, "PW-USAGE", "collection", "add", "c"),
        (1, "PW-REFUSED", "collection", "remove", "all"),
        (3, "PW-NOT-FOUND", "package", "show", "LON00009"),
        (2, "PW-USAGE", "package", "show", "tool"),
        (3, "PW-NOT-FOUND", "client", "show", "nobody"),
        (3, "PW-NOT-FOUND", "advertisement", "stop", "LON20001"),
        (1, "PW-QUERY", "query", "DELETE FROM client"),
        (1, "PW-QUERY", "query", "SELECT * FROM token"),
        (1, "PW-REFUSED", "publish"),
    ]:
        fails(site, code, name, *args)


BLANKS = ("", " ", "\t", "\u00a0", "\u3000 ", "\u200d")  # nobody would see them in a list


@case("a name that nobody sees is refused, whatever it is for")
def _(t):
    site, source = t.site(), make_tree(t.dir / "source")
    package = site.package("Office 97", source, distribute=False)  # but one with a space inside is fine
    verbs = [  # the first two take any printable text, the others have an alphabet
        ["package", "create", None, "--source", source],
        ["init", t.dir / "other", "--code", "PAR", "--name", None],
        ["program", "add", package, None, "--command", "./install"],
        ["collection", "add", None, "--query", "SELECT client_id FROM os"],
        ["group", "add", None],
        ["cap", "add", None, t.dir / "cap"],
        ["dp", "add", None, t.dir / "dp"],
    ]
    for i, verb in enumerate(verbs):
        for blank in BLANKS if i < 2 else BLANKS[1:2]:
            fails(site, 2, "PW-USAGE", *[blank if word is None else word for word in verb])
    equal([p["name"] for p in site.json("package", "list")], ["Office 97"], "packages")
    need(not any((t.dir / name).exists() for name in ("cap", "dp", "other")), "a folder was made")


@case("a plain web server is no CAP unless its folder comes first")
def _(t):
    site = t.site("LON")
    web = t.nginx(t.dir / "web") if hasattr(t, "nginx") else None
    if web is not None:
        fails(site, 1, "PW-REFUSED", "cap", "add", "web", web.url)
    site.folder_cap("cap1")
    equal(site.json("cap", "list")[0]["addresses"], [f"file://{t.dir}/cap1"])


@case("programs and advertisements")
def _(t):
    site = t.site("LON")
    source = tree(t, "source", {"setup.sh": "exit 0\n"})
    site("package", "create", "tool", "--source", source)
    site("program", "add", "LON00001", "install", "--command", "./setup.sh --quiet",
         "--success", "0,2", "--restart-codes", "3010", "--timeout", "20m")
    site("program", "add", "LON00001", "after", "--command", "sh -c true",
         "--run-after", "LON00001:install", "--rerun", "always", "--as", "user")
    secret = site("program", "add", "LON00001", "leak", "--command", "./setup.sh --password=x")
    need("looks like a secret" in secret.err, "no warning", secret.err)
    for args in (["--command", "./a 'b"], ["--command", "../escape"],
                 ["--command", "./a", "--success", "yes"], ["--command", "./a", "--as", "a b"],
                 ["--command", "./a", "--timeout", "0"], ["--command", "./a", "--mount", "here"],
                 ["--command", "./a", "--mount", "/a/../b"], ["--command", "./a", "--keep"],
                 ["--command", "./a", "--mount", "any", "--keep"]):
        fails(site, 2, "PW-USAGE", "program", "add", "LON00001", "bad", *args)
    fails(site, 1, "PW-REFUSED", "program", "add", "LON00001", "self", "--command", "./a",
          "--run-after", "LON00001:self")
    site("program", "add", "LON00001", "m", "--command", "./a", "--mount", "/mnt/tool", "--keep")
    programs = {p["name"]: p for p in site.json("package", "show", "LON00001")["programs"]}
    equal(programs["install"]["success"], [0, 2])
    equal(programs["after"]["run_after"], "LON00001:install")
    equal([(programs[n]["mount"], programs[n]["keep"]) for n in ("after", "m")], [("none", 0), ("/mnt/tool", 1)])
    adv = site.json("advertise", "LON00001", "install", "--collection", "all",
                    "--mandatory", "now", "--expires", "+2h")
    equal(adv["advertisement"], "LON20001")
    site("advertisement", "stop", "LON20001")
    equal(site.json("advertisement", "show", "LON20001")["state"], "stopped")
    row = site.json("status", "LON00001")[0]
    for key in ("targeted", "received", "waiting", "running", "succeeded", "failed"):
        equal(row[key], 0, key)
    fails(site, 1, "PW-IN-USE", "package", "remove", "LON00001")
    site("advertisement", "remove", "LON20001")
    equal(site("advertise", "LON00001", "install", "--collection", "all").out, "LON20002\n")


@case("tokens and the bundle")
def _(t):
    site = t.site("LON")
    site.folder_cap("cap1")
    made = site.json("token", "create", "--uses", "3", "--expires", "2h")
    equal(made["uses"], 3)
    need(made["expires"].endswith("Z") and made["token"], "token", made)
    site("token", "create", "--bundle", t.dir / "bundle.json")
    equal((t.dir / "bundle.json").stat().st_mode & 0o777, 0o600)
    site("token", "revoke", "1")
    equal([x["state"] for x in site.json("token", "list")], ["revoked", "valid"])


@case("a dead DP is reported and the others are done")
def _(t):
    site = t.site("LON")
    site.folder_cap("cap1")
    dp = site.folder_dp("dp1")
    site("dp", "add", "dead", "http://127.0.0.2:9/dp")
    (t.dir / "taken").mkdir()
    source = tree(t, "source", {"setup.sh": "exit 0\n"})
    site("package", "create", "tool", "--source", source)
    broken = t.dir / "broken"
    site("dp", "add", "broken", f"file://{broken}")
    broken.rmdir()
    broken.write_text("no folder")
    done = site("package", "distribute", "LON00001", "--dp", "dp1", "broken", "--no-patches",
                "--json", check=False).want(4).json
    equal({r["dp"]: r["state"] for r in done}, {"dp1": "valid", "broken": "failed"})
    need((dp / "packway-dp.json").exists(), "no marker")
    pack = next((dp / "LON00001" / "packs").iterdir())
    bytes_ = bytearray(pack.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(bytes_)
    site("dp", "validate", "dp1", "LON00001", check=False).want(4)
    site("package", "distribute", "LON00001", "--dp", "dp1")
    site("dp", "validate", "dp1")
    site("publish")


def published(site, pattern):
    """The document under such a name that the newest role files list."""
    folder, newest = site.dir / "published", {}
    for file in (folder / "metadata").glob("*.*.json"):
        version, role, _ = file.name.split(".")
        newest[role] = max(newest.get(role, 0), int(version))
    bodies = [json.loads((folder / "metadata" / f"{v}.{r}.json").read_text())["signed"] for r, v in newest.items()]
    listed = {t["hashes"]["sha256"] for body in bodies for t in body.get("targets", {}).values()}
    found = [f for f in (folder / "targets").glob(pattern) if f.name.split(".")[0] in listed]
    return json.loads(found[-1].read_text())


@case("two groups may be neighbours of each other, and be removed again")
def _(t):
    site = t.site("LON")
    site.folder_cap("cap1")
    added = site("group", "add", "a", "--neighbour", "b:10")
    need('no group "b" yet' in added.err, "no warning", added.err)
    need("does not exist" in site("publish").err, "nor when it is published")
    equal(site("group", "add", "b", "--neighbour", "a").err, "")
    equal(site("publish").err, "")
    equal(site.json("group", "show", "a")["neighbours"], [{"group": "b", "minutes": 10}])
    site("group", "remove", "a")
    site("group", "remove", "b")


@case("a folder whose file system is not mounted is no lost disk")
def _(t):
    site = t.site("LON")
    source = tree(t, "source", {"setup.sh": "exit 0\n"})
    disk, at = t.dir / "disk", t.dir / "at"
    disk.mkdir()
    skip_unless(t.bind_mount(disk, at), "bind mounts")
    site("dp", "add", "dp1", f"file://{at}")
    site.package("tool", source)
    need((disk / "packway-dp.json").exists(), "no marker")
    subprocess.run(["fusermount3", "-u", "-z", str(at)], check=True)
    (source / "more").write_text("x")
    site("package", "update", "LON00001")
    failed = site("package", "distribute", "LON00001", "--all", "--json", check=False).want(4)
    need("not mounted" in failed.json[-1]["reason"], "no reason", failed.out)
    equal(list(at.iterdir()), [], "written beneath the mount")
    # A disk that is there and was emptied is filled again.
    t.bind_mount(disk, at)
    for child in disk.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    site("package", "distribute", "LON00001", "--all")
    need((disk / "packway-dp.json").exists(), "not filled again")


@case("what killed writers left is swept after a day")
def _(t):
    site = t.site("LON")
    cap = site.folder_cap("cap1")
    inbox = cap / "inbox"
    (cap / "metadata").mkdir()
    inbox.mkdir()
    old = [cap / "metadata" / ".new-0123456789abcdef", inbox / ".new-0123456789abcdef"]
    young, own = inbox / ".new-fedcba9876543210", cap / ".new-stuff"
    for path in (*old, own):
        path.write_text("x")
        os.utime(path, (1e9, 1e9))
    young.write_text("x")
    site("publish")
    equal([p.exists() for p in (*old, young, own)], [False, False, True, True])


@case("a removed DP cleans nothing that became another's")
def _(t):
    site = t.site("LON")
    source = tree(t, "source", {"setup.sh": "exit 0\n"})
    dp = site.folder_dp("dp1")
    site.package("tool", source)
    site("dp", "remove", "dp1")
    site("dp", "add", "dp2", f"file://{dp}")
    site("package", "distribute", "LON00001", "--all")
    site.env["PACKWAY_KEEP"] = "0s"
    site("package", "distribute", "LON00001", "--all")
    site("package", "distribute", "LON00001", "--all")
    site("dp", "validate", "dp2")


@case("settings that are wrong do not keep 'config' from showing them")
def _(t):
    site = t.site("LON")
    site.env["PACKWAY_POLL"] = "soon"
    fails(site, 2, "PW-CONFIG", "cap", "list")
    shown = site("config", "--json")
    need("PACKWAY_POLL" in shown.err or "poll" in shown.err, "no warning", shown.err)
    equal({r["key"]: r["value"] for r in shown.json}["poll"], "15m")


@case("what stands on a CAP under a name of ours is looked into")
def _(t):
    site = t.site("LON")
    cap = site.folder_cap("cap1")
    site("publish")
    number = json.loads((cap / "metadata/timestamp.json").read_text())["signed"]["version"] + 1
    strange = cap / "metadata" / f"{number}.snapshot.json"
    strange.write_text("{}")
    site("group", "add", "hub")
    site("publish")
    own = site.dir / "published" / "metadata" / strange.name
    equal(strange.read_bytes(), own.read_bytes(), "a stranger's file stayed")


@case("a link in the place of an inbox leads the site nowhere")
def _(t):
    site = t.site("LON")
    cap = site.folder_cap("cap1")
    private = t.dir / "private"
    private.mkdir(mode=0o700)
    (cap / "inbox").symlink_to(private)
    equal(site.json("publish", check=False)["caps"][0]["state"], "failed")
    equal(private.stat().st_mode & 0o7777, 0o700)


@case("an advertisement of the latest version runs again for a newer one, and never goes back")
def _(t):
    site = t.site("LON")
    site.folder_cap("cap1")
    first = site.folder_dp("dp1")
    site.folder_dp("dp2")
    source = tree(t, "source", {"setup.sh": "exit 0\n"})
    site.package("tool", source)
    site("program", "add", "LON00001", "run", "--command", "./setup.sh")
    site("advertise", "LON00001", "run", "--collection", "all", "--mandatory", "now")

    def offered():
        site("publish")
        offer = published(site, "advertisement/*.json")["advertisements"][0]
        return offer["version"], offer["serial"]

    equal(offered(), (1, 1))
    (source / "more").write_text("x")
    site("package", "update", "LON00001")
    equal(offered(), (1, 1), "before a DP has it")
    site("package", "distribute", "LON00001", "--dp", "dp1", "--no-patches")
    equal(offered(), (2, 2))
    for pack in (first / "LON00001" / "packs").iterdir():
        pack.unlink()
    site("dp", "validate", "dp1", check=False).want(4)
    equal(offered(), (2, 2), "a DP that lost it takes nothing back")


@case("options stand before or after the verb, and help is made from the tables")
def _(t):
    site = t.site("LON")
    exe = program("packway-site")
    equal(run(exe, "--json", "--site", site.dir, "cap", "list").json, [])
    equal(run(exe, "cap", "list", f"--site={site.dir}", "--json").json, [])
    verbs = {v["name"] for v in run(exe, "--help", "--json").json["verbs"]}
    for verb in ("init", "cap add", "dp validate", "group show", "boundary list", "publish",
                 "package rollback", "advertise", "serve", "token create", "query", "keys"):
        need(verb in verbs, f"no {verb}")
        need("usage:" in run(exe, *verb.split(), "--help").out, f"no help for {verb}")
    # Who meets the server's program by itself gets the same words.
    equal(run(program("packway-serve"), "serve", "--help").out, run(exe, "serve", "--help").out, "the help of packway-serve")
    rows = {r["key"]: r for r in site.json("config")}
    equal((rows["site"]["value"], rows["site"]["source"]), (str(site.dir), "flag"))


@case("Q260824: the last CAP that all clients can know is not removed before another was there for two weeks")
def _(t):
    site = t.site()
    site.folder_cap("cap1")
    site("cap", "remove", "cap1")  # nobody knows it yet
    site.folder_cap("cap2")
    site("publish")
    t.client().enroll(site, f"file://{t.dir}/cap2")
    fails(site, 1, "PW-IN-USE", "cap", "remove", "cap2")
    site.env["PACKWAY_FAKE_TIME"] = "+60"  # ages are in whole seconds, and this may be done within one
    site.folder_cap("cap3")
    site("publish")
    fails(site, 1, "PW-IN-USE", "cap", "remove", "cap2")
    site("cap", "remove", "cap3")  # the older one stays
    site.folder_cap("cap4")
    site.env["PACKWAY_FAKE_TIME"] = f"+{15 * 86400}"
    site("cap", "remove", "cap2")
    site.folder_cap("cap5")
    fails(site, 1, "PW-IN-USE", "cap", "remove", "cap4")
    site("cap", "remove", "cap4", "--now")
    equal([c["name"] for c in site.json("cap", "list")], ["cap5"], "CAPs")


if __name__ == "__main__":
    sys.exit(main())
