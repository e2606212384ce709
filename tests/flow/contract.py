#!/usr/bin/python3
"""The words and the JSON that others rely on: every verb once, what it exits with, and the names and types of what it prints.

A row is a command, and the shape of its document: a type; a tuple of types; a list of one shape, which has at least one item;
a dict of names that must be there, with their shapes; a function that tells the shape from the value. More names are free.
"""
import datetime
import inspect
import json
import re

from flow import *

NUMBER = (int, float)
TIME = "a time"
NONE = type(None)


def fits(shape, value, where="document"):
    if shape == TIME:
        need(isinstance(value, str), f"{where} is no time", value)
        datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    elif inspect.isfunction(shape):
        fits(shape(value), value, where)
    elif isinstance(shape, dict):
        need(isinstance(value, dict), f"{where} is no object", value)
        for name, of in shape.items():
            need(name in value, f"{where} has no {name}", value)
            fits(of, value[name], f"{where}.{name}")
    elif isinstance(shape, list):
        need(isinstance(value, list) and value, f"{where} is no list with items", value)
        for i, item in enumerate(value):
            fits(shape[0], item, f"{where}[{i}]")
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        need(isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)), f"{where} is no {shape}", value)


def candidate(value):
    if "excluded" in value:
        return {"server": str, "address": str, "excluded": str}
    return {"server": str, "address": str, "tier": int, "rank": int, "way": str, "terms": dict}


MADE = {"id": str, "version": int, "files": int, "bytes": int, "bytes_new": int}
CHOICE = {"kind": str, "context": str, "policy": str, "seed": int, "time": TIME, "listed": int, "valid": int, "because": str,
          "chosen": {"server": str, "address": str, "way": str}, "attempts": list, "candidates": [candidate]}
FETCHED = {"package": str, "version": int, "server": str, "way": str, "bytes_content": int, "bytes_network": int, "bytes_seed": int,
           "chunks_fetched": int, "how": str, "ms": NUMBER, "path": str}
COUNTS = {"advertisement": str, "package": str, "program": str, "collection": str, "targeted": int, "received": int, "waiting": int,
          "running": int, "succeeded": int, "failed": int}
MESSAGE = {"client": str, "stream": str, "sequence": int, "time": TIME, "id": int, "package": (str, NONE), "program": (str, NONE),
           "advertisement": (str, NONE), "text": str}
WAY = {"way": str, "server": str, "context": str}


class World:
    """A site whose CAP and one DP are its own server; a DP in a folder, which is external; a client in the branch."""

    def __init__(self, t):
        self.t, self.source = t, make_tree(t.dir / "a source", files=12)
        (self.source / "setup.sh").write_text("#!/bin/sh\nexit 0\n")
        self.site, self.client = t.site("LON"), t.client()
        port, _ = self.site.serve()
        self.cap, self.dp = f"http://127.0.0.1:{port}/cap1", f"http://127.0.0.1:{port}/dp1"
        self.folder = t.new_dir("dp2")
        self.secret = t.dir / "secret"
        self.secret.write_text("canary\n")
        self.secret.chmod(0o600)


@shared
def world(t):
    return World(t)


def walk(one, *rows):
    """Each command exits with 0 and prints one document of its shape."""
    documents = []
    for shape, *words in rows:
        documents.append(one.json(*map(str, words)))
        try:
            fits(shape, documents[-1])
        except Failed as failed:
            raise Failed(f"{' '.join(map(str, words))}: {failed}") from failed
    return documents


@shared
def set_up(t):
    w = world()
    walk(w.site,
         (object, "group", "add", "hub"),
         (object, "group", "add", "branch", "--neighbour", "hub:30", "--default-after", "120", "--policy", "existing",
          "--open-ways", "in-tier"),
         (object, "group", "add", "lab", "--default-after", "never", "--fence"),
         ([{"name": str}], "group", "list"),
         ({"name": str}, "group", "show", "branch"),
         (object, "group", "remove", "lab"),
         (object, "boundary", "add", "10.1.0.0/16", "--group", "branch"),
         (object, "boundary", "add", "10.9.0.0/16", "--group", "hub"),
         ([{"boundary": str, "group": str}], "boundary", "list"),
         (object, "boundary", "remove", "10.9.0.0/16"),
         (object, "cap", "add", "cap1", w.cap),
         ([{"name": str}], "cap", "list"),
         (object, "dp", "add", "dp1", w.dp, "--max-rate", "100MB/s", "--window", "00:00-23:59"),
         (object, "dp", "add", "dp2", w.folder, "--group", "branch"),
         (object, "dp", "add", "nas", t.new_dir("nas"), "--external", "--group", "hub"),
         ([{"name": str}], "dp", "list"),
         (list, "boundary", "lint"),
         (object, "dp", "remove", "nas"),
         (object, "credential", "set", "dp9", "--user", "u", "--secret-file", w.secret),
         ([{"server": str, "user": str}], "credential", "list"),
         (object, "credential", "remove", "dp9"))
    return w


