"""A web server that misbehaves as it is told, for distribution points and CAPs.

    server = hostile.Server(t, folder)      # honest: GET, HEAD, PUT, DELETE over a folder
    server.behaviour = hostile.flipped      # from now on

A behaviour is a function of one request; it answers with the request's methods, or raises
Hangup. It sees only reads (GET and HEAD); writes are always honest, so that a site can fill a
folder first. `server.requests` lists (method, name, status) of all that was asked, `server.sent` has
the bytes of bodies that went out for each name.
"""
import contextlib
import gzip
import http.server
import pathlib
import socket
import threading
import time

from flow import free_port

PIECE = 1 << 16


class Hangup(Exception):
    """The connection ends here."""


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hostile(self):
        return self.server.owner

    @property
    def name(self):
        return self.path.split("?")[0].lstrip("/")

    @property
    def file(self):
        return self.hostile.folder / self.name

    def is_pack(self):
        return self.name.endswith(".pack")

    def is_index(self):
        return "/index/" in self.name

    def log_message(self, *_):
        pass

    # -- what behaviours answer with ---------------------------------------------------------

    def start(self, status, **headers):
        """The status line and header lines; `Content_Length=…` stands for Content-Length."""
        self.hostile.requests.append((self.command, self.name, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def send(self, piece):
        if self.command != "HEAD":
            self.wfile.write(piece)
            self.hostile.sent[self.name] = self.hostile.sent.get(self.name, 0) + len(piece)

    def refuse(self, status, **headers):
        self.start(status, Content_Length=0, **headers)

    def wanted_range(self, size):
        """The first and last byte that a Range line asks for; None: all."""
        text = self.headers.get("Range", "")
        if not text.startswith("bytes="):
            return None
        first, last = text[6:].split("-")
        return int(first), min(int(last or size - 1), size - 1)

    def serve(self, body, ranges=True):
        """Answer as an honest server of `body` would."""
        wanted = self.wanted_range(len(body)) if ranges else None
        if wanted is None:
            self.start(200, Content_Length=len(body))
            self.send(body)
        elif wanted[0] >= len(body):
            self.refuse(416, Content_Range=f"bytes */{len(body)}")
        else:
            part = body[wanted[0]:wanted[1] + 1]
            self.start(206, Content_Length=len(part),
                       Content_Range=f"bytes {wanted[0]}-{wanted[1]}/{len(body)}")
            self.send(part)

    def honest(self):
        if not self.file.is_file():
            return self.refuse(404)
        info = self.file.stat()
        tag = f'"{info.st_mtime_ns}-{info.st_size}"'
        if self.headers.get("If-None-Match") == tag:
            return self.refuse(304, ETag=tag)
        body = self.file.read_bytes()
        if "Range" in self.headers:
            return self.serve(body)
        self.start(200, Content_Length=len(body), ETag=tag)
        self.send(body)

    # -- methods -----------------------------------------------------------------------------

    def do_GET(self):
        try:
            self.hostile.behaviour(self)
        except Hangup:
            self.close_connection = True
        except OSError:
            self.close_connection = True

    do_HEAD = do_GET

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(body)
        self.refuse(201)

    def do_DELETE(self):
        self.file.unlink(missing_ok=True)
        self.refuse(204)


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        pass

    def process_request(self, request, client_address):
        self.owner.connections += 1
        super().process_request(request, client_address)


class Server:
    def __init__(self, t, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.behaviour = honest
        self.stopping = threading.Event()
        self.forget()
        self.listener = Listener(("127.0.0.1", free_port()), Request)
        self.listener.owner = self
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()
        t.defer(self.close)

    def hide(self):
        """Move the folder, as if it were another machine's: only this server reaches it."""
        self.folder = self.folder.rename(f"{self.folder}.elsewhere")

    def show(self):
        self.folder = self.folder.rename(str(self.folder).removesuffix(".elsewhere"))

    def forget(self):
        self.requests, self.connections, self.sent = [], 0, {}

    def close(self):
        self.stopping.set()
        self.listener.shutdown()
        self.listener.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class BlackHole:
    """A port whose connects are never answered: the queue of its listening socket is full."""

    def __init__(self, t, port=0, host="127.0.0.1"):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((host, self.port))
            self.fillers.append(filler)
        t.defer(self.close)

    def close(self):
        for s in (self.listener, *self.fillers):
            s.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


# -- behaviours ------------------------------------------------------------------------------------

def honest(r):
    r.honest()


def on(kind, behaviour):
    """That behaviour for some names only: on(Request.is_pack, missing)."""
    return lambda r: behaviour(r) if kind(r) else r.honest()


def packs(behaviour):
    return on(Request.is_pack, behaviour)


def patches(behaviour):
    """Patches and first-install streams."""
    return on(lambda r: "/patches/" in r.path, behaviour)


def indexes(behaviour):
    return on(Request.is_index, behaviour)


def flipped(r):
    body = bytearray(r.file.read_bytes())
    body[len(body) // 2] ^= 0x40
    r.serve(bytes(body))


def truncated(r):
    body = r.file.read_bytes()
    r.serve(body[:len(body) // 2])


def missing(r):
    r.refuse(404)


def zeroed(r):
    r.serve(bytes(r.file.stat().st_size))


def silent(r):
    """Takes the request and says nothing."""
    r.hostile.stopping.wait()
    raise Hangup


def late(seconds, behaviour):
    """Takes its time before it says anything."""
    def behave(r):
        if r.hostile.stopping.wait(seconds):
            raise Hangup
        behaviour(r)
    return behave


def endless(r):
    """A body that never ends, of no announced length."""
    r.start(200, Connection="close")
    while not r.hostile.stopping.is_set():
        r.send(bytes(PIECE))
    raise Hangup


def trickle(r):
    """The right bytes, one a second."""
    body = r.file.read_bytes()
    wanted = r.wanted_range(len(body)) or (0, len(body) - 1)
    part = body[wanted[0]:wanted[1] + 1]
    r.start(206 if "Range" in r.headers else 200, Content_Length=len(part),
            Content_Range=f"bytes {wanted[0]}-{wanted[1]}/{len(body)}")
    for i in range(len(part)):
        r.send(part[i:i + 1])
        if r.hostile.stopping.wait(1):
            break
    raise Hangup


def wrong_range(r):
    """Another part than was asked for, said openly."""
    body = r.file.read_bytes()
    wanted = r.wanted_range(len(body)) or (0, len(body) - 1)
    part = body[:wanted[1] - wanted[0] + 1]
    shift = 1 if wanted[0] == 0 else -1
    r.start(206, Content_Length=len(part),
            Content_Range=f"bytes {wanted[0] + shift}-{wanted[1] + shift}/{len(body) + 1}")
    r.send(part)


def lying_range(r):
    """Another part than was asked for, under the name of the right one."""
    body = r.file.read_bytes()
    wanted = r.wanted_range(len(body)) or (0, len(body) - 1)
    part = body[::-1][wanted[0]:wanted[1] + 1]
    r.start(206, Content_Length=len(part),
            Content_Range=f"bytes {wanted[0]}-{wanted[1]}/{len(body)}")
    r.send(part)


def without_ranges(r):
    """Allowed: the whole object whatever was asked for."""
    if not r.file.is_file():
        return r.refuse(404)
    r.serve(r.file.read_bytes(), ranges=False)


def gzipped(r):
    """Compressed though only identity was accepted."""
    body = gzip.compress(r.file.read_bytes(), 1)
    r.start(200, Content_Length=len(body), Content_Encoding="gzip")
    r.send(body)


def wrong_length(by):
    """The right bytes under a Content-Length that is wrong by so many."""
    def behaviour(r):
        body = r.file.read_bytes()
        wanted = r.wanted_range(len(body)) or (0, len(body) - 1)
        part = body[wanted[0]:wanted[1] + 1]
        r.start(206 if "Range" in r.headers else 200, Content_Length=max(0, len(part) + by),
                Content_Range=f"bytes {wanted[0]}-{wanted[1]}/{len(body)}")
        r.send(part)
        raise Hangup
    return behaviour


def error_page(code, page):
    def behaviour(r):
        r.start(code, Content_Length=len(page))
        r.send(page)
    return behaviour


def status(code):
    return lambda r: r.refuse(code)


def redirect(base):
    return lambda r: r.refuse(302, Location=f"{base}/{r.name}")


def cut_after(count):
    """Hangs up behind so many bytes of packs, counted over all requests."""
    left = [count]
    lock = threading.Lock()

    def behaviour(r):
        body = r.file.read_bytes()
        wanted = r.wanted_range(len(body)) or (0, len(body) - 1)
        part = body[wanted[0]:wanted[1] + 1]
        with lock:
            take = min(len(part), left[0])
            left[0] -= take
        r.start(206 if "Range" in r.headers else 200, Content_Length=len(part),
                Content_Range=f"bytes {wanted[0]}-{wanted[1]}/{len(body)}")
        r.send(part[:take])
        if take < len(part):
            raise Hangup
    return behaviour


def huge_head(r):
    """Header lines without end."""
    r.send_response_only(200)
    r.flush_headers()
    for i in range(1 << 14):
        r.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 200))
    raise Hangup


def no_http(r):
    r.wfile.write(b"220 mail.example ESMTP\r\n")
    raise Hangup
