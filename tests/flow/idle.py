#!/usr/bin/python3
"""Weeks of polls in a minute, by scaled timers: what the agent costs while nobody answers, and after.

PACKWAY_TEST_POLLS says how many polls nobody answers (100: a day of them).
"""
import os
import subprocess
import sys
import tempfile

NAMES = os.environ.get("PACKWAY_TEST_NAMES")


def with_names_of_our_own():
    """Start again where /etc/hosts and /etc/resolv.conf are ours, so that DNS can die and come back."""
    with tempfile.TemporaryDirectory(prefix="packway-names.") as folder:
        for name, text in (("hosts", ""), ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")):
            with open(f"{folder}/{name}", "w") as f:
                f.write(text)
        script = ('mount --make-rprivate / && mount --bind "$1/hosts" /etc/hosts && '
                  'mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)" && shift && exec "$@"')
        unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
        if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
            print("1..1\nok 1 # SKIP no namespaces here")
            return 0
        return subprocess.run([*unshare, "sh", "-c", script, "sh", folder, sys.executable, *sys.argv],
                              env={**os.environ, "PACKWAY_TEST_NAMES": folder}).returncode


if NAMES is None:
    sys.exit(with_names_of_our_own())

import re

from flow import *

POLLS = int(os.environ.get("PACKWAY_TEST_POLLS", "100"))
POLL_S = 900
RATE = 15000  # a poll in 60 ms, where the machine is that fast
HOST = "cap1.packway.test"


def dns(alive, address="127.0.0.1"):
    # In place: the name is a mount.
    with open(f"{NAMES}/hosts", "w") as f:
        f.write("127.0.0.1 localhost\n" + (f"{address} {HOST}\n" if alive else ""))


def is_sanitized():
    return b"__asan_init" in pathlib.Path(program("packway-worker")).read_bytes()


def usage(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]), len(os.listdir(f"/proc/{pid}/fd"))