@case("a site is set up by these words")
def _(t):
    set_up()


@shared
def packaged(t):
    w = set_up()
    made = walk(w.site, (MADE, "package", "create", "Office 97", "--source", w.source))[0]
    equal((made["id"], made["version"], made["files"]), ("LON00001", 1, 14))
    (w.source / "new").write_text("more")
    walk(w.site,
         (MADE, "package", "update", "LON00001"),
         (MADE, "package", "update", "LON00001", "--source", w.source, "--skip-outside-links"),
         (MADE, "package", "rollback", "LON00001", "--to", "1"),
         ([{"id": str, "name": str, "version": int}], "package", "list"),
         ({"id": str, "versions": [{"version": int}]}, "package", "show", "LON00001"),
         (object, "package", "distribute", "LON00001", "--dp", "dp1", "dp2", "--dry-run"),
         (object, "package", "distribute", "LON00001", "--all", "--no-patches"),
         (object, "package", "distribute", "LON00001", "--dp", "dp1", "dp2"),
         ([{"version": int}], "package", "versions", "LON00001"),
         (object, "package", "diff", "LON00001", "1", "2"),
         (list, "dp", "status"),
         (list, "dp", "status", "dp2"),
         (object, "dp", "validate", "dp2"),
         (object, "dp", "validate", "dp2", "LON00001"))
    equal([v["version"] for v in w.site.json("package", "show", "LON00001")["versions"]], [1, 2, 3])
    equal(w.site("package", "create", "second", "--source", w.source).out.split()[0], "LON00002")
    w.site("package", "remove", "LON00002")
    return w


@case("a package is made, changed, rolled back and sent by these words")
def _(t):
    packaged()


@shared
def enrolled(t):
    w = packaged()
    bundle = t.dir / "enrol me"
    token = walk(w.site, ({"token": str, "uses": int, "expires": TIME}, "token", "create"))[0]
    equal(token["uses"], 1)
    walk(w.site,
         (object, "publish"),
         (object, "token", "create", "--uses", "5", "--expires", "24h", "--bundle", bundle),
         (list, "token", "list"))
    second = w.client2 = t.client("client2", address="10.2.0.1")
    walk(w.client, (object, "enroll", "--cap", w.cap, "--root", w.site.root, "--token", token["token"]))
    walk(w.client, (object, "sync"))
    walk(second, (object, "enroll", bundle))
    walk(w.site, (object, "intake"), ([{"name": str}], "client", "list"), (object, "client", "show", w.client.id),
         ([dict], "token", "list"))
    walk(w.client, (object, "sync"))
    return w


@case("a client is let in by these words")
def _(t):
    enrolled()


@shared
def offered(t):
    w = enrolled()
    walk(w.site,
         (object, "program", "add", "LON00001", "setup", "--command", "sh setup.sh", "--timeout", "10m", "--success", "0",
          "--restart-codes", "3010", "--rerun", "on-failure", "--as", "root"),
         (object, "program", "add", "LON00001", "again", "--command", "sh setup.sh", "--rerun", "always"),
         (object, "program", "add", "LON00001", "bad", "--command", "sh -c 'exit 7'", "--rerun", "always"),
         (object, "collection", "add", "some", "--query", "SELECT client_id FROM client"),
         (object, "collection", "add", "named", "--member", w.client.id),
         (object, "collection", "add", "tenth", "--query", "SELECT client_id FROM client", "--percent", "10"),
         ([{"name": str}], "collection", "list"),
         (object, "collection", "show", "named"),
         (object, "collection", "remove", "tenth"))
    offer = walk(w.site, (object, "advertise", "LON00001", "setup", "--collection", "all", "--mandatory", "now", "--expires", "+48h"))
    need("LON20001" in json.dumps(offer), "not the advertisement's id", offer)
    equal(w.site("advertise", "LON00001", "setup", "--collection", "named", "--version", "latest", "--available", "+1h",
                 "--window", "22:00-05:00").out.split()[-1], "LON20002")
    walk(w.site,
         ([dict], "advertisement", "list"),
         (object, "advertisement", "show", "LON20001"),
         (object, "advertisement", "stop", "LON20002"),
         (object, "advertisement", "resume", "LON20002"),
         (object, "advertisement", "remove", "LON20002"),
         (object, "advertise", "LON00001", "again", "--collection", "all"),
         (object, "advertise", "LON00001", "bad", "--collection", "all", "--available", "now", "--offer-to", "root"),
         (object, "publish"))
    walk(w.client, (object, "sync"), ([{"package": str, "program": str, "state": str}], "list"), (object, "sync"))
    w.site("intake")
    status = walk(w.site, ([COUNTS], "status", "LON20001"))[0]
    equal((status[0]["targeted"], status[0]["succeeded"]), (2, 1))
    walk(w.site, (object, "status"), (object, "status", "--failed"), ([MESSAGE], "messages"),
         ([MESSAGE], "messages", "--client", w.client.id), ([MESSAGE], "messages", "--advertisement", "LON20001"))
    ids = [m["id"] for m in w.site.json("messages", "--client", w.client.id)]
    need({10002, 10005, 10008} <= set(ids), "not the numbers of SMS", ids)
    return w


