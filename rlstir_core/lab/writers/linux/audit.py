"""The audit log of a guest: what the kernel records of system calls, and the file that auditd makes of it.

An event is a text of lines that share one stamp; the stamp, with the serial, is put in at the end, when all events
are in the order of time. What does not belong here: what programs send to audit themselves (`logins.py`).
"""

from __future__ import annotations

from operator import itemgetter
from posixpath import dirname, join, normpath

import msgspec

from rlstir_core.lab.machine.events import Connected, Exited, GuestProcess, Loaded, OnFile, OnProcess, Started
from rlstir_core.lab.writers.linux import numbers as no
from rlstir_core.lab.writers.linux.files import Files
from rlstir_core.lab.writers.linux.numbers import NUMBERS, untrusted
from rlstir_core.lab.writers.linux.scene import LinuxScene, comm_of, executed_path, parent_pid

_MS = 1_000_000
_LOADER = "/lib64/ld-linux-x86-64.so.2"
_REFUSED, _TIMED_OUT, _IN_PROGRESS = "-111", "-110", "-115"
_LONG_NS = 1_000_000_000  # a connection that failed after that long was not refused
_LISTERS = ("ls", "find", "du", "tree", "run-parts")  # they open folders
_LOG_FILES = {
    "audit": "/var/log/audit/audit.log",
    "auth": "/var/log/auth.log",
    "syslog": "/var/log/syslog",
    "wtmp": "/var/log/wtmp",
    "journal": "/var/log/journal",
}


class _Actor(msgspec.Struct, gc=False):
    """What every record of one process repeats."""

    who: str  # ` ppid=… subj=unconfined key=`
    ids: str  # what auditd interprets, behind the name of the call
    title: str
    text: str  # addresses in the program, on its stack and in libc, without the last digits
    stack: str
    lib: str


