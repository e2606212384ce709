"""Timing in rounds, medians, and the tables that bench/run prints."""
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field


@dataclass
class Cost:
    """What one run of a command took; CPU is user and system time with all its children."""
    wall: float = 0.0
    cpu: float = 0.0
    rss_mib: float = 0.0
    extra: dict = field(default_factory=dict)

    def __add__(self, other):
        return Cost(self.wall + other.wall, self.cpu + other.cpu,
                    max(self.rss_mib, other.rss_mib), {**self.extra, **other.extra})


class Broken(Exception):
    pass


def _children():
    return {int(p) for p in open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()}


def _inherit_children():
    """What a command leaves behind, such as a keeper that flushes, becomes ours to wait for and to count."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def timed(command, env=None, cwd=None):
    """
    Run an argv, or a text by the shell; returns its Cost and what it printed. What it leaves running counts as CPU,
    and as extra["behind"], the seconds until that has ended too.
    """
    _inherit_children()
    others = _children()
    argv = ["sh", "-c", command] if isinstance(command, str) else [str(a) for a in command]
    began = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace", cwd=cwd,
                             env={**os.environ, **(env or {})})
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    for left in _children() - others:
        _, _, usage = os.wait4(left, 0)
        cost.cpu += usage.ru_utime + usage.ru_stime
        cost.rss_mib = max(cost.rss_mib, usage.ru_maxrss / 1024)
    cost.extra["behind"] = time.monotonic() - began - cost.wall
    if child.returncode != 0:
        raise Broken(f"{' '.join(argv)[:300]}: exit {child.returncode}\n{out[-1000:]}")
    return cost, out


def settle():
    subprocess.run(["sync"], check=True)


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def put_aside(path):
    """
    Out of the way, for the end of the run to remove. ext4 takes no inode again that was freed less
    than five seconds ago, and whoever makes files right after a removal pays for the search.
    """
    if path.exists():
        path.rename(path.with_name(f"{path.name}.aside-{time.monotonic_ns()}"))


def in_rounds(rows, rounds):
    """
    rows: label → function that prepares, measures and returns a Cost. Each round runs every row
    once, so that all meet the same noise. Returns label → Cost of medians.
    """
    seen = {label: [] for label in rows}
    for number in range(rounds):
        for label, measure in rows.items():
            note(f"round {number + 1} of {rounds}: {label}")
            seen[label].append(measure())
    note("")
    return {label: median_cost(costs) for label, costs in seen.items()}


def median_cost(costs):
    extra = {key: statistics.median(c.extra[key] for c in costs) for key in costs[0].extra}
    return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs),
                max(c.rss_mib for c in costs), extra)


def note(text):
    """Where we are, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


class Report:
    """Lines of one goal: what, ours, the target, met or missed."""

    def __init__(self):
        self.missed = self.met = 0

    def goal(self, title):
        print(f"\n== {title}")

    def say(self, text):
        print(f"   {text}")

    def row(self, what, value, target=None, ok=None):
        verdict = "" if ok is None else "met" if ok else "MISSED"
        self.met += ok is True
        self.missed += ok is False
        print(f"   {what:<52} {value:>14}   {target or '':<16} {verdict}".rstrip())
        sys.stdout.flush()

    def at_most(self, what, value, limit, unit="x"):
        self.row(what, f"{value:.2f} {unit}", f"<= {limit:g} {unit}", value <= limit)

    def at_least(self, what, value, limit, unit="x"):
        self.row(what, f"{value:.2f} {unit}", f">= {limit:g} {unit}", value >= limit)