@case("a program is offered, waited for, run and followed by these words")
def _(t):
    offered()


@case("a client tells what it has, sees and chose by these words")
def _(t):
    w = offered()
    _, fetched = walk(w.client, (object, "cache", "--clear"), (FETCHED, "fetch", "LON00001", "-o", t.dir / "got it"))
    equal((fetched["package"], fetched["version"], fetched["path"]), ("LON00001", 3, str(t.dir / "got it")))
    need(fetched["how"] in ("ranges", "patch", "stream", "none"), "how", fetched)
    walk(w.client,
         ({**FETCHED, "server": object, "way": object}, "fetch", "LON00001", "--version", "3", "-o", t.dir / "v2", "--dp", "dp2", "--rate", "50MB/s"),
         ({**FETCHED, "server": object, "way": object}, "fetch", "LON00001", "-o", t.dir / "v3", "--dp", w.dp),
         ({**FETCHED, "server": object, "way": object}, "fetch", "LON00001", "-o", t.dir / "v4", "--policy", "random", "--seed", "7"),
         ({**FETCHED, "server": NONE, "way": NONE}, "fetch", "LON00001"),  # it is there
         ({"package": str, "version": int, **CHOICE}, "locate", "LON00001"),
         (CHOICE, "locate", "LON00001", "--policy", "sms2", "--seed", "1"),
         (CHOICE, "locate", "--cap"),
         (CHOICE, "explain"),
         (list, "connections"),
         ({"locator": str, "present": bool, "rung": str, "steps": [{"rung": str, "class": str, "ms": NUMBER}]}, "probe", w.dp),
         (object, "prefer"), (object, "prefer", "dp2"), (object, "prefer", "--clear"),
         (object, "credential", "set", "dp1", "--user", "u", "--secret-file", w.secret),
         ([{"server": str, "user": str}], "credential", "list"),
         (object, "credential", "remove", "dp1"),
         (dict, "status"), ([MESSAGE], "messages"), (dict, "inventory"), ([dict], "config"), (object, "verify"),
         (object, "verify", "LON00001"), (object, "cache"), (object, "run", "LON00001", "again"), (object, "cache", "--clear"))
    equal(w.client.json("locate", "LON00001")["attempts"], [])
    equal(w.client.json("locate", "--cap")["kind"], "cap")
    walk(w.client, (object, "doctor"))


@case("what fails exits with its number, and says what, why and what to do")
def _(t):
    w = offered()
    nobody = t.client("nobody")
    for one, code, *words in [
        (w.site, 2, "frobnicate"), (w.site, 2, "package", "list", "--colour"), (w.site, 3, "package", "show", "LON09999"),
        (w.site, 1, "query", "DELETE FROM client"), (w.site, 4, "what-if", "LON00001", "--address", "10.1.2.3", "--without", "dp2"),
        (w.client, 2, "fetch"), (w.client, 3, "fetch", "LON09999"), (w.client, 4, "fetch", "LON00001", "--dp", "http://127.0.0.1:1"),
        (w.client, 1, "run", "LON00001", "setup"), (w.client, 6, "run", "LON00001", "bad"), (w.client, 3, "explain", "99"),
        (nobody, 1, "sync"), (nobody, 1, "fetch", "LON00001"), (nobody, 1, "locate", "LON00001"), (nobody, 3, "explain"),
    ]:
        result = one(*words, check=False).want(code)
        lines = result.err.rstrip("\n").splitlines()
        if words[0] == "what-if":  # an answer, in which no server is left
            continue
        need(len(lines) == 3 and re.search(r"\[PW-[A-Z-]+\]$", lines[2]), "not three lines with a code", result.err)
        fits({"error": {"code": str, "what": str, "why": str, "fix": str}}, one(*words, "--json", check=False).want(code).json)


@case("a site looks at a client's choice and at its own keys by these words")
def _(t):
    w = offered()
    w.client("sync")
    walk(w.site,
         (object, "intake"),
         (CHOICE, "explain", "--client", w.client.id),
         (CHOICE, "explain", "--client", w.client.id, "--package", "LON00001"),
         (CHOICE, "what-if", "LON00001", "--client", w.client.id),
         (CHOICE, "what-if", "LON00001", "--address", "10.1.2.3", "--without", "dp1"),
         ([{"client_id": str, "name": str}], "query", "SELECT client_id, name FROM client"),
         (object, "keys"), (object, "keys", "rotate", "timestamp"), (object, "keys", "threshold", "targets", "1"),
         (object, "keys", "request", t.dir / "request"), (object, "publish"),
         (object, "client", "remove", w.client2.id))
    walk(w.client, (object, "reset"))


main()
