"""packway-tuf against a repository that another implementation wrote and signed: every key type, the
order of requests, what is kept, and the exit status."""
import hashlib
import http.server
import json
import threading
from urllib.parse import unquote

from flow import case, equal, main, need, program, run

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
except ImportError:
    print("1..0 # SKIP python3-cryptography is not installed")
    raise SystemExit(0)

EXPIRES = "2099-01-01T00:00:00Z"
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


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
    return written(value).encode()


class Key:
    def __init__(self, kind):
        self.kind = kind
        self.secret = {"ed25519": ed25519.Ed25519PrivateKey.generate,
                       "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
                       "rsa": lambda: rsa.generate_private_key(65537, 2048)}[kind]()
        public = self.secret.public_key()
        if kind == "ed25519":
            text = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
        else:
            text = public.public_bytes(serialization.Encoding.PEM,
                                       serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        scheme = {"ed25519": "ed25519", "ecdsa": "ecdsa-sha2-nistp256", "rsa": "rsassa-pss-sha256"}[kind]
        self.object = {"keytype": kind, "scheme": scheme, "keyval": {"public": text}}
        self.id = hashlib.sha256(canonical(self.object)).hexdigest()

    def sign(self, message):
        if self.kind == "ed25519":
            return self.secret.sign(message).hex()
        if self.kind == "ecdsa":
            return self.secret.sign(message, ec.ECDSA(hashes.SHA256())).hex()
        return self.secret.sign(message, PSS, hashes.SHA256()).hex()


def body(kind, version, **more):
    return {"_type": kind, "spec_version": "1.0.34", "version": version, "expires": EXPIRES, **more}


class Repository:
    """Files by URL path, and the requests for them."""

    def __init__(self, t, *kinds):
        self.keys = [Key(kind) for kind in kinds]
        self.files, self.asked = {}, []
        self.targets, self.version = {}, 0
        entry = {"keyids": [k.id for k in self.keys], "threshold": len(self.keys)}
        self.root = body("root", 1, consistent_snapshot=True, keys={k.id: k.object for k in self.keys},
                         roles={r: entry for r in ("root", "timestamp", "snapshot", "targets")})
        self.put("1.root.json", self.root)
        self.initial = t.dir / "initial.json"
        self.initial.write_bytes(self.files["/metadata/1.root.json"])
        self.publish()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def handler(self):
        repository = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                repository.asked.append(self.path.split("/", 2)[2])
                content = repository.files.get(unquote(self.path))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        return Handler

    def put(self, name, signed):
        message = canonical(signed)
        document = {"signatures": [{"keyid": k.id, "sig": k.sign(message)} for k in self.keys], "signed": signed}
        self.files["/metadata/" + name] = json.dumps(document, indent=1).encode()

    def add(self, path, content):
        digest = hashlib.sha256(content).hexdigest()
        folder, _, base = path.rpartition("/")
        self.files["/targets/" + (folder + "/" if folder else "") + digest + "." + base] = content
        self.targets[path] = {"length": len(content), "hashes": {"sha256": digest}}

    def publish(self):
        self.version += 1
        v = self.version
        self.put(f"{v}.targets.json", body("targets", v, targets=self.targets))
        self.put(f"{v}.snapshot.json", body("snapshot", v, meta={"targets.json": {"version": v}}))
        self.put("timestamp.json", body("timestamp", v, meta={"snapshot.json": {"version": v}}))


class Tuf:
    def __init__(self, t, repository):
        self.dir, self.targets, self.repository = t.dir / "metadata", t.dir / "downloads", repository
        self("init", str(repository.initial))

    def __call__(self, *words, want=0):
        self.repository.asked = []
        done = run(program("packway-tuf"), "--metadata-dir", str(self.dir),
                   *(["--metadata-url", self.repository.url + "/metadata/"] if words[0] != "init" else []), *words,
                   check=False)
        equal(done.code, want, f"exit status: {done.err}")

    def download(self, *names, want=0):
        options = ["--target-dir", str(self.targets), "--target-base-url", self.repository.url + "/targets"]
        for name in names:
            options += ["--target-name", name]
        self.repository.asked = []
        done = run(program("packway-tuf"), "--metadata-dir", str(self.dir), "--metadata-url",
                   self.repository.url + "/metadata", *options, "download", check=False)
        equal(done.code, want, f"exit status: {done.err}")

    def stored(self):
        return {p.name: p.read_bytes() for p in self.dir.glob("*.json")}


for kinds in (("ed25519",), ("ecdsa",), ("rsa",), ("ed25519", "ecdsa", "rsa")):
    @case("a repository signed by " + ", ".join(kinds))
    def _(t, kinds=kinds):
        repository = Repository(t, *kinds)
        repository.add("dir/a file", b"content\n")
        repository.publish()
        tuf = Tuf(t, repository)
        equal(repository.asked, [], "init makes no request")
        tuf("refresh")
        equal(repository.asked, ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"], "requests")
        equal({n: repository.files["/metadata/" + v] for n, v in
               (("root.json", "1.root.json"), ("timestamp.json", "timestamp.json"),
                ("snapshot.json", "2.snapshot.json"), ("targets.json", "2.targets.json"))},
              tuf.stored(), "stored as received")
        tuf("refresh")
        equal(repository.asked, ["2.root.json", "timestamp.json"], "an unchanged refresh")
        tuf.download("dir/a file")
        equal([p.read_bytes() for p in tuf.targets.iterdir()], [b"content\n"], "downloads")
        tuf.download("dir/a file")
        equal(repository.asked, ["2.root.json", "timestamp.json"], "a target that is there")


@case("what does not verify is refused with status 1 and changes nothing")
def _(t):
    repository = Repository(t, "ed25519")
    repository.add("tool", b"content\n")
    repository.publish()
    tuf = Tuf(t, repository)
    tuf.download("tool")
    before = tuf.stored()
    honest = dict(repository.files)
    timestamp = honest["/metadata/timestamp.json"]
    for why, name, forged in (("a number changed", "timestamp.json", timestamp.replace(b"2", b"3")),
                              ("no metadata", "timestamp.json", b"<html></html>"),
                              ("another role", "2.root.json", timestamp),
                              ("endless", "timestamp.json", timestamp + b" " * 20000)):
        repository.files = dict(honest) | {"/metadata/" + name: forged}
        tuf("refresh", want=1)
        equal(tuf.stored(), before, why)
    repository.files = dict(honest)
    repository.add("tool", b"other content\n")
    repository.publish()
    for path in [p for p in repository.files if p.endswith(".tool")]:
        repository.files[path] = b"forged content\n"
    tuf.download("tool", want=1)
    equal([p.read_bytes() for p in tuf.targets.iterdir()], [b"content\n"], "the download of before")
    tuf.download("nobody lists this", want=1)


@case("without a usable root no request is made")
def _(t):
    repository = Repository(t, "ed25519")
    broken = t.dir / "broken.json"
    broken.write_text("{}")
    tuf = Tuf(t, repository)
    tuf("init", str(broken), want=1)
    (tuf.dir / "root.json").write_text("{}")
    tuf("refresh", want=1)
    equal(repository.asked, [], "requests")
    tuf("dance", want=1)


@case("a folder serves as well as a server")
def _(t):
    repository = Repository(t, "ed25519")
    for path, content in repository.files.items():
        file = t.dir / "served" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    tuf = Tuf(t, repository)
    repository.url = f"file://{t.dir}/served"
    tuf("refresh")
    need((tuf.dir / "targets.json").exists(), "no targets")


main()
