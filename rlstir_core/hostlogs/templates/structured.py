"""Structured templates, which the form of a record gives: which of its values say what kind of event it is.

A program of the system's own says it, and so does the root of a path; a program from elsewhere and the rest of a path
are parameters, and so is whatever looks like no word. They are the same in every file, so that one log's
vocabulary is another's. What does not belong here: templates of free text (`mined.py`), and which fields a format
has (`auditd/`, `windows/`).
"""

from __future__ import annotations

import re
from functools import lru_cache

PARAMETER = "<*>"
_WORD = re.compile(r"[\w%:.-]{1,24}", re.ASCII).fullmatch
_SYSTEM = ("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/", "/bin/", "/sbin/", "/lib/")
_SYSTEM_WINDOWS = ("c:\\windows\\", "c:\\program files\\", "c:\\program files (x86)\\")
_ROOTS = frozenset(
    {"bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt"}
    | {"proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"}
)
_ROOTS_WINDOWS = frozenset(
    {"windows", "users", "program files", "program files (x86)", "programdata", "software", "system", "security", "sam"}
)
_PATH_CHARS = 512  # of a program that can be one of the system
_ROOT_CHARS = 64  # that hold the root of a path
_PROGRAM = re.compile(r"[A-Za-z0-9_.+-]{1,40}", re.ASCII).fullmatch


def kind(value: str) -> str:
    """A value that says what kind of event it is; a parameter where it is no single short word."""
    return value if _WORD(value) else PARAMETER


def program(exe: str) -> str:
    """The name of a program of the system's own; a parameter for any other."""
    return _program(exe) if len(exe) <= _PATH_CHARS else PARAMETER


def place(path: str) -> str:
    """`/etc/<*>`, `c:\\\\users\\\\<*>`, `hklm\\\\software\\\\<*>`: the root of a path, where it is a usual one."""
    return _place(path[:_ROOT_CHARS])


# what is remembered is short: a log may hold long paths without end
@lru_cache(maxsize=1 << 14)
def _program(exe: str) -> str:
    lower = exe[:32].lower()
    if lower.startswith(_SYSTEM):
        name = exe[exe.rfind("/") + 1 :]
    elif lower.startswith(_SYSTEM_WINDOWS):
        name = exe[exe.rfind("\\") + 1 :].lower()
    else:
        return PARAMETER
    return name if _PROGRAM(name) else PARAMETER


@lru_cache(maxsize=1 << 14)
def _place(path: str) -> str:
    if path.startswith("/"):
        root = path[1:].partition("/")[0]
        return f"/{root}/{PARAMETER}" if root in _ROOTS else PARAMETER
    drive, _, rest = path.lower().partition("\\")
    root = rest.partition("\\")[0]
    if drive in ("c:", "hklm", "hku", "hkcu", "hkcr") and root in _ROOTS_WINDOWS:
        return f"{drive}\\{root}\\{PARAMETER}"
    return f"{drive}\\{PARAMETER}" if drive in ("c:", "d:", "hklm", "hku", "hkcu", "hkcr") else PARAMETER