class FastAgent:
    """The real agent, jobs and worker, with both clocks at RATE since `base`."""

    def __init__(self, t, client, base):
        self.base, self.polls_file = base, t.dir / "polls"
        bin_dir = t.new_dir("bin")
        for name, of in (("fastagent",) * 2, ("packway-agent",) * 2, ("packway-worker", "fastworker")):
            shutil.copy(program(of), bin_dir / name)
        shutil.copy(program("packway-smb"), bin_dir)
        shutil.copytree(BUILD / "src" / "smb" / "home", bin_dir / "smb-home")
        # Freed memory that the sanitizer keeps aside would look like growth.
        env = {**client.env, "ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
        self.process = t.spawn(bin_dir / "fastagent", client.state, self.polls_file, env=env)

    def now(self):
        return self.base + (time.time() - self.base) * RATE

    def polls(self):
        return [int(line) for line in self.polls_file.read_text().split()] if self.polls_file.exists() else []

    def wait_polls(self, count):
        """Wait for that many more; each may take much longer where the machine is busy."""
        want = len(self.polls()) + count
        wait_for(f"{count} polls", 20 + count * 0.5, lambda: len(self.polls()) >= want)

    def usage(self):
        """Resident KiB and descriptors of supervisor and worker: the least of some, between two polls."""
        pids, samples = {"supervisor": self.process.pid, "worker": self.worker()}, []
        for _ in range(20):
            samples.append({name: usage(pid) for name, pid in pids.items()})
            time.sleep(0.01)
        return {name: tuple(min(s[name][i] for s in samples) for i in (0, 1)) for name in pids}

    def worker(self):
        def look():
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in children:
                with contextlib.suppress(OSError):
                    if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "packway-worker":
                        return int(pid)
        return wait_for("the worker", 10, look)


def flat(before, after, kib, more_fds):
    for name in before:
        (rss, fds), (rss_after, fds_after) = before[name], after[name]
        need(rss_after <= rss + kib and fds_after <= fds + more_fds, f"the {name} has grown", before, after)


def refreshed_after(client, since):
    last = json.loads((client.state / "worker/status.json").read_text()).get("last_refresh_s", 0)
    return last if last >= since else 0


@case(f"{POLLS} polls that nobody answers cost no memory, and two bring all back without a burst")
def _(t):
    dns(True)
    base = int(time.time())
    fast = {"PACKWAY_FAKE_TIME": f"{base}*{RATE}"}
    site = t.site()
    site.env = fast
    port, _ = site.serve()
    cap = t.nginx(t.new_dir("cap"), server=f"location / {{ proxy_pass http://127.0.0.1:{port}; }}")
    dp = t.nginx(t.new_dir("dp"), server="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;")
    dp.folder.chmod(0o777)  # nginx started as root writes as nobody
    site("cap", "add", "cap1", f"http://{HOST}:{cap.port}/cap1")
    site("dp", "add", "dp1", f"http://{HOST}:{dp.port}")
    package = site.package("tool", make_tree(t.dir / "source", files=5))
    site("program", "add", package, "install", "--command", f"sh -c 'echo run >> {t.dir}/ran'")
    client = t.client()
    client.env.update(fast)
    dp.stop()
    site("advertise", package, "install", "--collection", "all", "--mandatory", "now")
    site("publish")
    client.enroll(site, f"http://{HOST}:{cap.port}/cap1")
    agent = FastAgent(t, client, base)
    agent.wait_polls(10)
    need(not (t.dir / "ran").exists(), "the program ran without its content")

    cap.stop()
    dns(False)
    agent.wait_polls(POLLS // 6)
    worker, before = agent.worker(), agent.usage()
    agent.wait_polls(POLLS - POLLS // 6)
    after = agent.usage()
    print(f"# {len(agent.polls())} polls, KiB and descriptors: {before} -> {after}")
    equal(agent.worker(), worker, "the worker's process")
    flat(before, after, 8192 if is_sanitized() else 256, 1)
    verdict = client.json("status")["verdict"]
    need(verdict not in ("ok", "unchanged"), "nobody answers, and the verdict is", verdict)

    dns(True)
    for server in (dp, cap):
        server.log.unlink()
        server.start()
    site("publish")
    back = agent.now()
    fresh = wait_for("recovery", 30, lambda: refreshed_after(client, back), step=0.005)
    needed = [p for p in agent.polls() if back <= p <= fresh]
    need(len(needed) <= 2, "polls until recovery", needed, back, fresh)
    wait_for("the program", 30, (t.dir / "ran").exists)
    agent.wait_polls(10)
    polls = agent.polls()
    since, intervals = sum(p >= back for p in polls), (polls[-1] - polls[0]) / POLL_S
    print(f"# recovered after {len(needed)} polls; {len(cap.lines())} requests in {since} polls since;"
          f" {len(polls)} polls in {intervals:.0f} intervals")
    need(len(polls) <= intervals + 2, "more polls than intervals")
    need(len(cap.lines()) <= 4 * since + 40, "a burst of requests", *cap.lines()[:60])
    # Its sessions are open again: that many descriptors more.
    flat(before, agent.usage(), 8192 if is_sanitized() else 1024, 8)


@case(f"{POLLS} polls of a CAP on a share, whose server is gone, cost no memory, and two bring all back without a burst")
def _(t):
    smb = t.samba()
    port = "" if smb.port == 445 else f":{smb.port}"
    share = f"smb://{HOST}{port}/packway"
    dns(True, smb.host)
    base = int(time.time())
    fast = {"PACKWAY_FAKE_TIME": f"{base}*{RATE}"}
    site = t.site()
    site.env = fast
    site("cap", "add", "cap1", f"{share}/cap")
    site("dp", "add", "dp1", f"{share}/dp")
    site("publish")
    client = t.client()
    client.env.update(fast)
    client.enroll(site, f"{share}/cap")
    agent = FastAgent(t, client, base)
    agent.wait_polls(10)

    smb.stop()
    dns(False)
    agent.wait_polls(POLLS // 6)
    worker, before = agent.worker(), agent.usage()
    agent.wait_polls(POLLS - POLLS // 6)
    after = agent.usage()
    print(f"# {len(agent.polls())} polls, KiB and descriptors: {before} -> {after}")
    equal(agent.worker(), worker, "the worker's process")
    flat(before, after, 8192 if is_sanitized() else 256, 1)
    verdict = client.json("status")["verdict"]
    need(verdict not in ("ok", "unchanged"), "nobody answers, and the verdict is", verdict)

    dns(True, smb.host)
    mark = smb.mark()
    smb.start()
    # The client comes back at the same moment, and what it reads cannot be replaced meanwhile.
    wait_for("a publication", 20, lambda: site("publish", check=False).code == 0)
    own = len(smb.authentications(mark))  # the site's
    back = agent.now()
    fresh = wait_for("recovery", 30, lambda: refreshed_after(client, back), step=0.005)
    needed = [p for p in agent.polls() if back <= p <= fresh]
    need(len(needed) <= 2, "polls until recovery", needed, back, fresh)
    agent.wait_polls(10)
    since = sum(p >= back for p in agent.polls())
    logons = len(smb.authentications(mark)) - own
    print(f"# recovered after {len(needed)} polls; {logons} logons in {since} polls since")
    need(logons <= 2 * since + 10, "a burst of logons", logons, since)
    flat(before, agent.usage(), 8192 if is_sanitized() else 1024, 8)


main()
