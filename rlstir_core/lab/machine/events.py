"""What happens on a simulated host, one struct per kind of event: the story that telemetry and logs both tell.

Every event says when (`t_ns`, CLOCK_REALTIME) and who (`who`, the process that did it). `step` is the number of the
attack action that it belongs to and -1 for everything else; it is the truth, and no writer reads it. What does not
belong here: how a log words an event (`writers/`), and what makes events happen (`machine.py`, `life/`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

FileOp = Literal["read", "write", "create", "delete", "attributes", "rename"]


class Account(msgspec.Struct, frozen=True, gc=False):
    """A user. `uid` is Linux', `sid` is Windows'; `service` accounts never sit at a keyboard."""

    name: str
    uid: int = 0
    sid: str = ""
    domain: str = ""
    home: str = ""
    service: bool = False


class Session(msgspec.Struct, gc=False):
    """A login: audit's `ses` and `auid`, Windows' logon id. `tty` is empty where there is no terminal."""

    id: int
    account: Account
    tty: str = ""
    src_ip: str = ""
    kind: str = "console"  # console, ssh, network, rdp, service, cron


class GuestProcess(msgspec.Struct, gc=False, eq=False):
    """A process with one image for life; pids are reused after it ended.

    `build` tells images of one path apart: empty for the system's own file, else a random word of that file's content.
    """

    pid: int
    parent: GuestProcess | None
    exe: str  # full path
    argv: tuple[str, ...]  # Linux: the arguments; Windows: one text, the command line
    account: Account
    session: Session
    cwd: str
    started_ns: int
    ended_ns: int = -1  # -1 while it lives
    build: str = ""
    number: int = 0  # of this process in the episode, counted in the order of starts; for GUIDs

    @property
    def cmdline(self) -> str:
        """The command line as text."""
        return " ".join(self.argv)

    @property
    def ppid(self) -> int:
        """The parent's pid; 0 where there is none."""
        return self.parent.pid if self.parent is not None else 0

    @property
    def name(self) -> str:
        """The image's file name."""
        return self.exe[max(self.exe.rfind("\\"), self.exe.rfind("/")) + 1 :]


class Event(msgspec.Struct, kw_only=True, gc=False, eq=False):
    """What all events say."""

    t_ns: int
    who: GuestProcess
    step: int = -1


class Started(Event):
    """`who` began: its parent forked and the child executed `who.exe`."""


class Exited(Event):
    """`who` ended with `code`."""

    code: int = 0


class OnFile(Event):
    """`who` did `op` to a file; `n_bytes` were read or written. `to` is the new name of a rename."""

    op: FileOp
    path: str
    n_bytes: int = 0
    to: str = ""
    mode: str = ""  # of `attributes` on Linux: `0755`
    build: str = ""  # content of an executable that was written: the `build` of processes that run it


class Connected(Event):
    """A connection of `who`. Outward from src to dst; `inbound`: src is the far end that began it.

    `sent` and `received` are bytes as `who` counts them; it lasted `duration_ns`.
    """

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    l4: Literal["tcp", "udp"] = "tcp"
    inbound: bool = False
    name: str = ""  # of the far host, where it was looked up
    sent: int = 0
    received: int = 0
    duration_ns: int = 0
    failed: bool = False  # refused or timed out


class Queried(Event):
    """`who` asked the resolver for `name`."""

    name: str
    answer: str = ""  # an address; empty where there is none


class OnRegistry(Event):
    """`who` set, made or deleted a key or value (Windows)."""

    op: Literal["set", "create", "delete"]
    key: str  # HKLM\\… or HKU\\…, with the value's name
    value: str = ""


class OnProcess(Event):
    """`who` opened, traced, signalled or made a thread in `target`."""

    op: Literal["access", "trace", "signal", "thread"]
    target: GuestProcess
    mask: int = 0x1410  # access: Windows' rights
    signal: int = 15


class Loaded(Event):
    """`who` loaded a library or a driver (Windows)."""

    path: str
    signed: bool = True
    driver: bool = False
    build: str = ""


class OnPipe(Event):
    """`who` made or opened a named pipe (Windows)."""

    op: Literal["create", "connect"]
    name: str


class RanScript(Event):
    """`who`, a PowerShell, ran a block of script."""

    text: str


class LoggedOn(Event):
    """Someone tried to log on; `who` is the process that checked (sshd, login, lsass).

    `how`: password, publickey, console, network, rdp, service. On success `session` is the new one.
    """

    account: Account
    how: Literal["password", "publickey", "console", "network", "rdp", "service"]
    ok: bool = True
    known: bool = True  # False: no such user
    src_ip: str = ""
    src_port: int = 0
    session: Session | None = None


class LoggedOff(Event):
    """A session ended."""

    session: Session


class Sudoed(Event):
    """`who` is sudo, asked by `account` to run `command` as `target`."""

    account: Account
    target: Account
    command: str
    ok: bool = True


class OnService(Event):
    """A service or unit was installed, started, stopped, or failed. `who` is the service manager, or the installer."""

    what: Literal["installed", "started", "stopped", "failed"]
    service: str  # `nginx` (Linux: without .service)
    exe: str = ""
    title: str = ""


class OnTask(Event):
    """A scheduled task or a crontab was made, changed, deleted or run."""

    what: Literal["created", "changed", "deleted", "ran"]
    task: str  # Windows: \\Path\\Name; Linux: the crontab's user
    command: str = ""
    account: Account | None = None


class OnAccount(Event):
    """An account was created, deleted, put into a group, or got a password."""

    what: Literal["created", "deleted", "group", "password"]
    target: Account
    group: str = ""


class Cleared(Event):
    """`who` cleared a log (Windows: channel name)."""

    log: str


class Wrote(Event):
    """`who` wrote a line of text: Linux to the journal (and to auth.log where `auth`), Windows to a provider's channel.

    Windows: `provider`, `event_id` and `fields` name the event, `channel` its log.
    """

    text: str = ""
    priority: int = 6
    auth: bool = False
    unit: str = ""  # the systemd unit that speaks
    identifier: str = ""  # syslog's, where it is not the image's name
    provider: str = ""
    channel: str = ""
    event_id: int = 0
    fields: dict[str, str] = {}
