#!/usr/bin/python3
"""The README is true: its command blocks run as they stand, and its picture of a choice is what is printed."""
import re

from flow import *

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


class Sandbox:
    """A folder that stands for the machine: /srv and /var/lib lie in it."""

    def __init__(self, t):
        self.dir = t.dir
        self.site, self.state = t.dir / "var/lib/packway-site", t.dir / "var/lib/packway"
        for folder in ("srv", "var/lib", "bin"):
            (t.dir / folder).mkdir(parents=True)
        for name in ("packway", "packway-site"):
            (t.dir / "bin" / name).symlink_to(program(name))
        self.env = {
            "PATH": f"{t.dir}/bin:{os.environ['PATH']}",
            "PACKWAY_SITE": str(self.site),
            "PACKWAY_STATE": str(self.state),
        }

    def inside(self, text):
        return re.sub(r"/(srv|var/lib)/", rf"{self.dir}/\1/", text)

    def outside(self, text):
        return text.replace(str(self.dir), "")

    def sh(self, script):
        return run("bash", "-euc", self.inside(script), env=self.env)


def form(text):
    """A table's words whatever the widths, with any time as TIME."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text)
    return [line.split() for line in text.splitlines() if line.strip()]


@case("every command block runs, and the program arrives")
def _(t):
    box = Sandbox(t)
    scripts = blocks("sh")
    need(len(scripts) >= 6, "the README has lost its command blocks", len(scripts))
    for script in scripts:
        box.sh(script)
    status = json.loads(box.sh("packway-site status LON20001 --json").out)
    equal((status[0]["targeted"], status[0]["succeeded"]), (1, 1), "targeted, succeeded")
    offered = json.loads(box.sh("packway list --json").out)
    equal([o["state"] for o in offered], ["succeeded"], "list")


@case("every command named in the table exists")
def _(t):
    box = Sandbox(t)
    rows = re.findall(r"^\|.*\|.*\|([^|]*`packway[^|]*)\|$", README, re.M)
    need(len(rows) >= 9, "the table has lost its commands", rows)
    for command in re.findall(r"`(packway(?:-site)? [\w-]+)", "".join(rows)):
        box.sh(f"{command} --help")


@case("the picture of a choice is what is printed")
def _(t):
    box = Sandbox(t)
    picture = re.search(r"<!-- picture -->\n```text\n(.*?)```\n<!-- end -->", README, re.S)[1]
    box.sh("""
        packway-site init /var/lib/packway-site --code LON
        packway-site group add office
        packway-site group add branch --neighbour office:90 --default-after 240
        packway-site boundary add 10.1.0.0/16 --group branch
        packway-site cap add cap1 file:///srv/cap
        packway-site dp add dp1 file:///srv/dp1 --group branch
        packway-site dp add nas12 file:///srv/nas12 smb://nas12/packway --group branch
        packway-site dp add office1 file:///srv/office1 --group office
        packway-site dp add hub file:///srv/hub
        mkdir /srv/source && echo content >/srv/source/file
        packway-site package create tool --source /srv/source
        packway-site package distribute LON00001 --all
        packway-site publish
        packway-site token create --bundle /srv/bundle
        mkdir -m 700 /var/lib/packway
        printf 'address = 10.1.2.3\\nmounts = /srv/mountinfo\\n' >/var/lib/packway/packway.conf
    """)
    # The mount itself is where the README says, not in the sandbox: a choice only reads the table.
    (t.dir / "srv/mountinfo").write_text(
        "36 35 98:0 / /srv/nas rw,relatime - cifs //nas12/packway rw,vers=3.1.1\n")
    box.sh("packway enroll /srv/bundle; packway-site intake; packway sync")
    parts = re.split(r"^\$ (.*)$", picture, flags=re.M)[1:]
    for command, shown in zip(parts[::2], parts[1::2]):
        printed = box.outside(box.sh(command).out)
        want, got = form(shown), form(printed)
        equal(got[:len(want)], want, command)


main()
