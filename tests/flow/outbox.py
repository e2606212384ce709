#!/usr/bin/python3
"""An outbox that holds all it may hold, 64 MiB: of the deep suite, since all of it travels in the end. What
is dropped first, byte by byte, is agent/test_outbox's."""
import json
import struct
import zlib

from flow import *

PATIENCE_S = 900  # of one command, with sanitizers


def frames(data):
    """How many records a segment has (docs/formats/outbox.md)."""
    count = at = 0
    while at < len(data):
        at += 8 + struct.unpack_from("<I", data, at)[0]
        count += 1
    return count


def fill_outbox(client, size):
    """Records as large as they come behind those that are there, a segment each; says how many."""
    outbox = client.state / "outbox"
    folder = outbox / (outbox / "stream").read_text().strip()
    last = max(folder.glob("*.log"))
    first = number = int(last.stem, 16) + frames(last.read_bytes())
    while sum(p.stat().st_size for p in outbox.rglob("*") if p.is_file()) <= size:
        record = {"kind": "status", "id": 11003, "time": "2026-11-22T14:43:37Z", "text": f"number {number}",
                  "uid": f"{number:032x}", "data": {"pad": "x" * (960 << 10)}}
        frame = struct.pack("<QB", number, 0) + json.dumps(record).encode()
        path = folder / f"{number:016x}.log"
        path.write_bytes(struct.pack("<II", len(frame), zlib.crc32(frame)) + frame)
        path.chmod(0o600)
        number += 1
    return number - first


@case("an outbox that is full drops the inventory, starts nothing new and says so, and loses no record")
def _(t):
    site = t.site()
    cap = site.folder_cap("cap1")
    site.folder_dp("dp1")
    package = site.package("tool", make_tree(t.dir / "source", files=3, size=2000))
    site("program", "add", package, "tool", "--rerun", "always", "--command", f"sh -c 'echo ran >> {t.dir}/ran'")
    site("advertise", package, "tool", "--collection", "all", "--available", "now")
    site("publish")
    client = t.client().enroll(site, f"file://{cap}")
    for _ in range(2):
        site("intake")
        client("sync")
    equal(client.json("status")["outbox_records"], 0)
    inbox, ran = cap / "inbox", t.dir / "ran"
    inbox.rename(t.dir / "away")
    inbox.write_text("nothing can be put here")
    added = fill_outbox(client, 60 << 20)
    (client.state / "inventory.json").unlink()  # it is reported anew
    client("sync", check=False, timeout=PATIENCE_S)
    status = client.json("status")
    need(status["outbox_full"] and status["outbox_records"] >= added and status["outbox_why"], "it does not say so", status)
    equal((client.state / "outbox" / "inventory").stat().st_size, 0, "the inventory in a full outbox")
    refused = client("run", package, "tool", check=False, timeout=PATIENCE_S).want(5)
    need("PW-OUTBOX-FULL" in refused.err, "no code", refused.err)
    need(not ran.exists(), "a run that could not be told of")
    size = sum(p.stat().st_size for p in (client.state / "outbox").rglob("*") if p.is_file())
    need(size <= (64 + 16 + 1 + 16) << 20, "the outbox, with its envelopes and what is done, is too large", size)
    inbox.unlink()
    (t.dir / "away").rename(inbox)
    for _ in range(12):  # a fourth of it at a time, and its receipt with the next sync
        client("sync", timeout=PATIENCE_S)
        for _ in range(20):  # 8 MiB of a client in one sweep
            site("intake", timeout=PATIENCE_S)
            if not list(inbox.iterdir()):
                break
        status = client.json("status")
        if status["outbox_records"] == 0:
            break
    equal((status["outbox_records"], status["outbox_full"], status["outbox_why"]), (0, False, None))
    rows = site.json("messages", "--client", client.id)
    need(not any("gap" in r or r.get("refused") for r in rows), "gaps or refusals")
    equal(sum(r["text"].startswith("number ") for r in rows), added, "records at the site")
    equal(site.json("query", "SELECT count(*) AS n FROM os"), [{"n": 1}])
    client("run", package, "tool")
    equal(ran.read_text(), "ran\n")


main()
