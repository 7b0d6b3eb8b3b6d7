"""A small host: processes with pids, logins, addresses, and a clock that only goes forward; it notes every event.

Whoever drives it (`agenda.py`) sets `now_ns` and calls its methods in the order of time. What does not belong here:
which programs there are and what they do (`life/`), and how a log words it (`writers/`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rlstir_core.lab.machine.events import (
    Account,
    Connected,
    Event,
    Exited,
    FileOp,
    GuestProcess,
    LoggedOff,
    LoggedOn,
    OnFile,
    Queried,
    Session,
    Started,
)
from rlstir_core.lab.machine.guest import Boot, Guest

PID_MAX = 32_768  # of Linux, as most distributions have it
_UNUSED_NS = 3_000_000_000  # a pid rests that long
_SLACK = 4096
_TRIES = 40


class Machine:
    """The state of the host, and `events`: all that happened, in the order of time."""

    def __init__(self, guest: Guest, boot: Boot, rng: np.random.Generator) -> None:
        self.guest, self.boot = guest, boot
        self.now_ns = boot.boot_ns
        self.step = -1  # the attack action that acts now
        self.events: list[Event] = []
        self.living: dict[int, GuestProcess] = {}
        self._rng = rng
        self._micro = rng.integers(25_000, 420_000, _SLACK).tolist()  # ns between two things one thread does
        self._n_stamps = 0
        self._n_started = 0
        self._ended: dict[int, int] = {}  # pid -> when
        self._pid = int(rng.integers(1_200, 28_000))
        self._port = int(rng.integers(32_768, 60_000))
        self._session = int(rng.integers(3, 900))
        root = Session(self.new_session(), guest.root, kind="service")
        self.system = root

    def stamp(self) -> int:
        """The time of the next event: a little after the one before."""
        self._n_stamps += 1
        self.now_ns += self._micro[self._n_stamps % _SLACK]
        return self.now_ns

    def note(self, event: Event) -> None:
        """Adds an event that somebody else made."""
        self.events.append(event)

    def start(
        self,
        parent: GuestProcess | None,
        exe: str,
        argv: tuple[str, ...],
        *,
        account: Account | None = None,
        session: Session | None = None,
        cwd: str = "",
        build: str = "",
        pid: int | None = None,
    ) -> GuestProcess:
        """A new process; what is not given comes from its parent."""
        t_ns = self.stamp()
        self._n_started += 1
        made = GuestProcess(
            pid=self._new_pid() if pid is None else pid,
            parent=parent,
            exe=exe,
            argv=argv,
            account=account or (parent.account if parent else self.guest.root),
            session=session or (parent.session if parent else self.system),
            cwd=cwd or (parent.cwd if parent else ("/" if self.guest.os == "linux" else "C:\\Windows\\System32\\")),
            started_ns=t_ns,
            build=build,
            number=self._n_started,
        )
        self.living[made.pid] = made
        self.events.append(Started(t_ns=t_ns, who=made, step=self.step))
        return made

    def end(self, who: GuestProcess, code: int = 0) -> None:
        """`who` exits; nothing happens where it has already."""
        if who.ended_ns >= 0:
            return
        who.ended_ns = self.stamp()
        del self.living[who.pid]
        self._ended[who.pid] = who.ended_ns
        self.events.append(Exited(t_ns=who.ended_ns, who=who, step=self.step, code=code))

    def file(
        self,
        who: GuestProcess,
        op: FileOp,
        path: str,
        n_bytes: int = 0,
        *,
        to: str = "",
        mode: str = "",
        build: str = "",
    ) -> None:
        """`who` does `op` to a file."""
        self.events.append(
            OnFile(
                t_ns=self.stamp(),
                who=who,
                step=self.step,
                op=op,
                path=path,
                n_bytes=n_bytes,
                to=to,
                mode=mode,
                build=build,
            )
        )

    def connect(
        self,
        who: GuestProcess,
        ip: str,
        port: int,
        *,
        l4: Literal["tcp", "udp"] = "tcp",
        name: str = "",
        sent: int = 0,
        received: int = 0,
        duration_ns: int = 0,
        failed: bool = False,
    ) -> None:
        """`who` connects to `ip`:`port`, after asking for its name where it has one."""
        if name:
            self.events.append(Queried(t_ns=self.stamp(), who=who, step=self.step, name=name, answer=ip))
        self.events.append(
            Connected(
                t_ns=self.stamp(),
                who=who,
                step=self.step,
                src_ip=self.guest.ip,
                src_port=self.port(),
                dst_ip=ip,
                dst_port=port,
                l4=l4,
                name=name,
                sent=sent,
                received=received,
                duration_ns=duration_ns,
                failed=failed,
            )
        )

    def accept(
        self, who: GuestProcess, ip: str, port: int, *, sent: int = 0, received: int = 0, duration_ns: int = 0
    ) -> None:
        """`who` takes a connection from `ip` to its `port`."""
        self.events.append(
            Connected(
                t_ns=self.stamp(),
                who=who,
                step=self.step,
                src_ip=ip,
                src_port=self.port(),
                dst_ip=self.guest.ip,
                dst_port=port,
                inbound=True,
                sent=sent,
                received=received,
                duration_ns=duration_ns,
            )
        )

    def log_on(
        self,
        who: GuestProcess,
        account: Account,
        how: Literal["password", "publickey", "console", "network", "rdp", "service"],
        *,
        ok: bool = True,
        known: bool = True,
        src_ip: str = "",
        tty: str = "",
    ) -> Session | None:
        """Somebody logs on, or fails to; the new session where it worked."""
        session = None
        if ok:
            kind = {"password": "ssh", "publickey": "ssh"}.get(how, how)
            session = Session(self.new_session(), account, tty=tty, src_ip=src_ip, kind=kind)
        self.events.append(
            LoggedOn(
                t_ns=self.stamp(),
                who=who,
                step=self.step,
                account=account,
                how=how,
                ok=ok,
                known=known,
                src_ip=src_ip,
                src_port=self.port() if src_ip else 0,
                session=session,
            )
        )
        return session

    def log_off(self, who: GuestProcess, session: Session) -> None:
        """A session ends."""
        self.events.append(LoggedOff(t_ns=self.stamp(), who=who, step=self.step, session=session))

    def port(self) -> int:
        """A port that the system picks for a client."""
        low, high = (32_768, 60_999) if self.guest.os == "linux" else (49_152, 65_535)
        self._port += int(self._micro[self._n_stamps % _SLACK]) % 37 + 1
        if not low <= self._port <= high:
            self._port = low + self._port % (high - low)
        return self._port

    def new_session(self) -> int:
        """The number of the next session or logon."""
        self._session += 1
        return self._session if self.guest.os == "linux" else 0x10000 + self._session * 0x1F35

    def _new_pid(self) -> int:
        if self.guest.os == "linux":
            # threads and what no rule audits take pids as well
            self._pid += 1 + int(self._micro[self._n_stamps % _SLACK]) % 4
            while self._pid >= PID_MAX or self._pid in self.living:
                self._pid = 300 + self._pid % 211 if self._pid >= PID_MAX else self._pid + 1
            return self._pid
        for _ in range(_TRIES):
            pid = 4 * int(self._rng.integers(200, 3000))
            if pid not in self.living and self.now_ns - self._ended.get(pid, -_UNUSED_NS) >= _UNUSED_NS:
                return pid
        return next(pid for pid in range(12_000, 1 << 31, 4) if pid not in self.living)