class AuditLog:
    """Collects audit events; `finish` gives the file."""

    def __init__(self, scene: LinuxScene) -> None:
        self._scene, self._draw = scene, scene.draw
        self._events: list[tuple[int, str]] = []
        self._actors: dict[tuple[GuestProcess, int, int], _Actor] = {}
        self._places: dict[GuestProcess, tuple[int, int]] = {}  # where its memory lies
        self._before_ns = 0  # the simulated event before this one
        self.files = Files(scene)

    def add(self, t_ns: int, text: str) -> None:
        """An event: whole lines, with NUL where the stamp belongs."""
        self._events.append((max(t_ns, self._scene.boot.start_ns), text))

    def finish(self, until_ns: int) -> bytes:
        """The file, up to a time."""
        self._events.sort(key=itemgetter(0))
        serial = self._scene.boot.audit_serial
        parts = []
        for t_ns, text in self._events:
            if t_ns <= until_ns:
                ms = t_ns // _MS
                parts.append(text.replace("\0", f"{ms // 1000}.{ms % 1000:03d}:{serial}"))
                serial = (serial + 1) & 0xFFFFFFFF
        return "".join(parts).encode("utf-8", "surrogateescape")

    def now(self, t_ns: int) -> None:
        """The next simulated event is about to be written."""
        self._before_ns = t_ns

    # What a process does

    def started(self, event: Started) -> None:
        """The parent forks, the child executes."""
        who, parent = event.who, event.who.parent
        if parent is not None:
            # never before what the parent did last, its own execution above all
            forked_ns = max(event.t_ns - self._draw.between(120_000, 900_000), self._before_ns)
            actor = self._actor(parent, forked_ns)
            fork = parent.name == "dash" or parent.name.startswith("python3")
            a = ("0", actor.stack + "c10", "0", "7") if fork else (no.FORK_FLAGS, "0", "0", f"{actor.lib}a10")
            self._call(forked_ns, actor, "vfork" if fork else "clone", a, returned=str(who.pid))
        argv = who.argv or (who.exe,)
        actor = self._actor(who, event.t_ns)
        path = executed_path(who)
        middle = (
            no.exec_records(argv)
            + f"type=CWD msg=audit(\0): cwd={untrusted(who.cwd or '/')}\n"
            + self.files.executed(0, path)
            + self.files.executed(1, _LOADER)
        )
        number = self._draw()  # addresses of the program that was before
        heap = f"55{number >> 8:06x}"
        a = (
            f"{heap}{number & 0xFF0:04x}",
            f"{heap}2{number >> 4 & 0xFF8:03x}",
            f"{heap}5{number >> 9 & 0xFF0:03x}",
            "8",
        )
        self._call(event.t_ns, actor, "execve", a, items=2, key="exec", middle=middle)

    def exited(self, event: Exited) -> None:
        """The process leaves; one that a signal ended (a negative code) makes no system call."""
        if event.code < 0:
            return
        actor = self._actor(event.who, event.t_ns)
        enriched = f"\x1dARCH=x86_64 SYSCALL=exit_group{actor.ids}" if actor.ids else ""
        self.add(
            event.t_ns,
            f"type=SYSCALL msg=audit(\0): arch=c000003e syscall=231 a0={event.code & 0xFF:x} a1=e7 a2=3c "
            f"a3={actor.stack}7f0 items=0{actor.who}(null){enriched}\n{actor.title}",
        )

    def on_file(self, event: OnFile) -> None:
        """One system call on a file."""
        path = event.path
        key = no.key_of(event.op, path)
        if event.op == "read":
            folder = path.endswith("/") or event.who.name in _LISTERS
            flags = no.O_CLOEXEC | (no.O_NONBLOCK | no.O_DIRECTORY if folder else 0)
            self._open(event, path.rstrip("/") or "/", flags, key)
        elif event.op == "write":
            self._write(event, path, key)
        elif event.op == "create" and path.endswith("/"):
            self._made(event, path.rstrip("/"), "mkdir", 0o040755, key)
        elif event.op == "create":
            self._made(event, path, "openat", 0o100644, key)
        elif event.op == "delete":
            self._delete(event, path, key)
        elif event.op == "rename":
            self._rename(event, key)
        else:
            self._attributes(event, key)

    def connected(self, event: Connected) -> None:
        """A socket is connected, or one is taken from a listener."""
        if event.inbound:
            self._accepted(event)
            return
        returned = "0"
        if event.l4 == "tcp" and event.failed:
            returned = _TIMED_OUT if event.duration_ns >= _LONG_NS else _REFUSED
        elif event.l4 == "tcp" and event.who.name.rstrip(".0123456789") in no.NON_BLOCKING:
            returned = _IN_PROGRESS
        self.connect(event.t_ns, event.who, event.dst_ip, event.dst_port, returned)

    def connect(self, t_ns: int, who: GuestProcess, ip: str, port: int, returned: str = "0") -> None:
        """A system call that connects to an address."""
        actor = self._actor(who, t_ns)
        saddr, length, words = no.sockaddr(ip, port)
        a = (f"{3 + self._draw() % 17:x}", f"{actor.stack}{self._draw() & 0xFF0:03x}", length, f"{self._draw() & 7:x}")
        self._call(t_ns, actor, "connect", a, returned=returned, key="net", middle=self._sockaddr(saddr, words))

    def on_process(self, event: OnProcess) -> None:
        """A process traces, reads, writes into or signals another."""
        who, target = event.who, event.target
        actor = self._actor(who, event.t_ns)
        pid, middle, key = f"{target.pid:x}", "", "tracing"
        vector = (f"{actor.stack}4d0", "1", f"{actor.stack}4e0")
        if event.op == "signal":
            name, a, key = "kill", (pid, f"{event.signal:x}", "0", f"{actor.lib}8b0"), "signals"
        elif event.op == "trace":
            name, a = "ptrace", ("10", pid, "0", "0")
        elif event.op == "thread":
            name, a = "process_vm_writev", (pid, *vector)
        else:
            name, a = "process_vm_readv", (pid, *vector)
        if event.op in ("signal", "trace"):
            middle = self._object(target)
        self._call(event.t_ns, actor, name, a, key=key, middle=middle)

    def loaded(self, event: Loaded) -> None:
        """A library is opened, or a module goes into the kernel."""
        if not event.driver:
            self._open(event, event.path, no.O_CLOEXEC, no.key_of("read", event.path))
            return
        module = event.path.rpartition("/")[2].partition(".")[0].replace("-", "_")
        actor = self._actor(event.who, event.t_ns)
        a = ("3", f"{actor.text}2c0", "0", "3")
        middle = f"type=KERN_MODULE msg=audit(\0): name={untrusted(module)}\n"
        self._call(event.t_ns, actor, "finit_module", a, key="modules", middle=middle)

    def cleared(self, t_ns: int, who: GuestProcess, log: str) -> None:
        """A log is emptied; of the journal, the archived files are removed."""
        path = _LOG_FILES.get(log, log if log.startswith("/") else f"/var/log/{log}")
        event = OnFile(t_ns=t_ns, who=who, op="write", path=path)
        if path.startswith("/var/log/journal"):
            name = f"/var/log/journal/{self._scene.machine_id}/system@{self._draw():032x}-{self._draw():016x}.journal"
            self._delete(event, name, no.key_of("delete", name))
        else:
            self._open(event, path, no.O_WRONLY | no.O_CREAT | no.O_TRUNC, no.key_of("write", path))

    # System calls on files

    def _write(self, event: OnFile, path: str, key: str) -> None:
        """A file is opened to be written."""
        if path.startswith("/var/log/") or path.endswith(("_history", "known_hosts", "authorized_keys", ".log")):
            flags = no.O_WRONLY | no.O_CREAT | no.O_APPEND
        elif path.startswith("/dev/"):
            flags = no.O_WRONLY
        elif path.endswith((".db", ".sqlite", ".wal", ".journal", ".dat")) or event.who.name == "postgres":
            flags = no.O_RDWR | no.O_CREAT | no.O_CLOEXEC
        else:
            flags = no.O_WRONLY | no.O_CREAT | no.O_TRUNC
        self._open(event, path, flags, key)

    def _open(self, event: OnFile | Loaded, path: str, flags: int, key: str) -> None:
        name, cwd = self._named(event.who, path)
        folder = bool(flags & no.O_DIRECTORY)
        if flags & no.O_CREAT:
            paths = self._parent(0, name, path, cwd) + self.files.record(1, name, path, "NORMAL")
        else:
            paths = self.files.record(0, name, path, "NORMAL", folder)
        self._openat(event, flags, cwd, paths, key)

    def _openat(self, event: OnFile | Loaded, flags: int, cwd: str, paths: str, key: str) -> None:
        actor = self._actor(event.who, event.t_ns)
        mode = "1b6" if flags & no.O_CREAT else "0"
        a = (no.AT_FDCWD, f"{actor.text}{self._draw() & 0xFF0:03x}", f"{flags:x}", mode)
        returned = str(3 + self._draw() % 9)
        items = 2 if flags & no.O_CREAT else 1
        self._call(event.t_ns, actor, "openat", a, returned=returned, items=items, key=key, middle=cwd + paths)

    def _made(self, event: OnFile, path: str, call: str, mode: int, key: str) -> None:
        self.files.create(path, event.who.account.uid, mode)
        name, cwd = self._named(event.who, path)
        paths = self._parent(0, name, path, cwd) + self.files.record(1, name, path, "CREATE")
        if call == "openat":
            temporary = path.startswith(("/tmp/", "/var/tmp/"))  # noqa: S108
            flags = no.O_RDWR | no.O_CREAT | no.O_EXCL if temporary else no.O_WRONLY | no.O_CREAT | no.O_TRUNC
            self._openat(event, flags, cwd, paths, key)
            return
        actor = self._actor(event.who, event.t_ns)
        self._call(
            event.t_ns, actor, call, (f"{actor.stack}3f1", "1ff", "1ff", "0"), items=2, key=key, middle=cwd + paths
        )

    def _delete(self, event: OnFile, path: str, key: str) -> None:
        """A name is removed."""
        folder = path.endswith("/")
        path = path.rstrip("/")
        name, cwd = self._named(event.who, path)
        actor = self._actor(event.who, event.t_ns)
        paths = self._parent(0, name, path, cwd) + self.files.record(1, name, path, "DELETE", folder)
        if folder:
            call, a = "rmdir", (f"{actor.stack}3f1", "0", "0", "0")
        elif event.who.name in ("rm", "find", "shred", "systemd", "journalctl"):
            call, a = "unlinkat", (no.AT_FDCWD, f"{actor.text}4d0", "0", "0")
        else:
            call, a = "unlink", (f"{actor.text}2a0", "0", "0", f"{actor.lib}1c0")
        self._call(event.t_ns, actor, call, a, items=2, key=key, middle=cwd + paths)
        self.files.delete(path)

    def _rename(self, event: OnFile, key: str) -> None:
        path, to = event.path, event.to or f"{event.path}.old"
        (name, cwd), (new, _) = self._named(event.who, path), self._named(event.who, to)
        actor = self._actor(event.who, event.t_ns)
        paths = (
            self._parent(0, name, path, cwd)
            + self._parent(1, new, to, cwd)
            + self.files.record(2, name, path, "DELETE")
        )
        self.files.move(path, to)
        paths += self.files.record(3, new, to, "CREATE")
        if event.who.name == "mv":
            call, a = "renameat2", (no.AT_FDCWD, f"{actor.stack}3a1", no.AT_FDCWD, f"{actor.stack}3c9")
        else:
            call, a = "rename", (f"{actor.text}1e0", f"{actor.text}2b0", "0", f"{actor.lib}1c0")
        self._call(event.t_ns, actor, call, a, items=4, key=key, middle=cwd + paths)

    def _attributes(self, event: OnFile, key: str) -> None:
        path = event.path.rstrip("/")
        name, cwd = self._named(event.who, path)
        actor = self._actor(event.who, event.t_ns)
        mode = event.mode if event.mode and set(event.mode) <= set("01234567") else ""
        paths = self.files.record(0, name, path, "NORMAL", event.path.endswith("/"))
        if mode:
            call, a = "fchmodat", (no.AT_FDCWD, f"{actor.text}4d0", f"{int(mode, 8):x}", "0")
            self.files.change(path, int(mode, 8))
        else:
            call, a = "utimensat", (no.AT_FDCWD, f"{actor.stack}3e7", f"{actor.stack}1c0", "0")
        self._call(event.t_ns, actor, call, a, items=1, key=key, middle=cwd + paths)

    def _accepted(self, event: Connected) -> None:
        if event.failed:
            return  # no process ever sees it
        actor = self._actor(event.who, event.t_ns)
        saddr, _, words = no.sockaddr(event.src_ip, event.src_port)
        middle = self._sockaddr(saddr, words)
        if event.l4 == "udp":
            a = ("5", f"{actor.stack}2d0", "1000", "0")
            self._call(event.t_ns, actor, "recvfrom", a, returned=str(event.received), key="net", middle=middle)
            return
        returned = str(4 + self._draw() % 24)
        flags = "80800" if event.who.name == "nginx" else "80000"
        a = ("3", f"{actor.stack}2d0", f"{actor.stack}2bc", flags)
        self._call(event.t_ns, actor, "accept4", a, returned=returned, key="net", middle=middle)

    # Records

    def _call(
        self,
        t_ns: int,
        actor: _Actor,
        name: str,
        a: tuple[str, str, str, str],
        *,
        returned: str = "0",
        items: int = 0,
        key: str = "",
        middle: str = "",
    ) -> None:
        success = "no" if returned[0] == "-" else "yes"
        key = f'"{key}"' if key else "(null)"
        enriched = f"\x1dARCH=x86_64 SYSCALL={name}{actor.ids}" if actor.ids else ""
        self.add(
            t_ns,
            f"type=SYSCALL msg=audit(\0): arch=c000003e syscall={NUMBERS[name]} success={success} exit={returned} "
            f"a0={a[0]} a1={a[1]} a2={a[2]} a3={a[3]} items={items}{actor.who}{key}{enriched}\n{middle}{actor.title}",
        )

    def login_call(self, t_ns: int, who: GuestProcess) -> str:
        """The records beside LOGIN: the process writes its own login uid."""
        actor = self._actor(who, t_ns)
        enriched = f"\x1dARCH=x86_64 SYSCALL=write{actor.ids}" if actor.ids else ""
        return (
            f"type=SYSCALL msg=audit(\0): arch=c000003e syscall=1 success=yes exit=4 a0=3 a1={actor.stack}d10 a2=4 "
            f"a3=0 items=0{actor.who}(null){enriched}\n{actor.title}"
        )

    def _actor(self, who: GuestProcess, t_ns: int) -> _Actor:
        ppid = parent_pid(who, t_ns)
        auid, ses = self._scene.login_of(who)
        key = who, ppid, ses
        found = self._actors.get(key)
        if found is None:
            found = self._actors[key] = self._new_actor(who, ppid, auid, ses)
        return found

    def _new_actor(self, who: GuestProcess, ppid: int, auid: int, ses: int) -> _Actor:
        scene, draw = self._scene, self._draw
        uid = who.account.uid
        euid = 0 if who.name in no.SETUID else uid
        tty = who.session.tty.removeprefix("/dev/").replace("/", "") or "(none)"
        ids = ""
        if scene.guest.enriched:
            name, effective = scene.name_of(uid), scene.name_of(euid)
            ids = (
                f' AUID="{scene.name_of(auid)}" UID="{name}" GID="{name}" EUID="{effective}" SUID="{effective}" '
                f'FSUID="{effective}" EGID="{name}" SGID="{name}" FSGID="{name}"'
            )
        if who not in self._places:
            self._places[who] = draw(), draw()
        number, other = self._places[who]
        return _Actor(
            f" ppid={ppid} pid={who.pid} auid={auid} uid={uid} gid={uid} euid={euid} suid={euid} fsuid={euid} "
            f"egid={uid} sgid={uid} fsgid={uid} tty={tty} ses={ses} comm={untrusted(comm_of(who))} "
            f"exe={untrusted(who.exe)} subj=unconfined key=",
            ids,
            f"type=PROCTITLE msg=audit(\0): proctitle={no.proctitle(who.argv or (who.exe,))}\n",
            f"55{number & 0xFFFFFFF:07x}",
            f"7ff{other & 0xFFFFFF:06x}",
            f"7f{number >> 4 & 0xFFFFFFF:07x}",
        )

    def _sockaddr(self, saddr: str, words: str) -> str:
        enriched = f"\x1dSADDR={words}" if self._scene.guest.enriched else ""
        return f"type=SOCKADDR msg=audit(\0): saddr={saddr}{enriched}\n"

    def _object(self, target: GuestProcess) -> str:
        scene = self._scene
        auid, ses = scene.login_of(target)
        uid = target.account.uid
        enriched = f'\x1dOAUID="{scene.name_of(auid)}" OUID="{scene.name_of(uid)}"' if scene.guest.enriched else ""
        return (
            f"type=OBJ_PID msg=audit(\0): opid={target.pid} oauid={auid} ouid={uid} oses={ses} obj=unconfined "
            f"ocomm={untrusted(comm_of(target))}{enriched}\n"
        )

    def _named(self, who: GuestProcess, path: str) -> tuple[str, str]:
        """How the program calls a path, relative at a terminal, and the CWD record."""
        cwd = who.cwd or "/"
        record = f"type=CWD msg=audit(\0): cwd={untrusted(cwd)}\n"
        if who.session.tty and cwd != "/" and path.startswith(f"{cwd}/") and normpath(path) == path:
            return path[len(cwd) + 1 :], record
        return path, record

    def _parent(self, item: int, name: str, path: str, cwd_record: str) -> str:
        """The PATH record of the folder that holds a path; a bare name lies in the working directory."""
        folder = dirname(path) or "/"
        parent = join(dirname(name), "") if "/" in name else folder
        return self.files.record(item, parent, folder, "PARENT", folder=True)
