#!/usr/bin/python3
"""Hostile texts in every field that takes one: refused, or kept as they are, whole in JSON and harmless on a terminal.

PACKWAY_TEST_TEXTS=all: every text in every field; else some, drawn anew each time.
"""
import sqlite3
import unicodedata

from flow import *

TEXTS = {
    "sql": "x'); DROP TABLE client; --", "sql in quotes": "\"; DELETE FROM enrolment; --", "sql comment": "x' OR 1=1 /*",
    "shell": "$(touch {mark}) `touch {mark}`; touch {mark} | touch {mark} && touch {mark}", "shell newline": "x\ntouch {mark}\n",
    "log line": "ok\npackway: error: forged line [PW-TRUST]\r\nok", "carriage return": "real\rforged",
    "terminal colour": "\x1b[31mred\x1b[0m", "terminal title": "\x1b]0;owned\x07", "terminal clear": "\x1b[2J\x1b[H", "bell": "\x07\x08\x7f",
    "c1": "\u009b31mred\u009d0;owned\u009c", "bidi": "\u202eexe.tpircs\u202c \u2066x\u2069 \u200f", "hidden": "a\u200bb\ufeffc\u2060d\u00ade",
    "line separator": "one\u2028two\u2029three\u0085four", "tags": "a\U000e0041\U000e007f",
    "format": "%s%n%x %1$s %99999999d {0} {mark!r}", "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "csv": "=HYPERLINK(\"http://x\");+1-1@SUM(A1)", "json": "\",\"id\":99,\"x\":\"\\u0000\\", "path": "../../../../etc/passwd", "percent": "%2e%2e%2f%00",
    "long": "A" * 900, "blank": "   ", "dash": "--help", "unicode": "Größe 東京 🙂",
}
FEW = ("sql", "shell newline", "log line", "terminal colour", "c1", "bidi", "line separator", "html")


def harmless(text, what):
    """Nothing but lines of printable characters: no control, no mark of direction, nothing invisible."""
    for character in text:
        kind = unicodedata.category(character)
        bad = (kind in ("Cc", "Zl", "Zp") and character not in "\n\t") or (kind == "Cf" and character not in "\u200c\u200d")
        need(not bad, f"{what}: U+{ord(character):04X} reaches the terminal", repr(text[:3000]))


class Shooter:
    """Fires texts at the fields of one program, and looks at what comes of it."""

    def __init__(self, t):
        self.t, self.mark, self.taken, self.refused = t, t.dir / "mark", 0, 0

    def texts(self, names=None):
        if names is None:
            names = TEXTS if os.environ.get("PACKWAY_TEST_TEXTS") == "all" else self.t.rng.sample(sorted(TEXTS), 7)
        return [(name, TEXTS[name].replace("{mark}", str(self.mark))) for name in names]

    def fire(self, program_of, *args):
        """True if it was taken; a refusal is a coded error in three lines."""
        done = program_of(*args, check=False)
        harmless(done.out + done.err, done.line)
        need(done.code in (0, 1, 2, 3, 5), f"exit {done.code}", done.line, done.err)
        if done.code:
            self.refused += 1
            need(len(done.err.splitlines()) == 3 and "[PW-" in done.err, "no three lines with a code", done.err)
            return False
        self.taken += 1
        return True

    def unharmed(self):
        need(not self.mark.exists(), "a text was run by a shell")


def is_in(value, text):
    """The text stands somewhere in a JSON document, whole."""
    if isinstance(value, dict):
        return any(is_in(v, text) for v in value.values())
    if isinstance(value, list):
        return any(is_in(v, text) for v in value)
    return isinstance(value, str) and text in value


def is_option(text):
    return text.startswith("-")


def shown(program_of, text, rows, *verb):
    """As JSON it is there unaltered; in the table it is harmless and adds no line."""
    document = program_of.json(*verb)
    need(is_in(document, text), f"{verb}: not unaltered in JSON", repr(text), document)
    for more in ((), ("--verbose",)):
        out = program_of(*verb, *more).out
        harmless(out, verb)
        if rows:
            equal(len(out.splitlines()), 1 + len(document), f"{verb}: lines of the table")


@case("texts of the site's own verbs are refused or kept as they are")
def _(t):
    s, site = Shooter(t), t.site()
    site.folder_cap("cap1")
    site.folder_dp("dp1")
    source = make_tree(t.dir / "source", files=2)
    package = site.package("tool", source)
    fields = [
        (("package", "create", "{}", "--source", str(source)), ("package", "list")),
        (("program", "add", package, "{}", "--command", "./install"), None),
        (("collection", "add", "{}", "--query", "SELECT client_id FROM client"), ("collection", "list")),
        (("group", "add", "{}"), ("group", "list")),
        (("cap", "add", "{}", f"file://{t.dir}/capx"), ("cap", "list")),
        (("dp", "add", "d{number}", f"file://{t.dir}/dp/{{}}"), ("dp", "list")),
        (("dp", "add", "h{number}", "http://127.0.0.1:9/{}"), ("dp", "list")),
        (("advertise", package, "{}", "--collection", "all"), None),
    ]
    for number, (name, text) in enumerate(s.texts()):
        for args, look in fields:
            filled = [a.replace("{number}", str(number)).replace("{}", text) for a in args]
            if s.fire(site, *filled) and look and "://" not in args[-1] and not is_option(text):
                shown(site, text, True, *look)
        if s.fire(site, "program", "add", package, f"p{number}", "--command", f"./install '{text}'") and "'" not in text:
            shown(site, text, False, "package", "show", package)
        for verb in (("package", "show"), ("client", "show"), ("messages", "--client"), ("query",), ("collection", "show"),
                     ("client", "approve"), ("token", "revoke"), ("explain", "--client"), ("keys", "rotate")):
            s.fire(site, *verb, text)
        s.fire(site, "collection", "add", f"q{number}", "--query", f"SELECT client_id FROM client WHERE name = '{text}'")
    for verb in (("cap", "list"), ("dp", "list"), ("package", "list"), ("status",), ("boundary", "lint"), ("advertisement", "list")):
        harmless(site(*verb, check=False).out, verb)
    harmless(site("publish", check=False).out, "publish")
    s.unharmed()
    named = t.dir / "named"
    done = run(program("packway-site"), "init", named, "--code", "NYC", "--name", TEXTS["bidi"] + TEXTS["log line"], check=False)
    harmless(done.out + done.err, "init")
    print(f"# {s.taken} taken, {s.refused} refused")


def tables_stand(site):
    with contextlib.closing(sqlite3.connect(f"file:{site.dir}/site.db?mode=ro", uri=True)) as db:
        equal(db.execute("PRAGMA integrity_check").fetchone(), ("ok",), "the database")
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    need({"client", "enrolment", "record", "stream", "token"} <= names, "a table is gone", names)


@case("a machine's name, what its programs say and what it is made of arrive as they are")
def _(t):
    s, site = Shooter(t), t.site()
    cap = site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=2))
    texts = s.texts(TEXTS)
    said = "\n".join(text for _, text in texts) + "\n"
    (t.dir / "said").write_text(said)
    site("program", "add", package, "say", "--command", f"cat {t.dir}/said".replace("cat", "/bin/cat"))
    site("advertise", package, "say", "--collection", "all", "--mandatory", "now")
    site("publish")
    names = {}
    for name, text in s.texts(FEW if os.environ.get("PACKWAY_TEST_TEXTS") == "all" else FEW[3:6]):
        if "\n" in text or "\r" in text:  # a line of a configuration file ends there
            text = text.replace("\n", "\u0085").replace("\r", "\u0085")
        client = t.client(f"c{len(names)}")
        (client.state / "packway.conf").write_text(f"address = 10.1.0.1\nname = {text[:60]}\n")
        harmless(client("enroll", "--cap", f"file://{cap}", "--root", site.root, "--token", site.token()).out, "enroll")
        site("intake")
        client("sync")
        names[client.id] = text[:60]
    listed = {row["client_id"]: row["name"] for row in site.json("client", "list")}
    for client_id, text in names.items():
        if len(text.encode()) <= 64:
            equal(listed[client_id], text, "a client's name in JSON")
    site("intake")
    for verb in (("client", "list"), ("messages",), ("status",), ("client", "show", client.id), ("messages", "--client", client.id),
                 ("query", "SELECT * FROM client"), ("query", "SELECT client_id, text FROM message")):
        harmless(site(*verb).out, verb)
    equal(len(site("client", "list").out.splitlines()), 1 + len(names), "lines of the list of clients")
    ends = [m for m in site.json("messages", "--client", client.id) if m["id"] == 10008]
    equal(ends[0]["data"]["output"], said, "what the program said, in JSON")
    for verb in (("status",), ("list",), ("messages",), ("inventory",), ("explain",), ("connections",), ("config",), ("locate", package)):
        harmless(client(*verb).out, verb)
        harmless(client(*verb, "--verbose").err, verb)
    tables_stand(site)
    s.unharmed()


@case("hostile texts from a person at the client are refused in words that harm nobody")
def _(t):
    s, site = Shooter(t), t.site()
    cap = site.folder_cap("cap1")
    site("publish")
    client = t.client().join(site, f"file://{cap}")
    for _, text in s.texts():
        for verb in (("fetch", "{}"), ("run", "{}", "{}"), ("locate", "{}"), ("explain", "{}"), ("prefer", "{}"), ("import-nal", "{}"),
                     ("probe", "{}"), ("verify", "{}"), ("mount", "{}", "/nowhere"), ("credential", "remove", "{}")):
            done = client(*[v.replace("{}", text) for v in verb], check=False)
            harmless(done.out + done.err, done.line)
            need(0 <= done.code <= 6, f"exit {done.code}", done.line)
        client("prefer", "--clear", check=False)
        # Names in an inbox are anybody's.
        if "/" not in text and len(text) < 200:
            (cap / "inbox" / text).write_text(text)
    done = site("intake", check=False)
    harmless(done.out + done.err, "intake")
    told = site("status").out
    harmless(told, "status")
    need("wrong-name" in told, "no alert", told)
    tables_stand(site)
    s.unharmed()


main()
