#!/usr/bin/python3
"""SMB shares as DPs, CAPs and inboxes: real smbd servers, counted by their own logs."""
from flow import *


def processes(name):
    """Processes of that program that hold this build's file open as their executable."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "exe") == program(name):
                found.append(int(entry.name))
    return found


@case("a guest fetches a package from a share, in one session")
def _(t):
    site, smb = t.site(), t.samba()
    cap = site.folder_cap()
    site("dp", "add", "dp1", smb.url("content"))
    made = site.package("tool", make_tree(t.dir / "src"))
    site("publish")
    client = t.client().join(site, cap)
    client("sync")
    before = smb.mark()
    got = client.json("fetch", made)
    same_tree(t.dir / "src", got["path"])
    equal(len(smb.setups(before)), 1, "session setups")
    equal(smb.trees(before, share="packway"), ["packway"], "tree connects")


main()
