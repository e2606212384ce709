"""A reader of what a site publishes that shares nothing with the site's own: the whole of a CAP by TUF 1.0.34. Signatures and the
canonical form are judged by securesystemslib, which the reference implementation of TUF is built on."""
import fnmatch
import hashlib
import json
import pathlib
import sys

from flow import equal, need

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian has it, for a Python that is not Debian's
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import SSlibKey, Signature


def is_good(key, keyid, signature, message):
    try:
        SSlibKey.from_dict(keyid, json.loads(json.dumps(key))).verify_signature(Signature(keyid, signature), message)
    except (UnverifiedSignatureError, VerificationError):
        return False
    return True


def verified(document, keys, entry, what):
    """The body of a document that at least `threshold` distinct keys signed."""
    message, good = encode_canonical(document["signed"]).encode(), set()
    ids = [s["keyid"] for s in document["signatures"]]
    equal(len(ids), len(set(ids)), f"{what}: key ids in signatures")
    for signature in document["signatures"]:
        if signature["keyid"] in entry["keyids"]:
            key = keys[signature["keyid"]]
            if is_good(key, signature["keyid"], signature["sig"], message):
                good.add(key["keyval"]["public"])
    need(len(good) >= entry["threshold"] >= 1, f"{what}: {len(good)} of {entry['threshold']} keys signed it")
    return document["signed"]


def walk(cap, first_root):
    """All of a CAP by TUF 1.0.34, from the first root on; the bodies by role."""
    metadata, trusted = pathlib.Path(cap) / "metadata", json.loads(pathlib.Path(first_root).read_bytes())
    root = verified(trusted, trusted["signed"]["keys"], trusted["signed"]["roles"]["root"], "root")
    while (path := metadata / f"{root['version'] + 1}.root.json").exists():
        document = json.loads(path.read_bytes())
        verified(document, root["keys"], root["roles"]["root"], f"{path.name} by the keys before")
        following = verified(document, document["signed"]["keys"], document["signed"]["roles"]["root"], path.name)
        equal(following["version"], root["version"] + 1, "root's version")
        root = following

    def read(name, keys, entry, listing):
        content = (metadata / f"{listing['version']}.{name}.json").read_bytes()
        equal(len(content), listing["length"], f"{name}'s length")
        equal(hashlib.sha256(content).hexdigest(), listing["hashes"]["sha256"], f"{name}'s hash")
        body = verified(json.loads(content), keys, entry, name)
        equal(body["version"], listing["version"], f"{name}'s version")
        return body

    timestamp = verified(json.loads((metadata / "timestamp.json").read_bytes()), root["keys"], root["roles"]["timestamp"],
                         "timestamp")
    snapshot = read("snapshot", root["keys"], root["roles"]["snapshot"], timestamp["meta"]["snapshot.json"])
    targets = read("targets", root["keys"], root["roles"]["targets"], snapshot["meta"]["targets.json"])
    found = {"root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets}
    descend(found, targets, read, snapshot, pathlib.Path(cap) / "targets", lambda path: True)
    equal(len(found) - 3, len(snapshot["meta"]), "roles that the snapshot lists")
    return found


def covers(entry, path):
    """As TUF has it: by patterns, or by the beginning of the path's hash."""
    if "paths" in entry:
        return any(len(p.split("/")) == len(path.split("/")) and fnmatch.fnmatchcase(path, p) for p in entry["paths"])
    digest = hashlib.sha256(path.encode()).hexdigest()
    return any(digest.startswith(prefix) for prefix in entry["path_hash_prefixes"])


def descend(found, parent, read, snapshot, folder, allowed):
    """All roles that `parent` delegates to, and the target files that they list."""
    for entry in parent.get("delegations", {}).get("roles", []):
        name = entry["name"]
        found[name] = read(name, parent["delegations"]["keys"], entry, snapshot["meta"][f"{name}.json"])

        def inner(path, entry=entry):
            return allowed(path) and covers(entry, path)
        for path, target in found[name]["targets"].items():
            need(inner(path), f"{name} lists {path}, which is not its own")
            below, _, base = path.rpartition("/")
            content = (folder / below / f"{target['hashes']['sha256']}.{base}").read_bytes()
            equal((len(content), hashlib.sha256(content).hexdigest()), (target["length"], target["hashes"]["sha256"]), path)
        descend(found, found[name], read, snapshot, folder, inner)
