#!/usr/bin/python3
"""Preferred servers: of the client, of its group, and those that an SMS client had."""
import shlex

from flow import case, equal, main, make_tree, need, shared

KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\NAL\Client"


@shared
def world(t):
    """A group that prefers dp3, and a fenced one that prefers its dp5; all DPs hold the package."""
    site = t.site()
    cap = site.folder_cap()
    for name in "dp1", "dp2", "dp3":
        site.folder_dp(name)
    site("group", "add", "open", "--prefer", "dp3")
    site("group", "add", "fenced", "--prefer", f"file://{t.dir}/dp5", "--fence")
    site("boundary", "add", "10.1.0.0/16", "--group", "open")
    site("boundary", "add", "10.2.0.0/16", "--group", "fenced")
    site.folder_dp("dp4", "--group", "fenced"), site.folder_dp("dp5", "--group", "fenced")
    site.tree = make_tree(t.dir / "source", files=4, size=4000)
    site.id = site.package("tree", site.tree)
    site("publish")
    site.cap, site.home = cap, t.dir
    return site


def joined(t, address="10.3.0.1"):
    client = t.client(address=address).join(world(), world().cap)
    client("sync")
    return client


def chosen(client, seeds=6):
    """Who is chosen by these seeds; the draw among equals would find several."""
    return {client.json("locate", world().id, "--seed", seed)["chosen"]["server"]
            for seed in range(seeds)}


def nal_path(folder):
    return "LOCAL:" + str(folder).replace("/", "\\") + "\\"


def export(path, switches, lists, form="REGEDIT4", encoding="cp1252"):
    """A registry export as regedit writes it; lists are (kind, site, NAL path)."""
    lines = [form, "", f"[{KEY}]"]
    lines += [f'"{name}"=dword:{value:08x}' for name, value in switches.items()]
    for kind, site, text in lists:
        name = text.replace("\\", "\\\\").replace('"', '\\"')
        lines += ["", f"[{KEY}\\Preferred AbExprtDB\\{kind} List for site {site}]", f'"{name}"=""']
    path.write_bytes("\r\n".join(lines + [""]).encode(encoding))
    return path


@case("the group's preferred DP is chosen, and the client's own before it")
def _(t):
    client = joined(t, "10.1.0.1")
    equal(chosen(client), {"dp3"})
    client("prefer", "--dp", "dp2")
    equal(chosen(client), {"dp2"})
    client("prefer", "--clear")
    equal(chosen(client), {"dp3"})


@case("in a fenced group the site's preference stays")
def _(t):
    client = joined(t, "10.2.0.1")
    equal(chosen(client), {"dp5"})
    client("prefer", "--dp", "dp4")
    equal(chosen(client), {"dp5"})


@case("Q235873: prefserv takes SMS's arguments, in any case, and prints paths back byte for byte")
def _(t):
    client = joined(t)
    paths = ['["Display=\\\\S\\"]MSWNET:["SMS_SITE=LON","PREFERRED"]\\\\S\\SMSPKGD$\\LON00001\\',
             nal_path(world().home / "dp2"), "\\\\NAS\\packway\\"]
    for path in paths:
        client("prefserv", "/DP", "lon", "/Add", path)
    client("PREFSERV".lower(), "/cap", "LON", "/add", paths[0])
    shown = client.json("prefserv")
    equal(shown["dp"], paths)
    equal(shown["cap"], paths[:1])
    equal(client.json("prefer"), shown)
    equal(chosen(client), {"dp2"})
    client("prefserv", "/dp", "LON", "/remove", paths[1].upper())
    equal(client.json("prefserv")["dp"], [paths[0], paths[2]])
    need(len(chosen(client, 40)) > 1, "a removed preference still decides")
    client("prefserv", "/dp", "LON", "/remove", paths[1], check=False).want(3)
    client("prefserv", "/dp", "ABC", "/add", paths[1], check=False).want(2)
    client("prefserv", "/add", paths[1], check=False).want(2)
    client("prefserv", "/dp", "LON", "/add", check=False).want(2)
    client("prefserv", "/dp", "LON", "/add", "NWNDS:\\\\T\\V", check=False).want(1)


