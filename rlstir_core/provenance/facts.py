"""What a log row says about processes, as typed facts: the only thing that a graph is made of.

A fact names processes as the row names them (`Who`); which node that is, `processes.py` decides. What does not belong
here: formats (`windows_facts.py`, `audit_facts.py`) and nodes (`graph.py`).
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

import msgspec

from rlstir_core.hostlogs.schema import MISSING

PATH_CHARS: Final = 4096  # of a path, a pipe, a query name; a longer one is cut and told by its hash
TEXT_CHARS: Final = 8192  # of a command line
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?").fullmatch
_NO_GUID = "00000000-0000-0000-0000-000000000000"
_SHA256 = re.compile(r"(?:^|,)SHA256=([0-9A-Fa-f]{64})(?:,|$)").search
_HASH = re.compile(r"(?:^|,)(SHA1|MD5|IMPHASH)=([0-9A-Fa-f]{32,40})(?:,|$)").search


class Dropped(Exception):
    """A row of a kind that makes facts, but says nothing usable. `reason` is what is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Row(msgspec.Struct, gc=False):
    """The columns of a log row that facts need; `at` is its number in the log file."""

    at: int
    ts_ns: int
    host: str
    pid: int = MISSING
    ppid: int = MISSING
    exe: str = ""
    user: str = ""
    cmdline: str = ""


class Who(msgspec.Struct, gc=False):
    """A process as a row names it; what the row does not say is -1 or empty."""

    pid: int = MISSING
    guid: str = ""
    exe: str = ""
    user: str = ""
    ppid: int = MISSING  # Linux: each record of the kernel names the parent as well


class Created(msgspec.Struct, gc=False):
    """A process began; `source` tells event sources apart that report the same creation."""

    who: Who
    parent: Who
    source: str
    cmdline: str = ""
    exe_hash: str = ""


class Forked(msgspec.Struct, gc=False):
    """`who` made a copy of itself."""

    who: Who
    child_pid: int


class Executed(msgspec.Struct, gc=False):
    """`who` became another program: `who.exe` is the new one."""

    who: Who
    cmdline: str


class Ended(msgspec.Struct, gc=False):
    """A process ended."""

    who: Who


class Seen(msgspec.Struct, gc=False):
    """A process did something that makes no edge: it lived then."""

    who: Who


class FileUsed(msgspec.Struct, gc=False):
    """A process did `op` to a file, registry key, pipe, share or device (`kind`)."""

    who: Who
    path: str
    op: str
    kind: str = "file"
    sha256: str = ""
    signed: bool | None = None


class SocketUsed(msgspec.Struct, gc=False):
    """A process used an endpoint. A connection goes from `src_ip` to `dst_ip`:`dst_port`, whoever began it."""

    who: Who
    op: str
    l4: str = ""
    src_ip: str = ""
    dst_ip: str = ""
    dst_port: int = MISSING
    name: str = ""  # of a query, a Unix socket


class ProcessUsed(msgspec.Struct, gc=False):
    """A process opened, signalled or wrote into another."""

    who: Who
    target: Who
    op: str


Fact = Created | Forked | Executed | Ended | Seen | FileUsed | SocketUsed | ProcessUsed


@lru_cache(maxsize=1 << 16)
def _guid(text: str) -> str:
    match = _GUID(text)
    found = match[1].lower() if match else ""
    return "" if found == _NO_GUID else found


def guid_of(value: object) -> str:
    """A process GUID in one spelling; empty for none, for zeros and for anything else."""
    return _guid(value) if type(value) is str and len(value) <= 38 else ""


def text_of(value: object) -> str:
    """A field's text; empty where it is no text, or a dash. NULs end it, as they do for Windows and Linux."""
    if type(value) is not str or value == "-":
        return ""
    return value.partition("\0")[0] if "\0" in value else value


def path_of(value: object) -> str:
    """A path that is at most PATH_CHARS long, and still one of its own where it was longer."""
    path = text_of(value)
    if len(path) <= PATH_CHARS:
        return path
    digest = hashlib.sha256(path.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return f"{path[: PATH_CHARS - 18]}…#{digest}"


@lru_cache(maxsize=1 << 14)
def _address(text: str) -> str:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        raise Dropped("address") from None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def address_of(value: object) -> str:
    """An IP address in one spelling, empty where there is none. Dropped for what is no address."""
    if value is None or value in ("", "-"):
        return ""
    if type(value) is not str or len(value) > 64:
        raise Dropped("address")
    return _address(value)


def port_of(value: object) -> int:
    """A port, MISSING where there is none. Dropped for what is no port."""
    if value is None or value in ("", "-"):
        return MISSING
    if type(value) is str and len(value) <= 5 and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is int and 0 <= value <= 65535:
        return value
    raise Dropped("port")


def hashes_of(value: object) -> tuple[str, str]:
    """SHA-256 and the best hash there is (`sha1:…` where it is another) of Sysmon's `Hashes`; both lower case."""
    text = value if type(value) is str and len(value) < 1024 else ""
    if match := _SHA256(text):
        return match[1].lower(), match[1].lower()
    if match := _HASH(text):
        return "", f"{match[1].lower()}:{match[2].lower()}"
    return "", ""
