"""Socket addresses of audit records: from the kernel's bytes, and from the texts that auditd and ausearch make of them.

What does not belong here: which side of a connection an address is.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv6Address

from rlstir_core.hostlogs.auditd.tables import FAMILIES
from rlstir_core.text import decoded

Address = dict[str, str | int]

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){2,}").fullmatch
_PART = re.compile(r"(?<!\S)([\w-]+)=(\S+)")
_OLD = re.compile(r"(\w++) (?:host:(\S+) serv:(\S+)|path:?\s*(\S+))")
_FAMILY_NAMES = {"local": "unix"}


def from_bytes(saddr: str) -> Address:
    """The address in `saddr=`; an unknown or cut one has its family only, or nothing at all."""
    if not _HEX(saddr):
        return {}
    raw = bytes.fromhex(saddr)
    number = raw[0] | raw[1] << 8  # of x86 and ARM; a big-endian host would say 0200
    family = FAMILIES.get(number, str(number))
    found: Address = {"family": family}
    if family == "unix":
        path = raw[2:]
        # an abstract name begins with NUL, and `@` is how every tool shows that
        name = path.partition(b"\0")[0] if path[:1] != b"\0" else path[1:].partition(b"\0")[0]
        if name:
            found["path"] = ("@" if path[:1] == b"\0" else "") + decoded(name)
    elif family == "inet" and len(raw) >= 8:
        found["addr"] = socket.inet_ntoa(raw[4:8])
        found["port"] = raw[2] << 8 | raw[3]
    elif family == "inet6" and len(raw) >= 24:
        found["addr"] = str(IPv6Address(raw[8:24]))
        found["port"] = raw[2] << 8 | raw[3]
        if flow := int.from_bytes(raw[4:8], "big"):
            found["flow"] = flow
    elif family == "netlink" and len(raw) >= 8:
        found["port"] = int.from_bytes(raw[4:8], "little")
    elif family == "packet" and len(raw) >= 8:
        found["ifindex"] = int.from_bytes(raw[4:8], "little")
    elif family == "vsock" and len(raw) >= 12:
        found["port"] = int.from_bytes(raw[4:8], "little")
        found["cid"] = int.from_bytes(raw[8:12], "little")
    return found


def from_text(words: str) -> Address:
    """The address in `saddr=inet host:127.0.0.1 serv:22` or `saddr_fam=inet laddr=127.0.0.1 lport=22`."""
    found: Address = {}
    parts: dict[str, str] = dict(_PART.findall(words)) if "saddr_fam=" in words else {}
    if parts:
        family, addr, port = parts["saddr_fam"], parts.get("laddr", ""), parts.get("lport") or parts.get("nlnk-pid", "")
        path = words.partition(" path=")[2].removesuffix("}").strip() if " path=" in words else ""
    elif match := _OLD.match(words):
        family, addr, port, path = match[1], match[2] or "", match[3] or "", match[4] or ""
    else:
        family, _, path = words.partition(" ")
        addr, port = "", ""
        path = path if path.startswith(("/", "@")) else ""
    if family:
        found["family"] = _FAMILY_NAMES.get(family, family)
    if addr:
        found["addr"] = addr
    if port:
        found["port"] = int(port) if port.isdecimal() and len(port) < 8 else port
    if path:
        found["path"] = path
    return found
