"""What all writers of one Linux episode share: names of users, who is logged in, random numbers, ids of the machine.

What does not belong here: any record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from rlstir_core.lab.machine.events import Account, Event, GuestProcess, Session
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.lab.writers.linux.numbers import UNSET

_POOL = 4096


class Draws:
    """Random 32-bit numbers, drawn many at a time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pool: list[int] = []

    def __call__(self) -> int:
        if not self._pool:
            self._pool = self._rng.integers(0, 1 << 32, _POOL).tolist()
        return self._pool.pop()

    def between(self, low: int, high: int) -> int:
        """A whole number in [low, high)."""
        return low + self() * (high - low) // (1 << 32)


class LinuxScene:
    """One episode on one guest."""

    def __init__(
        self,
        guest: Guest,
        boot: Boot,
        events: Sequence[Event],
        living: Sequence[GuestProcess],
        rng: np.random.Generator,
    ) -> None:
        self.guest, self.boot = guest, boot
        self.draw = Draws(rng)
        self.host = guest.name.partition(".")[0]
        self.machine_id = stable_hex(guest.name, "machine")[:32]
        accounts: list[Account] = [guest.root, *guest.users, *guest.services.values()]
        accounts += [each.who.account for each in events]
        accounts += [each.account for each in living]
        self._names: dict[int, str] = {}
        for account in accounts:
            self._names.setdefault(account.uid, account.name)
        daemons = [each for each in living if each.ppid == 1 and each.session.kind == "service"]
        self.daemons = {each.name: each for each in reversed(daemons)}
        self.daemons.update(("systemd", each) for each in living if each.pid == 1)
        self._logged_in: dict[GuestProcess, Session] = {}  # sshd, login and cron, once they set the login uid

    def name_of(self, uid: int) -> str:
        """A uid as auditd interprets it."""
        if uid == UNSET:
            return "unset"
        return self._names.get(uid) or f"unknown({uid})"

    def learn(self, account: Account) -> None:
        """An account that exists from now on."""
        self._names.setdefault(account.uid, account.name)

    def login_of(self, who: GuestProcess) -> tuple[int, int]:
        """The audit uid and session that a process has; both are UNSET before a login and for daemons."""
        session = self._logged_in.get(who) or who.session
        if session.kind == "service" or (session.kind == "cron" and who.name == "cron" and who not in self._logged_in):
            return UNSET, UNSET
        return session.account.uid, session.id

    def log_in(self, who: GuestProcess, session: Session) -> None:
        """From now on `who` belongs to a session; the sshd that listens does not."""
        if who.name != "sshd" or who.ppid != 1:
            self._logged_in[who] = session

    def uid_of(self, name: str) -> int:
        """The uid of a user's name; 0 for one that is not known."""
        return next((uid for uid, known in self._names.items() if known == name), 0)


def parent_pid(who: GuestProcess, t_ns: int) -> int:
    """The pid of the parent at a time: orphans belong to init."""
    parent = who.parent
    if parent is not None and (parent.ended_ns < 0 or parent.ended_ns >= t_ns):
        return parent.pid
    return 0 if who.pid <= 2 else 1


def comm_of(who: GuestProcess) -> str:
    """The kernel's short name of a process: of the file that was executed, which a link can name otherwise."""
    return _executed_name(who)[:15]


def executed_path(who: GuestProcess) -> str:
    """The path that was given to execve: a link's, where `sh` or `python3` is one."""
    name = _executed_name(who)
    return who.exe if name == who.name else f"/usr/bin/{name}"


def _executed_name(who: GuestProcess) -> str:
    base = who.argv[0].rpartition("/")[2] if who.argv else ""
    linked = (base == "sh" and who.name in ("dash", "bash")) or (base == "python3" and who.name.startswith("python3."))
    return base if linked and who.exe.startswith("/usr/bin/") else who.name


def terminal(tty: str) -> str:
    """A terminal as user space names it: `pts/0`; audit's SYSCALL has `pts0`."""
    tty = tty.removeprefix("/dev/")
    return f"pts/{tty[3:]}" if tty[:3] == "pts" and tty[3:].isdecimal() else tty


def stable_hex(*names: object) -> str:
    """64 hex digits that depend on the names alone."""
    return hashlib.sha256("\0".join(map(str, names)).encode("utf-8", "surrogateescape")).hexdigest()
