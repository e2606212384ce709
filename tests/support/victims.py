"""Processes of clients, to be killed while they work."""
from flow import *


def fields(pid):
    return dict(line.split(":\t") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def traces_its_parent(pid):
    """The search for leaks at the end of a process, which waits for it for ever where it is killed."""
    parent = fields(pid)["PPid"].strip()
    return parent != "0" and fields(parent)["TracerPid"].strip() == str(pid)


def processes():
    """(pid, argv) of everything that runs and may be killed."""
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (argv := (entry / "cmdline").read_bytes().split(b"\0"))[0] \
                    and not traces_its_parent(entry.name):
                yield int(entry.name), [a.decode(errors="replace") for a in argv]


def has_program(pid):
    with contextlib.suppress(OSError):
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return any(b"--reap" not in pathlib.Path(f"/proc/{child}/cmdline").read_bytes() for child in children)
    return False


def of_client(client, kind):
    """
    Processes of one kind: agent (jobs included), worker, of these the keeper; a run's parent (reaper), which is two
    generations at first, or of these the one that has started the program (parent).
    """
    state = str(client.state)
    for pid, argv in processes():
        name = os.path.basename(argv[0])
        if kind == "worker" and name == "packway-worker" and state in argv:
            yield pid
        elif kind == "keeper" and name == "packway-worker" and state in argv and "--keep" in argv:
            yield pid
        elif kind == "agent" and name == "packway-agent" and state in argv:
            yield pid
        elif kind == "reaper" and "--reap" in argv and argv[-2].startswith(state + "/"):
            yield pid
        elif kind == "parent" and "--reap" in argv and argv[-2].startswith(state + "/") and has_program(pid):
            yield pid
        elif kind == "command" and name == "packway" and state in argv:
            yield pid


def kill_one(t, client, kind):
    victims = list(of_client(client, kind))
    if not victims:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(t.rng.choice(victims), signal.SIGKILL)
        return True
    return False


class Keeper(threading.Thread):
    """Has an agent run for a client, again and again, and commands beside it, until told to stop."""

    def __init__(self, t, client):
        super().__init__(daemon=True)
        self.t, self.client, self.over, self.starts = t, client, threading.Event(), 0

    def run(self):
        agent = None
        while not self.over.is_set():
            if agent is None or agent.poll() is not None:
                agent = self.t.spawn(program("packway"), "--state", self.client.state, "agent", env=self.client.env)
                self.starts += 1
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.client("sync", "--quiet", check=False, timeout=30)
            self.over.wait(0.05)
        if agent is not None and agent.poll() is None:
            agent.terminate()
            agent.wait(20)
