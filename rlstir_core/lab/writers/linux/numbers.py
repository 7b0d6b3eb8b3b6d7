"""Numbers and spellings of Linux logs: system calls, open flags, audit keys, message ids, hex where the kernel uses it.

What does not belong here: which events make which records (`audit.py`, `logins.py`, `journal.py`).
"""

from __future__ import annotations

import re
import socket
from functools import lru_cache
from typing import Final

UNSET: Final = 4294967295  # auid and ses of what no login began

# Of x86_64.
NUMBERS: Final = {
    "connect": 42,
    "recvfrom": 45,
    "clone": 56,
    "vfork": 58,
    "execve": 59,
    "kill": 62,
    "truncate": 76,
    "rename": 82,
    "mkdir": 83,
    "rmdir": 84,
    "unlink": 87,
    "ptrace": 101,
    "exit_group": 231,
    "openat": 257,
    "unlinkat": 263,
    "fchmodat": 268,
    "utimensat": 280,
    "accept4": 288,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "finit_module": 313,
    "renameat2": 316,
    "write": 1,
}
AT_FDCWD: Final = "ffffff9c"
O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND = 0x1, 0x2, 0x40, 0x80, 0x200, 0x400
O_NONBLOCK, O_DIRECTORY, O_CLOEXEC = 0x800, 0x10000, 0x80000
FORK_FLAGS: Final = "1200011"  # CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD
_EXEC_RECORD: Final = 7500  # characters of arguments in one EXECVE record
_EXEC_LEAST: Final = 104  # with less room than that the kernel begins another
_TITLE_BYTES: Final = 128

SETUID: Final = frozenset(("sudo", "su", "passwd", "chsh", "chfn", "newgrp", "gpasswd", "mount", "umount", "pkexec"))
NON_BLOCKING: Final = frozenset(("curl", "nginx", "node", "chrome", "firefox", "http", "https", "python", "snapd"))

# systemd's catalogue
STARTING: Final = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED: Final = "39f53479d3a045ac8e11786248231fbf"
STOPPING: Final = "de5b426a63be47a7b6ac3eaac82e2f6f"
STOPPED: Final = "9d1aaa27d60140bd96365438aad20286"
UNIT_DONE: Final = "7ad2d189f7e94e70a38c781354912448"
UNIT_FAILED: Final = "d9b373ed55a64feb8242e02dbe79a49c"
PROCESS_EXITED: Final = "98e322203f7a4ed290d09fe03c09fe15"
NEW_SESSION: Final = "8d45620c1a4348dbb17410da57c60c66"
REMOVED_SESSION: Final = "3354939424b4456d9802ca8333ed424a"

# A host's rules: what is watched by path comes before what is recorded by system call.
_WATCHED: Final = (
    ("/etc/passwd", "identity"),
    ("/etc/shadow", "identity"),
    ("/etc/group", "identity"),
    ("/etc/gshadow", "identity"),
    ("/etc/security/opasswd", "identity"),
    ("/etc/sudoers", "privilege"),
    ("/etc/ssh/", "sshd_config"),
    ("/etc/cron", "cron"),
    ("/var/spool/cron/", "cron"),
    ("/etc/systemd/", "systemd"),
    ("/usr/lib/systemd/", "systemd"),
    ("/lib/systemd/", "systemd"),
    ("/etc/ld.so", "libpath"),
    ("/etc/pam.d/", "pam"),
    ("/etc/audit/", "auditconfig"),
    ("/var/log/audit/", "auditlog"),
    ("/var/log/", "logfiles"),
    ("/etc/hosts", "system-locale"),
)
_BY_OP: Final = {"delete": "delete", "rename": "delete", "attributes": "perm_mod"}
_PLAIN = re.compile(r"[!#-~]*").fullmatch


@lru_cache(maxsize=1 << 14)
def untrusted(text: str) -> str:
    """A text as the kernel writes what it did not make: quoted, or hex where it holds a blank, a quote or no ASCII."""
    return f'"{text}"' if _PLAIN(text) else raw_bytes(text).hex().upper()


def raw_bytes(text: str) -> bytes:
    """The bytes of a text; lone surrogates stand for bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def proctitle(argv: tuple[str, ...]) -> str:
    """The `proctitle` of a process: its arguments with NULs between, cut, nearly always hex."""
    raw = b"\0".join(map(raw_bytes, argv))[:_TITLE_BYTES].rstrip(b"\0 \t\n")
    text = raw.decode("latin-1")
    return f'"{text}"' if text and _PLAIN(text) else raw.hex().upper() or "(null)"


def exec_records(argv: tuple[str, ...]) -> str:
    """The EXECVE records of an execution; a long list, and an argument too long for one record, go on in the next."""
    head = "type=EXECVE msg=audit(\0): "
    line = f"{head}argc={len(argv)}"
    left = _EXEC_RECORD
    done = []
    for at, arg in enumerate(argv):
        quoted = untrusted(arg)
        is_hex = quoted[:1] != '"'
        body = quoted if is_hex else quoted[1:-1]
        first = f" a{at}_len={len(body)}"
        n = 0
        while True:
            if left < _EXEC_LEAST:
                done.append(line)
                line, left = head, _EXEC_RECORD
            if not n and len(quoted) + _EXEC_LEAST <= left:
                whole = f" a{at}={quoted}"
                line += whole
                left -= len(whole)
                break
            mark = f"{first} a{at}[{n}]="
            first = ""
            room = (left - len(mark)) // 2 * 2 if is_hex else left - len(mark) - 2
            line += mark + (body[:room] if is_hex else f'"{body[:room]}"')
            left -= len(mark) + min(room, len(body)) + 2
            body = body[room:]
            n += 1
            if not body:
                break
    return "\n".join([*done, line]) + "\n"


@lru_cache(maxsize=1 << 14)
def key_of(op: str, path: str) -> str:
    """The key of the rule that records `op` on a file."""
    for prefix, key in _WATCHED:
        if path.startswith(prefix):
            return key
    return "ssh_keys" if "/.ssh/" in path else _BY_OP.get(op, "files")


@lru_cache(maxsize=1 << 12)
def sockaddr(ip: str, port: int) -> tuple[str, str, str]:
    """`saddr` in hex, its length in hex, and how auditd interprets it."""
    if ":" in ip:
        raw = b"\x0a\0" + port.to_bytes(2, "big") + bytes(4) + socket.inet_pton(socket.AF_INET6, ip) + bytes(4)
        return raw.hex().upper(), "1c", f"{{ saddr_fam=inet6 laddr={ip} lport={port} }}"
    raw = b"\x02\0" + port.to_bytes(2, "big") + socket.inet_aton(ip) + bytes(8)
    return raw.hex().upper(), "10", f"{{ saddr_fam=inet laddr={ip} lport={port} }}"
