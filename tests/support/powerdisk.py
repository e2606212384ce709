"""A disk whose power can be cut."""
import fcntl
import os
import shutil
import struct
import subprocess

from flow import skip_unless, wait_for

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
LOST, JOURNALED = 2, 1  # EXT4_GOING_FLAGS_NOLOGFLUSH: what was not flushed is lost; LOGFLUSH: names stand, bytes may not
NOT_THIS_BOOT = "0" * 36


class PowerDisk:
    """
    ext4 in an image at `at`. A cut stops it between two instants, as a power cut does: what has reached the disk is
    there again after `start`, and in the second way the names of files too whose bytes have not.
    """

    def __init__(self, t, at, mib=256):
        self.at, self.image = at, t.dir / f"{at.name}.img"
        skip_unless(os.geteuid() == 0 and shutil.which("mkfs.ext4"), "the right to mount a disk, and e2fsprogs")
        at.mkdir(mode=0o700)
        with open(self.image, "wb") as file:
            file.truncate(mib << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        skip_unless(self._mount() == 0, "loop devices")
        at.chmod(0o700)
        t.defer(subprocess.run, ["umount", "-l", self.at])

    def _mount(self):
        return subprocess.run(["mount", "-o", "loop", self.image, self.at], capture_output=True).returncode

    def _umount(self):
        return subprocess.run(["umount", self.at], capture_output=True).returncode == 0

    def cut(self, how):
        fd = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", how))
        os.close(fd)

    def start(self):
        """After a cut, once nobody is left there; in another boot."""
        wait_for("the end of those who used the disk", 20, self._umount)
        if self._mount() != 0:
            raise RuntimeError(f"{self.image} cannot be mounted again")
        boot = open("/proc/sys/kernel/random/boot_id").read().strip().encode()
        for record in self.at.glob("store/*/*.record"):
            record.write_bytes(record.read_bytes().replace(boot, NOT_THIS_BOOT.encode()))
