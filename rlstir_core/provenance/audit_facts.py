"""Facts of Linux audit events: what a system call did.

The kernel's record names the process and its parent on every line. A call that failed makes a fact too, with
`_failed` behind its name: what was tried is evidence, but nothing flowed. What does not belong here: how records are
joined to an event and decoded (`hostlogs/auditd/parser.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from rlstir_core.hostlogs.schema import MISSING
from rlstir_core.provenance.facts import (
    TEXT_CHARS,
    Dropped,
    Ended,
    Executed,
    Fact,
    FileUsed,
    Forked,
    ProcessUsed,
    Row,
    SocketUsed,
    Who,
    address_of,
    path_of,
    port_of,
    text_of,
)

_CLONE_THREAD: Final = 0x10000
_ACCESS_MODE: Final = 0x3  # of open(2)'s flags: 0 reads, 1 writes, 2 does both
_PENDING = ("EINPROGRESS", "EAGAIN")  # a connection under way
_MOST_PATHS = 64  # of one event; rename has four


class _Path(msgspec.Struct, gc=False):
    path: object = None
    nametype: object = None


class _Address(msgspec.Struct, gc=False):
    family: object = None
    addr: object = None
    port: object = None
    path: object = None


class _Arguments(msgspec.Struct, gc=False):
    a0: object = None
    a1: object = None
    a2: object = None


class _Record(msgspec.Struct, gc=False):
    type: object = None
    fields: _Arguments = msgspec.field(default_factory=_Arguments)


class Call(msgspec.Struct, gc=False):
    """What `hostlogs/auditd/parser.py` says of an event with a system call."""

    syscall: str = ""
    result: str = ""
    exit: str = ""
    paths: list[_Path] = []
    sockaddr: _Address | None = None
    records: list[_Record] = []


_DECODER = msgspec.json.Decoder(Call)


def decode(raw: bytes | memoryview) -> Call:
    """The call of an event; its `syscall` is empty where the event has none. Dropped for what is no such JSON."""
    try:
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Dropped("fields") from None


def facts(row: Row, call: Call) -> list[Fact]:
    """The facts of one event; none where its call makes nothing."""
    made = CALLS.get(call.syscall)
    return made(row, call) if made is not None else []


def _who(row: Row) -> Who:
    return Who(row.pid, exe=path_of(row.exe), user=row.user, ppid=row.ppid)


def _done(call: Call) -> bool:
    return call.result != "fail" or call.exit in _PENDING


def _op(call: Call, op: str) -> str:
    return op if _done(call) else f"{op}_failed"


def _argument(call: Call, at: str) -> str:
    for record in call.records:
        if record.type == "SYSCALL":
            return text_of(getattr(record.fields, at))
    return ""


def _number(digits: str, base: int) -> int:
    """A number as the kernel prints it, hexadecimal without a prefix; MISSING for anything else."""
    try:
        return int(digits, base) if 0 < len(digits) <= 18 and digits[0].isalnum() and "_" not in digits else MISSING
    except ValueError:
        return MISSING


def _executed(row: Row, call: Call) -> list[Fact]:
    who = _who(row)
    found: list[Fact] = []
    if _done(call):
        found.append(Executed(who, row.cmdline[:TEXT_CHARS]))
    if call.paths and (path := path_of(call.paths[0].path)):
        found.append(FileUsed(who, path, _op(call, "execute")))
    return found


def _forked(row: Row, call: Call) -> list[Fact]:
    if not _done(call):
        return []
    if call.syscall == "clone":
        flags = _argument(call, "a0")
        named = "CLONE" in flags or "SIG" in flags
        if "CLONE_THREAD" in flags if named else _number(flags, 16) & _CLONE_THREAD:
            return []
    child = _number(call.exit, 10)
    if child <= 0:
        raise Dropped("child_pid")
    return [Forked(_who(row), child)]


def _ended(row: Row, call: Call) -> list[Fact]:
    return [Ended(_who(row))]


def _opened(flags_at: str) -> Callable[[Row, Call], list[Fact]]:
    def made(row: Row, call: Call) -> list[Fact]:
        flags = _argument(call, flags_at)
        writes = "O_WRONLY" in flags or "O_RDWR" in flags or (_number(flags, 16) & _ACCESS_MODE) in (1, 2)
        return _on_paths(row, call, "write" if writes and flags else "read")

    return made


def _on(op: str) -> Callable[[Row, Call], list[Fact]]:
    return lambda row, call: _on_paths(row, call, op)


def _on_paths(row: Row, call: Call, op: str) -> list[Fact]:
    """A fact for each path but the folders that only led there; a call can make one and remove another."""
    found: list[Fact] = []
    who = _who(row)
    for path in call.paths[:_MOST_PATHS]:
        name = path_of(path.path)
        if not name or path.nametype == "PARENT":
            continue
        if path.nametype == "CREATE":
            found.append(FileUsed(who, name, _op(call, "create")))
        if path.nametype == "DELETE":
            found.append(FileUsed(who, name, _op(call, "delete")))
        elif path.nametype != "CREATE" or op == "write":
            found.append(FileUsed(who, name, _op(call, op)))
    if not found:
        raise Dropped("name")
    return found


def _on_socket(op: str) -> Callable[[Row, Call], list[Fact]]:
    """Audit names one end: the far one, but for bind. It does not say the protocol."""

    def made(row: Row, call: Call) -> list[Fact]:
        socket = call.sockaddr
        if socket is None:
            raise Dropped("address")
        if socket.family in ("unix", "local"):
            if not (name := path_of(socket.path)):
                raise Dropped("anonymous")
            return [SocketUsed(_who(row), _op(call, op), "unix", name=name)]
        if socket.family not in ("inet", "inet6"):
            raise Dropped("family")
        address, port = address_of(socket.addr), port_of(socket.port)
        if not address:
            raise Dropped("address")
        if op == "bind":
            return [SocketUsed(_who(row), _op(call, op), src_ip=address, dst_port=port)]
        if op == "accept":  # the far end's port was picked for it
            return [SocketUsed(_who(row), _op(call, op), src_ip=address)]
        return [SocketUsed(_who(row), _op(call, op), dst_ip=address, dst_port=port)]

    return made


def _on_process(op: str, pid_at: str) -> Callable[[Row, Call], list[Fact]]:
    def made(row: Row, call: Call) -> list[Fact]:
        argument = _argument(call, pid_at)
        pid = _number(argument.removeprefix("0x"), 16)
        if not 0 < pid < 1 << 31:  # a group, or all
            raise Dropped("target")
        return [ProcessUsed(_who(row), Who(pid), _op(call, op))]

    return made


_REMOVE, _CHANGE, _LINK = _on("delete"), _on("attributes"), _on("read")

CALLS: dict[str, Callable[[Row, Call], list[Fact]]] = {
    "execve": _executed,
    "execveat": _executed,
    "clone": _forked,
    "fork": _forked,
    "vfork": _forked,
    "exit_group": _ended,  # exit ends one thread, and the record does not say whether it was the last
    "open": _opened("a1"),
    "openat": _opened("a2"),
    "openat2": _on("read"),
    "creat": _on("write"),
    "truncate": _on("write"),
    "mknod": _on("create"),
    "mknodat": _on("create"),
    "mkdir": _on("create"),
    "mkdirat": _on("create"),
    "unlink": _REMOVE,
    "unlinkat": _REMOVE,
    "rmdir": _REMOVE,
    "rename": _CHANGE,
    "renameat": _CHANGE,
    "renameat2": _CHANGE,
    "link": _LINK,
    "linkat": _LINK,
    "symlink": _LINK,
    "symlinkat": _LINK,
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat"), _CHANGE),
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr", "removexattr", "utime", "utimes", "utimensat"), _CHANGE),
    "connect": _on_socket("connect"),
    "sendto": _on_socket("connect"),
    "bind": _on_socket("bind"),
    "accept": _on_socket("accept"),
    "accept4": _on_socket("accept"),
    "kill": _on_process("signal", "a0"),
    "tkill": _on_process("signal", "a0"),
    "tgkill": _on_process("signal", "a0"),
    "ptrace": _on_process("trace", "a1"),
    "process_vm_readv": _on_process("access", "a0"),
    "process_vm_writev": _on_process("access", "a0"),
}
