"""Who Windows' logs say did something, and what every event's handler shares: GUIDs, logon ids, tokens, loggers.

What does not belong here: the fields of events (`sysmon.py` and the like) and their lines (`frame.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

import msgspec
import numpy as np

from rlstir_core.lab.machine.events import Account, Event, GuestProcess, LoggedOn, Session
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.lab.writers.windows.frame import Frame

NO_GUID: Final = "00000000-0000-0000-0000-000000000000"
NOBODY: Final = "S-1-0-0"
SYSTEM_SID: Final = "S-1-5-18"
KERNEL_PID: Final = 4
LOGON_TYPES: Final = {"console": 2, "network": 3, "cron": 4, "service": 5, "ssh": 8, "rdp": 10}
_SYSTEM_LOGONS = {"S-1-5-18": 0x3E7, "S-1-5-19": 0x3E5, "S-1-5-20": 0x3E4}
_LABELS = {"Low": 4096, "Medium": 8192, "High": 12288, "System": 16384}
_NS = 1_000_000_000
_DRAWS = 8192  # made at a time
_LATEST_NS = 900_000  # that a second record of an event comes after its first
_VERSIONS = ("10.0.19041.546", "10.0.20348.1", "10.0.22621.1")
# programs that an administrator's shell raises without or with a question
_RAISED = frozenset(
    {
        "auditpol.exe", "bcdedit.exe", "diskpart.exe", "fsutil.exe", "mmc.exe", "msiexec.exe", "regedit.exe", "sc.exe",
        "taskmgr.exe", "vssadmin.exe", "wbadmin.exe", "wevtutil.exe", "wsmprovhost.exe",
    }
)  # fmt: skip


class Subject(msgspec.Struct, frozen=True, gc=False):
    """An account as Security writes it: SID, name, domain, logon id."""

    sid: str
    name: str
    domain: str
    logon: str


class Actor(msgspec.Struct, frozen=True, gc=False):
    """A process as the logs write it."""

    guid: str
    pid: int
    hex_pid: str
    image: str
    user: str  # DOMAIN\\name
    subject: Subject
    integrity: str
    label: str  # the SID of the integrity level
    elevation: str  # %%1936 full token, %%1937 raised, %%1938 filtered
    device_path: str


class Desk:
    """What the handlers of all events share."""

    def __init__(
        self,
        guest: Guest,
        boot: Boot,
        events: Sequence[Event],
        living: Sequence[GuestProcess],
        rng: np.random.Generator,
    ) -> None:
        self.guest, self.boot = guest, boot
        self._rng = rng
        self._draws: Iterator[int] = iter(())
        digest = hashlib.sha256(f"windows\0{guest.name}".encode()).digest()
        self.version = _VERSIONS[digest[0] % len(_VERSIONS)]
        self.file_version = f"{self.version} (WinBuild.160101.0800)"
        self.recent = self.version >= _VERSIONS[1]  # these name the process that cleared a log
        self.keeps_deleted = digest[1] % 2 == 0  # Sysmon archives what is deleted: 23, else 26
        self.volume = f"\\device\\harddiskvolume{2 + digest[2] % 3}"
        self.offsets = int.from_bytes(digest[3:5], "big")
        self.n_boots = 3 + digest[5] % 40
        self.machine = guest.name.partition(".")[0][:15] + "$"
        self.frame = Frame(guest, boot, self.draw)
        self.gap_ns = 0  # until the next event
        self._actors: dict[GuestProcess, Actor] = {}
        self._subjects: dict[tuple[int, str], Subject] = {}
        self._logons = _logon_times(events, living)
        self._terminals: dict[int, int] = {}
        self._next_terminal = count(2)
        self.administrators = {guest.users[0].sid} if guest.users else set()
        self._programs(living)

    def _programs(self, living: Sequence[GuestProcess]) -> None:
        """Finds the processes that write logs; those that nobody simulates have pids that nothing else has."""
        taken = {each.pid for each in living}
        spare = (pid for pid in count(604 + 4 * (self.offsets % 40), 4) if pid not in taken)

        def find(*names: str, has: str = "") -> GuestProcess | None:
            fit = [each for each in living if each.name.lower() in names]
            return next((each for each in fit if has in each.cmdline.lower()), fit[0] if fit and not has else None)

        def pid_of(found: GuestProcess | None) -> int:
            return found.pid if found is not None else next(spare)

        self.winlogon, self.services = find("winlogon.exe"), find("services.exe")
        self.sysmon_pid = pid_of(find("sysmon64.exe", "sysmon.exe"))
        self.lsass_pid = pid_of(find("lsass.exe"))
        self.services_pid = pid_of(self.services)
        self.eventlog_pid = pid_of(find("svchost.exe", has="eventlog"))
        self.schedule_pid = pid_of(find("svchost.exe", has="schedule"))

    def draw(self) -> int:
        """A random number below 2**31."""
        found = next(self._draws, None)
        if found is None:
            self._draws = iter(self._rng.integers(2**31, size=_DRAWS).tolist())
            found = next(self._draws)
        return found

    def late(self, t_ns: int) -> int:
        """A time a little later, and before whatever happens next."""
        return t_ns + self.draw() % max(1, min(self.gap_ns, _LATEST_NS))

    def random_guid(self) -> str:
        """A GUID of no meaning, as the dialect writes it."""
        text = "".join(f"{self.draw() & 0xFFFF:04x}" for _ in range(8))
        return self.frame.guid(f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}")

    def actor(self, who: GuestProcess) -> Actor:
        """The process as the logs write it."""
        found = self._actors.get(who)
        if found is None:
            found = self._actors[who] = self._actor(who)
        return found

    def _actor(self, who: GuestProcess) -> Actor:
        integrity = self._integrity(who)
        exe = who.exe
        admin = who.account.sid in self.administrators
        elevation = "%%1936" if not admin else "%%1938" if integrity in {"Low", "Medium"} else "%%1937"
        return Actor(
            guid=self.process_guid(who),
            pid=who.pid,
            hex_pid=hex(who.pid),
            image=exe,
            user=user_of(who.account),
            subject=self.subject(who.account, who.session),
            integrity=integrity,
            label=f"S-1-16-{_LABELS[integrity]}",
            elevation=elevation,
            device_path=f"{self.volume}{exe[2:].lower()}" if exe[1:2] == ":" else exe,
        )

    def subject(self, account: Account, session: Session | None) -> Subject:
        """An account with its logon; services of the system go by the machine's name."""
        key = (session.id if session is not None else 0, account.sid or account.name)
        found = self._subjects.get(key)
        if found is None:
            logon = hex(self.logon_id(account, session))
            if account.sid in {"S-1-5-18", "S-1-5-20"}:
                found = Subject(account.sid, self.machine, self.guest.domain, logon)
            else:
                found = Subject(account.sid or NOBODY, account.name, account.domain or "-", logon)
            self._subjects[key] = found
        return found

    def logon_id(self, account: Account, session: Session | None) -> int:
        """The logon id: fixed ones for the system's own accounts."""
        fixed = _SYSTEM_LOGONS.get(account.sid)
        if fixed is not None:
            return fixed
        return session.id if session is not None else 0

    def process_guid(self, who: GuestProcess) -> str:
        """Sysmon's: machine, second of the start, number of the process, number of the boot."""
        number = who.number & 0xFFFFFFFF
        low, high = _swapped(number & 0xFFFF), _swapped(number >> 16)
        return self._guid(who.started_ns, low, f"{high}0000{_swapped(self.n_boots)}")

    def logon_guid(self, who: GuestProcess) -> str:
        """Sysmon's: machine, second of the logon, its id."""
        logon = self.logon_id(who.account, who.session)
        since = self.boot.boot_ns if logon < 0x1000 else self._logons.get(who.session.id, self.boot.boot_ns)
        low, high = _swapped(logon & 0xFFFF), _swapped(logon >> 16 & 0xFFFF)
        return self._guid(since, low, f"{high}{_swapped(logon >> 32 & 0xFFFF)}0000")

    def _guid(self, t_ns: int, fourth: str, fifth: str) -> str:
        second = t_ns // _NS & 0xFFFFFFFF
        return self.frame.guid(
            f"{self.guest.machine_guid[:8]}-{second & 0xFFFF:04x}-{second >> 16:04x}-{fourth}-{fifth}"
        )

    def terminal(self, session: Session) -> int:
        """Terminal Services' number of a session: 0 for services, 1 for the console."""
        if session.kind != "rdp":
            return 1 if session.kind == "console" else 0
        if session.id not in self._terminals:
            self._terminals[session.id] = next(self._next_terminal)
        return self._terminals[session.id]

    def start_key(self, who: GuestProcess) -> int:
        """The kernel's number of a process: that of the boot, then that of the process."""
        return self.n_boots << 48 | who.number

    def _integrity(self, who: GuestProcess) -> str:
        account, parent = who.account, who.parent
        if account.service:
            return "System" if account.sid in _SYSTEM_LOGONS else "High"
        if "--type=renderer" in who.cmdline:
            return "Low"
        if account.sid not in self.administrators:
            return "Medium"
        if who.session.kind not in {"console", "rdp"} or who.name.lower() in _RAISED:
            return "High"
        raised = parent is not None and parent.account.sid == account.sid and self.actor(parent).integrity == "High"
        return "High" if raised else "Medium"


def user_of(account: Account) -> str:
    """`DOMAIN\\name`."""
    return f"{account.domain}\\{account.name}" if account.domain else account.name


def _swapped(word: int) -> str:
    """The two bytes of `word`, the low one first."""
    return f"{word & 0xFF:02x}{word >> 8 & 0xFF:02x}"


def _logon_times(events: Sequence[Event], living: Sequence[GuestProcess]) -> dict[int, int]:
    """When each session began, as far as it is known: with its logon, else with its first process."""
    found: dict[int, int] = {}
    for each in living:
        found[each.session.id] = min(each.started_ns, found.get(each.session.id, each.started_ns))
    for event in events:
        if type(event) is LoggedOn and event.session is not None:
            found.setdefault(event.session.id, event.t_ns)
    return found
