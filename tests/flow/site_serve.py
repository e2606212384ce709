#!/usr/bin/env python3
"""The built-in server: what it sends, what it takes, what it never gives away."""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import sys

from flow import case, equal, free_port, main, need, program, skip_unless, wait_for
from smalldisk import SmallDisk


def ask(port, method, path, body=None, **headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        c.putheader(name.replace("_", "-"), value)
    if body is not None:
        c.putheader("Content-Length", str(len(body)))
    c.endheaders()
    if body is not None:
        c.send(body)
    r = c.getresponse()
    data = r.read()
    c.close()
    return r, data


@case("files, ranges and conditions")
def _(t):
    site = t.site("LON")
    www = site.dir / "www" / "dp1"
    www.mkdir()
    data = bytes(range(256)) * 64
    (www / "a b").write_bytes(data)
    port, _ = site.serve()
    r, got = ask(port, "GET", "/dp1/a%20b")
    equal((r.status, got), (200, data))
    etag, modified = r.headers["ETag"], r.headers["Last-Modified"]
    r, got = ask(port, "HEAD", "/dp1/a%20b")
    equal((r.status, r.headers["Content-Length"], got), (200, str(len(data)), b""))
    r, got = ask(port, "GET", "/dp1/a%20b", Range="bytes=10-19")
    equal((r.status, got, r.headers["Content-Range"]), (206, data[10:20], f"bytes 10-19/{len(data)}"))
    r, got = ask(port, "GET", "/dp1/a%20b", Range="bytes=-5")
    equal((r.status, got), (206, data[-5:]))
    equal(ask(port, "GET", "/dp1/a%20b", Range=f"bytes={len(data)}-")[0].status, 416)
    equal(ask(port, "GET", "/dp1/a%20b", If_None_Match=etag)[0].status, 304)
    equal(ask(port, "GET", "/dp1/a%20b", If_Modified_Since=modified)[0].status, 304)
    r, got = ask(port, "GET", "/dp1/a%20b", Range="bytes=0-9", If_Range='"other"')
    equal((r.status, got), (200, data))
    equal(json.loads(ask(port, "GET", "/packway-serve.json")[1])["site"], "LON")


@case("nothing outside of www is given away")
def _(t):
    site = t.site("LON")
    (site.dir / "www" / "link").symlink_to(site.dir / "site.db")
    (site.dir / "www" / "dir").mkdir()
    port, _ = site.serve()
    for path in ("/../site.db", "/%2e%2e/site.db", "/dir/../../site.db", "/link", "/dir", "/",
                 "//etc/passwd", "/dir/%00", "/." , "/..%2fsite.db"):
        equal(ask(port, "GET", path)[0].status, 404, path)
    need(ask(port, "DELETE", "/dir")[0].status >= 400, "DELETE")
    need(ask(port, "POST", "/dir", b"x")[0].status >= 400, "POST")


@case("an inbox takes an upload whose bytes match its name, once")
def _(t):
    site = t.site("LON")
    port = free_port()
    site("cap", "add", "cap1", f"http://127.0.0.1:{port}/cap1")
    site("publish")
    site.serve(port)
    body = b"not sealed by anybody"
    digest = hashlib.sha256(body).hexdigest()
    name = f"{'1' * 32}-{'2' * 32}-1-{len(body)}-{digest}"
    inbox = f"/cap1/inbox/{name}"
    for path, data, status in [
        ("/cap1/inbox/x", body, 400),
        (inbox, body + b"!", 400),
        ("/cap1/metadata/" + name, body, 403),
        ("/nowhere/inbox/" + name, body, 404),
        ("/cap1/inbox/" + name.replace(digest, "0" * 64), body, 400),
        (inbox, body, 201),
    ]:
        equal(ask(port, "PUT", path, data)[0].status, status, path)
    # It is no envelope: taken in, refused, deleted.
    wait_for("the intake", 10, lambda: not list((site.dir / "www/cap1/inbox").iterdir()))
    wait_for("the alert", 10, lambda: "refused on cap1" in site("status").out)


@case("an upload that ends early leaves nothing, and the server ends cleanly")
def _(t):
    site = t.site("LON")
    port = free_port()
    site("cap", "add", "cap1", f"http://127.0.0.1:{port}/cap1")
    site("publish")
    _, process = site.serve(port)
    name = f"{'1' * 32}-{'2' * 32}-1-100-{'0' * 64}"
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(f"PUT /cap1/inbox/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
                  .encode())
    wait_for("an empty inbox", 10, lambda: not list((site.dir / "www/cap1/inbox").iterdir()))
    process.send_signal(signal.SIGTERM)
    equal(process.wait(20), 0)
    site.serve(port)


@case("serve publishes and distributes by itself")
def _(t):
    site = t.site("LON")
    port = free_port()
    site("cap", "add", "cap1", f"http://127.0.0.1:{port}/cap1")
    site("dp", "add", "dp1", f"http://127.0.0.1:{port}/dp1")
    (site.dir / "site.conf").write_text("distribute-every = 1\npublish-every = 1\n")
    site.serve(port)
    source = t.dir / "source"
    source.mkdir()
    (source / "file").write_text("one")
    site.package("tool", source)
    (source / "file").write_text("two")
    site("package", "update", "LON00001")
    wait_for("version 2 on the DP", 20, lambda: any(
        r["version"] == 2 and r["state"] == "valid" for r in site.json("dp", "status")))

    def is_located():
        with contextlib.suppress(FileNotFoundError):  # older ones go
            return any('"version":2' in f.read_text() for f in (site.dir / "www/cap1/targets/location").glob("*.json"))
    wait_for("the location", 20, is_located)


def valid(site, dp, version):
    return any(r["dp"] == dp and r["version"] == version and r["state"] == "valid"
               for r in site.json("dp", "status"))


@case("a throttled DP holds up no other, neither their packages nor their updates")
def _(t):
    site = t.site("LON")
    port = free_port()
    site("cap", "add", "cap1", f"http://127.0.0.1:{port}/cap1")
    site.folder_dp("slow", "--max-rate", "20K")
    site.folder_dp("fast")
    (site.dir / "site.conf").write_text("distribute-every = 1\npublish-every = 1\n")
    site.serve(port)
    source = t.dir / "source"
    source.mkdir()
    (source / "file").write_bytes(t.rng.randbytes(8_000_000))  # 400 s at that rate
    large = site.package("large", source, distribute=False)
    asked = t.spawn(program("packway-site"), "--site", site.dir, "package", "distribute", large, "--all",
                    "--no-patches", "--quiet")
    wait_for("the package on the fast DP", 60, lambda: valid(site, "fast", 1))
    (source / "more").write_text("more")
    site("package", "update", large)
    wait_for("the update on the fast DP", 60, lambda: valid(site, "fast", 2))
    (source / "file").write_text("small")
    small = site.package("small", source, distribute=False)
    site("package", "distribute", small, "--dp", "fast", "--no-patches")
    need(asked.poll() is None, "the throttled DP is done already")
    need(not valid(site, "slow", 1), "the throttled DP has it already")


def timestamp_of(cap):
    path = cap / "metadata" / "timestamp.json"
    return path.read_bytes() if path.exists() else b""


def server_of(mount):
    """The process behind a FUSE mount."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(mount).encode() in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
    return None


@case("a CAP that hangs holds up no other, and gets what it missed once it is back")
def _(t):
    site = t.site("LON")
    behind, mount = t.new_dir("behind"), t.dir / "hung"
    skip_unless(t.bind_mount(behind, mount), "bind mounts")
    site("cap", "add", "hung", f"file://{mount}")
    good = site.folder_cap("good")
    (site.dir / "site.conf").write_text("publish-every = 1\n")
    stopped = server_of(mount)
    os.kill(stopped, signal.SIGSTOP)
    try:
        site.serve(free_port())
        for name in ("one", "two", "three"):
            site("group", "add", name)
            wait_for(f"group {name} on the good CAP", 60, lambda n=name: any(
                p.name.endswith(f".{n}.json") for p in (good / "targets" / "group").glob("*")))
        need(not any(behind.rglob("timestamp.json")), "the CAP that hangs was written to")
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_for("the last group on the CAP that hung", 120, lambda: any(
        p.name.endswith(".three.json") for p in (behind / "targets" / "group").glob("*")))
    wait_for("the newest timestamp", 120, lambda: timestamp_of(behind) == timestamp_of(good) != b"")


def upload_of(body):
    """Path and body of an upload that a CAP takes, though it is no envelope."""
    return f"/cap1/inbox/{'1' * 32}-{'2' * 32}-1-{len(body)}-{hashlib.sha256(body).hexdigest()}", body


@case("a site whose disk is nearly full takes no uploads; clients keep them and say why, and they come with room")
def _(t):
    disk = SmallDisk(t, t.dir / "disk", 64 * 1024)
    skip_unless(disk.is_mount, "the right to mount a small disk")
    site = t.site("LON", "disk/site")
    port = free_port()
    site("cap", "add", "cap1", f"http://127.0.0.1:{port}/cap1")
    (site.dir / "site.conf").write_text("reserve = 8M\n")
    _, serve = site.serve(port)
    site("publish")
    client = t.client().join(site, f"http://127.0.0.1:{port}/cap1")
    site("intake")  # and its receipt is there
    disk.leave(7 * 1024)
    told = client("sync")
    equal(ask(port, "PUT", *upload_of(b"envelope"))[0].status, 507)
    status = client.json("status")
    equal(status["state"], "enrolled")
    need(status["outbox_records"] > 0, "nothing waits")
    need("its disk is full" in status["outbox_why"] and "its disk is full" in told.err, "it does not say why", status)
    need("they wait for" in client("status").out, "it does not say why to people")
    site("intake")
    equal(site.json("query", "SELECT count(*) AS n FROM os"), [{"n": 0}])
    need("takes no uploads" in site("status").out and "8.0 MB" in site("status").out.replace("MiB", "MB"), "status does not say so",
         site("status").out)
    disk.free()
    equal(ask(port, "PUT", *upload_of(b"envelope"))[0].status, 201)
    client("sync")
    site("intake")
    client("sync")
    status = client.json("status")
    equal((status["outbox_records"], status["outbox_why"]), (0, None))
    equal(site.json("query", "SELECT count(*) AS n FROM os"), [{"n": 1}])
    need("takes no uploads" not in site("status").out, "status still says so")


if __name__ == "__main__":
    sys.exit(main())
