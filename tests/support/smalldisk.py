"""Folders with little room."""
import os
import resource
import subprocess


class SmallDisk:
    """A folder with little room: a tmpfs for root, a limit of file sizes for others."""

    def __init__(self, t, at, kib):
        self.at, self.is_mount = at, False
        at.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            self.is_mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0700",
                                            "packway-test", str(at)]).returncode == 0
        if self.is_mount:
            t.defer(subprocess.run, ["umount", "-l", str(at)])

    def leave(self, kib):
        """Fill it up but for so much; keyword arguments for the command that meets it."""
        if not self.is_mount:
            limit = kib * 256
            return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}
        info = os.statvfs(self.at)
        fill = info.f_bavail * info.f_frsize - kib * 1024
        with open(self.at / "filler", "ab") as f:
            f.write(bytes(max(0, fill)))
        return {}

    def free(self):
        (self.at / "filler").unlink(missing_ok=True)
