"""A TUF repository made by another implementation (TUF 1.0.34; python3-cryptography signs), a server for it that notes
requests, and packway-tuf as its client. For tests that attack: whatever is served can be replaced, by bytes or by a
function that takes the request's handler.

    world = World(t); world.release("targets"); tuf = Tuf(t, world); tuf.refresh()
"""
import contextlib
import copy
import hashlib
import http.server
import itertools
import json
import threading
import time
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from flow import equal, need, program, run

NOW = 2_000_000_000  # every client's wall clock, unless a case says otherwise
DAY = 86400
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
TOP = ("root", "timestamp", "snapshot", "targets")


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(value):
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(quoted(k) + ":" + written(v) for k, v in sorted(value.items())) + "}"
    return json.dumps(value)


def canonical(value):
    """OLPC's form: only backslash and quote are escaped; the line feeds of a PEM text stay."""
    return written(value).encode(errors="surrogatepass")


class Key:
    SCHEMES = {"ed25519": "ed25519", "ecdsa": "ecdsa-sha2-nistp256", "rsa": "rsassa-pss-sha256"}

    def __init__(self, kind="ed25519", secret=None, id=None, **spelling):
        self.kind = kind
        self.secret = secret or {"ed25519": ed25519.Ed25519PrivateKey.generate,
                                 "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
                                 "rsa": lambda: rsa.generate_private_key(65537, 2048)}[kind]()
        self.object = {"keytype": kind, "scheme": self.SCHEMES[kind], "keyval": {"public": self.public()}} | spelling
        self.id = id or hashlib.sha256(canonical(self.object)).hexdigest()

    def public(self):
        public = self.secret.public_key()
        if self.kind == "ed25519":
            return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
        return public.public_bytes(serialization.Encoding.PEM,
                                   serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def alias(self, id, **spelling):
        """The same key under another id."""
        return Key(self.kind, self.secret, id, **spelling)

    def sign(self, message):
        if self.kind == "ed25519":
            return self.secret.sign(message).hex()
        if self.kind == "ecdsa":
            return self.secret.sign(message, ec.ECDSA(hashes.SHA256())).hex()
        return self.secret.sign(message, PSS, hashes.SHA256()).hex()


_pool = {}


def key(number, kind="ed25519"):
    """Key `number` of its kind: made once for all cases."""
    if (kind, number) not in _pool:
        _pool[kind, number] = Key(kind)
    return _pool[kind, number]


def file_entry(content, *algorithms):
    return {"length": len(content),
            "hashes": {a: hashlib.new(a, content).hexdigest() for a in algorithms or ("sha256",)}}


class Server:
    """One for all worlds; each has its own first component of the path."""

    def __init__(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                world = server.worlds.get(self.path.split("/")[1])
                path = self.path.split("/", 2)[2] if world else ""
                content = world.serve(path) if world else None
                if callable(content):
                    content(self)
                    return
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients hang up on what they refuse

        self.worlds = {}
        self.http = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


_server = []
_names = itertools.count()


class World:
    def __init__(self, t, consistent=True, kinds=("ed25519",), listed=(), root=None, spec="1.0.34"):
        if not _server:
            _server.append(Server())
        self.name = f"w{next(_names)}"
        _server[0].worlds[self.name] = self
        self.url = f"http://127.0.0.1:{_server[0].http.server_port}/{self.name}"
        self.files, self.asked, self.given = {}, [], set()
        self.listed = listed  # what snapshot and timestamp say of files beside the version: length, hashes
        self.keys = {role: [key(i, kind) for kind in kinds] for i, role in enumerate(TOP)}
        self.thresholds = dict.fromkeys(TOP, len(kinds))
        self.packed = {}
        self.consistent = consistent
        self.signed = {role: {"_type": role, "spec_version": spec, "version": 0, "expires": when(NOW + 1000 * DAY)}
                       for role in TOP}
        self.signed["root"]["consistent_snapshot"] = consistent
        self.signed["targets"]["targets"] = {}
        self.signed["root"].update(root or {})
        self.new_root()
        self.first = t.dir / f"{self.name}.json"
        self.first.write_bytes(self.files["metadata/1.root.json"])
        self.release("targets")

    # -- what is served

    def serve(self, path):
        self.asked.append(path)
        content = self.files.get(path)
        if isinstance(content, bytes):
            self.given.add(content)
        return content

    def requests(self):
        """What was asked for since the last time, without folders."""
        asked, self.asked = [a.split("/", 1)[1] if a.startswith("metadata/") else a for a in self.asked], []
        return asked

    # -- making metadata

    def pack(self, role, by=None, signed=None, signatures=None):
        signed = self.signed[role] if signed is None else signed
        message = canonical(signed)
        if signatures is None:
            signatures = [{"keyid": k.id, "sig": k.sign(message)} for k in (self.keys[role] if by is None else by)]
        return json.dumps({"signatures": signatures, "signed": signed}, indent=1).encode()

    def file(self, role, version=None):
        name = quote(role, safe="")
        version = self.signed[role]["version"] if version is None else version
        unversioned = role == "timestamp" or (not self.consistent and role != "root")
        return f"metadata/{name}.json" if unversioned else f"metadata/{version}.{name}.json"

    def put(self, role, content=None):
        self.packed[role] = self.files[self.file(role)] = self.pack(role) if content is None else content

    def fill_root(self, roles=TOP):
        root = self.signed["root"]
        root["keys"] = {k.id: copy.deepcopy(k.object) for role in roles for k in self.keys[role]}
        root["roles"] = {role: {"keyids": [k.id for k in self.keys[role]], "threshold": self.thresholds[role]}
                         for role in roles}

    def new_root(self, by=None, change=None, version=None):
        """The next root, by the keys of the one before and its own unless `by` says who signs."""
        before = {k.id: k for k in getattr(self, "root_keys", [])}
        self.signed["root"]["version"] += 1
        self.fill_root()
        if change:
            change(self.signed["root"])
        both = list((before | {k.id: k for k in self.keys["root"]}).values())
        self.put("root", self.pack("root", both if by is None else by))
        self.root_keys = list(self.keys["root"])

    def delegate(self, parent, name, paths=("*",), signers=None, threshold=1, terminating=False, **more):
        """Let `parent` delegate to `name`; both have to be released."""
        signers = [key(100)] if signers is None else signers
        self.keys.setdefault(name, signers)
        self.signed.setdefault(name, {"_type": "targets", "spec_version": "1.0.34", "version": 0,
                                      "expires": when(NOW + 1000 * DAY), "targets": {}})
        holder = self.signed[parent].setdefault("delegations", {"keys": {}, "roles": []})
        holder["keys"].update({k.id: copy.deepcopy(k.object) for k in signers})
        entry = {"name": name, "keyids": [k.id for k in signers], "threshold": threshold, "terminating": terminating}
        if paths is not None:
            entry["paths"] = list(paths)
        holder["roles"].append(entry | more)

    def add(self, path, content, role="targets", algorithms=("sha256",), at=None):
        entry = file_entry(content, *algorithms)
        self.signed[role]["targets"][path] = entry
        folder, _, base = path.rpartition("/")
        digest = entry["hashes"].get("sha256") or next(iter(entry["hashes"].values()))
        base = (digest + "." if self.consistent else "") + quote(base, safe="")
        self.files["targets/" + (quote(folder) + "/" if folder else "") + base] = content

    def entry(self, role):
        whole = file_entry(self.packed[role])
        return {"version": self.signed[role]["version"]} | {k: whole[k] for k in self.listed}

    def listing_roles(self):
        return [r for r in self.signed if r not in ("root", "timestamp", "snapshot")]

    def release(self, *roles):
        """The next version of these targets roles, of snapshot and of timestamp."""
        for role in roles:
            self.signed[role]["version"] += 1
            self.put(role)
        self.new_snapshot()

    def new_snapshot(self, change=None):
        snapshot = self.signed["snapshot"]
        snapshot["version"] += 1
        snapshot["meta"] = {f"{r}.json": self.entry(r) for r in self.listing_roles() if r in self.packed}
        if change:
            change(snapshot)
        self.put("snapshot")
        self.new_timestamp()

    def new_timestamp(self, change=None):
        timestamp = self.signed["timestamp"]
        timestamp["version"] += 1
        timestamp["meta"] = {"snapshot.json": self.entry("snapshot")}
        if change:
            change(timestamp)
        self.put("timestamp")

    def body(self, role, **changes):
        """The signed part of a role with members changed; None takes one out."""
        body = copy.deepcopy(self.signed[role]) | changes
        return {k: v for k, v in body.items() if v is not None}


class Tuf:
    """packway-tuf with a folder of its own. After each run: DIR holds nothing but files as they were received."""

    def __init__(self, t, world, init=True):
        self.dir, self.downloads, self.world = t.new_dir("metadata"), t.dir / f"downloads-{world.name}", world
        self.now = NOW
        if init:
            self.run("init", world.first)
            equal(world.requests(), [], "init makes no request")

    def run(self, *words, want=0, why=None, env=None):
        done = run(program("packway-tuf"), "--metadata-dir", self.dir, *words, check=False,
                   env={"PACKWAY_FAKE_TIME": str(self.now)} | (env or {}))
        self.err, self.code = done.err, done.code
        if want is not None:
            equal(done.code, want, f"exit status of {words[-1]}: {done.err}")
        sign = "[PW-NET" if why == "unreachable" else f"({why})"
        need(why is None or sign in done.err, f"the reason should be {why}: {done.err}")
        self.check_folder()

    def check_folder(self):
        as_received = self.world.given | {self.world.first.read_bytes()}
        for name, content in self.stored().items():
            need(name.endswith(".json") and not name[0].isdigit(), f"a stray file {name}")
            need(content in as_received, f"{name} is not as it was received")

    def refresh(self, want=0, why=None):
        self.run("--metadata-url", self.world.url + "/metadata", "refresh", want=want, why=why)

    def download(self, *names, want=0, why=None):
        options = [w for n in names for w in ("--target-name", n)]
        self.run("--metadata-url", self.world.url + "/metadata", "--target-dir", self.downloads, "--target-base-url",
                 self.world.url + "/targets", *options, "download", want=want, why=why)

    def refused(self, why, stored=()):
        """A refresh fails for that reason; of what is stored only the roles `stored` change."""
        before = self.stored()
        self.refresh(want=1, why=why)
        after = self.stored()
        changed = {n.removesuffix(".json") for n in before | after if before.get(n) != after.get(n)}
        equal(changed, set(stored), "stored anew by a refresh that failed")

    def stored(self):
        return {p.name: p.read_bytes() for p in self.dir.iterdir()}

    def version(self, role):
        path = self.dir / f"{role}.json"
        return json.loads(path.read_bytes())["signed"]["version"] if path.exists() else None

    def got(self):
        """The downloads, by name."""
        return {p.name: p.read_bytes() for p in self.downloads.glob("**/*") if p.is_file()}


def endless(handler):
    """A body without an end and without a length."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b" " * 65536)


def status(code):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return answer


def cut_short(content):
    """Half of the bytes that were promised."""
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:len(content) // 2])
    return answer


def dripping(handler):
    """Sixty-five bytes a second: each a sign of life."""
    handler.send_response(200)
    handler.send_header("Content-Length", "16000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(600):
            handler.wfile.write(b" " * 65)
            handler.wfile.flush()
            time.sleep(1)


def settled(t, **more):
    """A world and a client that is up to date."""
    world = World(t, **more)
    tuf = Tuf(t, world)
    tuf.refresh()
    world.requests()
    return world, tuf


def three():
    return [key(90), key(91), key(92)]


def aliases():
    return [key(90), key(90).alias("another-id"), key(90).alias("f" * 64)]