@case("Q235873: a registry export in either form is printed as commands, which do what --apply does")
def _(t):
    lists = [("CAP", "LON", '["Display=\\\\CAP1\\"]MSWNET:["SMS_SITE=LON"]\\\\CAP1\\CAP_LON\\'),
             ("DP", "LON", '["Display=T"]NWNDS:["SMS_SITE=LON"]\\\\T\\V.O.N\\PKG\\'),
             ("DP", "LON", nal_path(world().home / "dp2") + "LON00001\\")]
    switches = {"Use Preferred Servers": 1, "Use Existing Connections": 0,
                "Use Random Path Selection": 1}
    forms = [export(t.dir / "4.reg", switches, lists),
             export(t.dir / "5.reg", switches, lists, "\ufeffWindows Registry Editor Version 5.00",
                    "utf-16-le")]
    applied, typed = joined(t), t.client("client2", "10.3.0.2").join(world(), world().cap)
    told = [applied("import-nal", form) for form in forms]
    equal(told[0].out, told[1].out)
    need("NWNDS" in told[0].err, "NetWare is not named", told[0].err)
    equal(applied.json("prefer"), {"cap": [], "dp": [], "policy": None})
    for line in told[0].out.splitlines():
        words = shlex.split(line)
        equal(words[0], "packway")
        typed(*words[1:])
    done = applied.json("import-nal", forms[1], "--apply")
    equal((done["policy"], len(done["refused"]), done["applied"]), ("random", 1, True))
    equal(applied.json("prefer"), typed.json("prefer"))
    equal(applied.json("prefer")["dp"], [lists[2][2]])
    equal(chosen(applied), {"dp2"})


@case("Q235873: what would cut a client off is not applied")
def _(t):
    client = joined(t)
    before = client.json("prefer")
    only = {"Use Preferred Servers": 1, "Use Existing Connections": 0, "Use Random Path Selection": 0}
    stray = [("CAP", "LON", "\\\\gone\\CAP_LON\\"), ("DP", "LON", "\\\\gone\\SMSPKGD$\\")]
    client("import-nal", export(t.dir / "a.reg", only, stray), "--apply", check=False).want(1)
    equal(client.json("prefer"), before)
    good = [("CAP", "LON", nal_path(world().cap)), ("DP", "LON", nal_path(world().home / "dp1"))]
    client("import-nal", export(t.dir / "b.reg", only, good), "--apply")
    equal(client.json("prefer")["policy"], "preferred-only")
    equal(chosen(client), {"dp1"})
    client("prefserv", "/cap", "LON", "/remove", good[0][2], check=False).want(1)
    equal(client.json("prefer")["cap"], [good[0][2]])
    none = {**only, "Use Preferred Servers": 0}
    client("prefer", "--clear")
    got = client("import-nal", export(t.dir / "c.reg", none, good), "--apply")
    need("no server" in got.err, "nothing is said", got.err)
    equal(client.json("prefer"), before)


@case("Q235873: a package on one DP alone does not ignore the preference")
def _(t):
    site = t.site(name="one")
    cap = site.folder_cap("cap")
    site.folder_dp("dp1x"), site.folder_dp("dp2x")
    made = site.package("single", make_tree(t.dir / "source", files=2, size=1000), "dp1x")
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    client("prefer", "--dp", "dp1x")
    got = client.json("locate", made)
    equal((got["chosen"]["server"], got["candidates"][0]["tier"]), ("dp1x", 0))


@case("what is no export, or holds nothing of NAL, is refused")
def _(t):
    client = t.client()
    path = t.dir / "x.reg"
    for text, code in ("", 1), ("REGEDIT4\n[HKEY_LOCAL_MACHINE\\X]\n", 3), ("[x]\n", 1):
        path.write_text(text)
        client("import-nal", path, check=False).want(code)
    path.write_bytes(b"REGEDIT4\n" + b";" * (1 << 20))
    client("import-nal", path, check=False).want(1)
    client("import-nal", t.dir / "none", check=False).want(3)


main()
