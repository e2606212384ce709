#!/usr/bin/python3
"""Everything has expired, or the clock is wrong: what is trusted stays, nothing new starts, nobody is locked out."""
import calendar
import signal

from flow import *

DAY = 86400


def at(seconds):
    return {"PACKWAY_FAKE_TIME": f"{round(seconds):+d}"}


def script(folder, marks):
    """Programs that leave a line each time that they end."""
    folder.mkdir()
    for name, wait in (("quick", 0), ("slow", 4), ("late", 0)):
        (folder / name).write_text(f"#!/bin/sh\n: > {marks}/{name}.begun\nsleep {wait}\necho . >> {marks}/{name}\n")
        (folder / name).chmod(0o755)
    return folder


def lines(file):
    return len(file.read_text().splitlines()) if file.exists() else 0


@case("everything expired: what runs is finished and told, nothing new starts, the next publish mends it")
def _(t):
    marks = t.new_dir("marks")
    site = t.site()
    cap = site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", script(t.dir / "source", marks))
    for name in ("quick", "slow", "late"):
        site("program", "add", package, name, "--command", f"./{name}")
    site("advertise", package, "slow", "--collection", "all", "--mandatory", "now")
    site("advertise", package, "quick", "--collection", "all", "--available", "now")
    site("advertise", package, "late", "--collection", "all", "--mandatory", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 16 * DAY)))
    site("publish")
    client = t.client().enroll(site, f"file://{cap}")

    # It runs when the agent dies and everything expires: it was due, and is finished.
    process = t.spawn(program("packway"), "--state", client.state, "sync", env=client.env)
    wait_for("the program to begin", 60, lambda: (marks / "slow.begun").exists())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    right, later = client.env, {**client.env, **at(20 * DAY)}
    before = {p.name: p.read_bytes() for p in (client.state / "metadata").iterdir()}
    client.env = later
    wait_for("the program to end", 60, lambda: lines(marks / "slow") == 1)
    client("sync", check=False).want(1)
    states = {o["program"]: o for o in client.json("list")}
    equal((states["slow"]["state"], lines(marks / "slow")), ("succeeded", 1), "what was due")

    # Nothing new starts, on its time or by hand; what was trusted is all there, and `status` says why.
    need(not (marks / "late.begun").exists(), "a program began by a policy that had expired", states)
    done = client("run", package, "quick", check=False)
    need(done.code == 1 and not (marks / "quick.begun").exists(), "run by hand", done.out, done.err)
    status = client.json("status")
    equal((status["policy"], status["verdict"], status["verdict_attack"], status["verdict_server"]),
          ("expired", "expired", "freeze", "cap1"), "status")
    need(status["verdict_since"] and status["policy_expires"], "since when", status)
    equal({p.name: p.read_bytes() for p in (client.state / "metadata").iterdir()}, before, "what is trusted")
    client("locate", package)

    site.env = at(20 * DAY)
    site("publish")
    client("sync")
    equal((lines(marks / "late"), lines(marks / "slow")), (1, 1), "runs after the next publish")
    client("run", package, "quick")
    equal(lines(marks / "quick"), 1, "run by hand")
    equal(client.json("status")["verdict"], "ok", "verdict")
    client.env = right


@case("a CAP that stands still is believed for as long as its timestamp lives, and status says until when")
def _(t):
    site = t.site()
    cap = site.folder_cap("cap1")
    site("publish")
    shutil.copytree(cap, t.dir / "old")
    client = t.client().enroll(site, f"file://{cap}")
    site("group", "add", "branch")  # what the client is not to know
    site("publish")
    (cap / "metadata").rename(t.dir / "new")
    shutil.copytree(t.dir / "old" / "metadata", cap / "metadata")
    timestamp = json.loads((cap / "metadata" / "timestamp.json").read_text())["signed"]
    end = calendar.timegm(time.strptime(timestamp["expires"], "%Y-%m-%dT%H:%M:%SZ"))
    need(13.9 * DAY < end - time.time() <= 14 * DAY, "14 days from its making", timestamp)
    right = client.env

    client("sync")  # the enrolment brought it
    for left in (13 * DAY, 1 * DAY, 300):
        client.env = {**right, **at(end - time.time() - left)}
        client("sync")
        status = client.json("status")
        equal((status["policy"], status["verdict"], status["policy_expires"]), ("in force", "ok", timestamp["expires"]),
              f"{left} s before the end")
    client.env = {**right, **at(end - time.time() + 5)}
    client("sync", check=False).want(1)
    status = client.json("status")
    equal((status["policy"], status["verdict"], status["verdict_attack"], status["verdict_server"]),
          ("expired", "expired", "freeze", "cap1"), "just after its end")

    shutil.rmtree(cap / "metadata")
    (t.dir / "new").rename(cap / "metadata")
    site.env = at(end - time.time() + 60)
    site("publish")
    client("sync")
    equal(client.json("status")["verdict"], "ok", "verdict of a CAP that moves on")


@case("a wrong clock locks nobody out: 1970, ten years ahead, an hour to and fro, and back each time")
def _(t):
    site = t.site()
    cap = site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=3))
    site("publish")
    client = t.client().enroll(site, f"file://{cap}")
    right, number = client.env, 0

    def follows(why, environment, works=True):
        """With such a clock; whatever it did, the right one then meets a client that follows the site."""
        nonlocal number
        for env, must in ((environment, works), ({}, True)):
            number += 1
            site("group", "add", f"g{number}")
            site("publish")
            client.env = {**right, **env}
            done = client("sync", check=False)
            need(done.code == (0 if must else 1), f"{why}: sync with {env}", done.out, done.err)
            if must:
                equal(client.json("status")["verdict"], "ok", f"{why}: verdict with {env}")
                policy = client.state / "policy"
                group = policy / (policy / "current").read_text() / "targets" / "group" / f"g{number}.json"
                need(group.exists(), f"{why}: the new policy is not in force with {env}")
                client("locate", package)

    follows("1970", {"PACKWAY_FAKE_TIME": "86400"})
    follows("ten years ahead", at(3650 * DAY), works=False)
    for hours in (1, -1, 2, -3, 5):
        follows(f"{hours} h", at(hours * 3600))
    # A clock that is ahead within the life of what it meets moves the floor; the right one is then taken as far behind.
    follows("thirteen days ahead", at(13 * DAY))
    done = client("sync")
    need("[PW-CLOCK]" in done.err and "PW-CLOCK" in client.json("status")["clock"], "nobody says that the clock is behind", done.err)
    follows("1970 again", {"PACKWAY_FAKE_TIME": "86400"})

    # A machine that boots without a clock and has never met the site.
    fresh = t.client("fresh")
    fresh.env = {**fresh.env, "PACKWAY_FAKE_TIME": "86400"}
    fresh.enroll(site, f"file://{cap}")
    equal(fresh.json("status")["verdict"], "ok", "verdict")


main()
