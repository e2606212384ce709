#!/usr/bin/python3
"""Accounts for servers: tried once when wrong, used at the next poll when mended, and never shown.

The witness is the server: every logon is a line of its auth_json_audit."""
import os
import pty
import select
import subprocess
import time

from flow import Failed, case, equal, main, make_tree, need, program, same_tree, shared, wait_for

RIGHT = "it's \"right\" \\ p\u00e4ss;word #1 "  # blanks at its end count


def put(packway, server, user, secret, **more):
    return packway("credential", "set", server, "--user", user, stdin=secret + "\n", **more)


class World:
    """A site whose CAP and DP are shares of one server that wants an account."""

    def __init__(self, t, **samba):
        self.smb = t.samba(shares={"packway": t.new_dir("share"), "other": t.new_dir("other")},
                           guest=False, users={"agent": RIGHT, "writer": "w"}, **samba)
        self.site = t.site()
        put(self.site, self.smb.host, "writer", "w")
        self.site("cap", "add", "cap1", self.smb.url())
        self.site("dp", "add", "dp1", self.smb.url("content", "other"))
        self.tree = make_tree(t.dir / "source", files=4, size=4000)
        self.package = self.site.package("tree", self.tree)
        self.site("publish")

    def client(self, t, name="client1", config=""):
        client = t.client(name, config=config)
        put(client, self.smb.host, "agent", RIGHT)
        return client.join(self.site, self.smb.url())


@shared
def world(t):
    return World(t)


def everything_below(folder, but):
    for path in folder.rglob("*"):
        if path.is_file() and but not in path.parts:
            yield path, path.read_bytes()


@case("Q227033: a wrong secret is tried once over 50 polls and a restart, and a right one at the next poll")
def _(t):
    w = world()
    client = w.client(t, config="poll = 1s\nlinger = 0\n")
    client("sync")
    put(client, w.smb.host, "agent", "wrong")
    mark = w.smb.mark()
    for _ in range(50):
        client("sync", check=False).want(4)
    equal(len(w.smb.refusals(mark)), 1, "logons that failed in 50 polls")
    equal(len(w.smb.authentications(mark)), 1, "logons of any kind in 50 polls")

    left_out = client.json("locate", "--cap", check=False)["candidates"]
    equal([c.get("excluded") for c in left_out], ["denied"], "the CAP")
    listed = client.json("credential", "list")
    equal([(r["server"], r["user"], r["refused"]) for r in listed], [(w.smb.host, "agent", True)])
    ill = [c["subject"] for c in client.json("doctor", check=False) if c["result"] == "failed"]
    need(w.smb.host in ill, "doctor does not name it", ill)
    equal(len(w.smb.refusals(mark)), 1, "after doctor, whose probe logs on as nobody")

    quiet = w.smb.mark()
    agent = client.agent()
    time.sleep(4)
    equal(w.smb.authentications(quiet), [], "after the agent's polls")
    put(client, w.smb.host, "agent", RIGHT)
    wait_for("a logon with the right secret", 20, lambda: w.smb.setups(mark))
    equal(len(w.smb.refusals(mark)), 1, "after it was mended")
    agent.terminate()
    agent.wait()
    client("sync")


@case("Q227033: a CAP and a DP of one server make one failed logon, and the package comes from elsewhere")
def _(t):
    w = world()
    client = w.client(t)
    client("sync")
    put(client, w.smb.host, "agent", "wrong")
    mark = w.smb.mark()
    client("fetch", w.package, check=False).want(4)
    equal(len(w.smb.refusals(mark)), 1)


@case("Q293662: setting the same wrong secret anew is a change, and one more logon")
def _(t):
    w = world()
    client = w.client(t)
    put(client, w.smb.host, "agent", "wrong")
    mark = w.smb.mark()
    for expected in 1, 1, 2, 2:
        if expected == 2 and len(w.smb.refusals(mark)) == 1:
            put(client, w.smb.host, "agent", "wrong")
        client("sync", check=False).want(4)
        equal(len(w.smb.refusals(mark)), expected)


@case("an account that is disabled is tried once too")
def _(t):
    w = World(t, name="disabled")
    client = w.client(t)
    client("sync")
    subprocess.run(["pdbedit", "-s", w.smb.conf, "-u", "agent", "-r", "-c", "[D]"], check=True,
                   capture_output=True, env=w.smb._env())
    mark = w.smb.mark()
    for _ in range(3):
        client("sync", check=False).want(4)
    equal([a["status"] for a in w.smb.refusals(mark)], ["NT_STATUS_ACCOUNT_DISABLED"])


@case("the site's own wrong secret is tried once over several commands")
def _(t):
    w = World(t, name="site")
    put(w.site, w.smb.host, "writer", "wrong")
    mark = w.smb.mark()
    for _ in range(3):
        w.site("intake", check=False)
        w.site("publish", check=False)
    equal(len(w.smb.refusals(mark)), 1)
    equal(w.site.json("credential", "list")[0]["refused"], True)
    put(w.site, w.smb.host, "writer", "w")
    w.site("intake")
    equal(len(w.smb.refusals(mark)), 1)


@case("quotes, blanks, backslashes and other scripts of a secret arrive as they are")
def _(t):
    w = world()
    client = w.client(t)
    mark = w.smb.mark()
    client("fetch", w.package, "-o", t.dir / "out")
    same_tree(w.tree, t.dir / "out")
    equal(w.smb.refusals(mark), [])
    need("agent" in {a["mappedAccount"] or a["clientAccount"] for a in w.smb.setups(mark)})


@case("a user whom the server takes for a guest is served as one")
def _(t):
    smb = t.samba()
    site = t.site()
    site("cap", "add", "cap1", smb.url())
    site("publish")
    client = t.client()
    put(client, smb.host, "whoever", "x")
    mark = smb.mark()
    client.join(site, smb.url())
    client("sync")
    equal({a["status"] for a in smb.authentications(mark)}, {"NT_STATUS_NO_SUCH_USER"})


@case("Q235179: a secret stands in its own file and nowhere else")
def _(t):
    w = world()
    client = w.client(t)
    secret = "Sesame-" + "4711" * 4
    shown = put(client, w.smb.host, "agent", secret)
    said = [shown, client("credential", "list"), client("credential", "list", "--json"),
            client("config", "--json"), client("sync", "--verbose", check=False),
            client("status", "--json", check=False), client("doctor", check=False)]
    for result in said:
        need(secret not in result.out + result.err, f"{result.line} shows the secret")
    for path, data in everything_below(client.state, "credentials.d"):
        need(secret.encode() not in data, f"{path} holds the secret")
    stored = list((client.state / "credentials.d").iterdir())
    equal([oct(p.stat().st_mode & 0o777) for p in stored], ["0o600"])


@case("what cannot be a secret is refused before anything is stored")
def _(t):
    client = t.client()
    for secret in "", "\n", "two\nlines\n", "bell\a\n", "x" * 256:
        client("credential", "set", "nas", "--user", "u", stdin=secret, check=False).want(2)
    client("credential", "set", "nas", stdin="x", check=False).want(2)
    client("credential", "set", "nas/a/b", "--user", "u", stdin="x", check=False).want(2)
    client("credential", "set", "nas", "--user", "", stdin="x", check=False).want(2)
    client("credential", "set", "nas", "--user", "u", "--secret-file", t.dir / "none",
           check=False).want(3)
    equal(client.json("credential", "list"), [])
    client("credential", "remove", "nas", check=False).want(3)


@case("a file that others could read is not used, and said so by its name")
def _(t):
    client = t.client()
    put(client, "nas", "u", "x")
    put(client, "nas2", "v", "y")
    file = client.state / "credentials.d" / "server-nas.conf"
    file.chmod(0o640)
    got = client("credential", "list", "--json", check=False).want(5)
    equal([r["server"] for r in got.json], ["nas2"])
    need(str(file) in got.err and "0640" in got.err, "the file is not named", got.err)


def read_terminal(fd, until, seconds):
    seen, end = b"", time.monotonic() + seconds
    while until not in seen:
        ready, _, _ = select.select([fd], [], [], 0.2)
        if ready:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
        if time.monotonic() > end:
            raise Failed(f"the terminal shows {seen!r}, and never {until!r}")
    return seen


@case("a terminal is asked without echo")
def _(t):
    client = t.client()
    pid, fd = pty.fork()
    if pid == 0:
        argv = [program("packway"), "--state", str(client.state), "credential", "set", "nas",
                "--user", "OFFICE\\me"]
        os.execv(argv[0], argv)
    shown = read_terminal(fd, b": ", 60)
    need(b"OFFICE\\me" in shown and b"nas" in shown, f"the question is {shown!r}")
    os.write(fd, b"Sesame-4711\n")
    shown = read_terminal(fd, b"connection on", 60)
    need(b"Sesame" not in shown, "the secret is echoed")
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
    os.close(fd)
    equal(client.json("credential", "list")[0]["user"], "OFFICE\\me")


main()
