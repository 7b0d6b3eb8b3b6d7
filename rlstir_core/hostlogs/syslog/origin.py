"""Who wrote a syslog line: host, program and pid, facility and severity, in the places where daemons put them.

A host is a host's name, never a level, a facility or a thread, and a line is syslog's where it has syslog's signs: a
priority, a facility, or a host with a program's tag. Other programs' logs begin with a time and a word as well. What
does not belong here: the time (`header.py`) and what the message says (`messages.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from rlstir_core.hostlogs.schema import short_host
from rlstir_core.hostlogs.syslog.header import HeaderTime
from rlstir_core.hostlogs.syslog.messages import PROGRAMS
from rlstir_core.hostlogs.times.zone_words import is_word

_FACILITY_WORDS = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock "
    "local0 local1 local2 local3 local4 local5 local6 local7"
)
FACILITIES = tuple(_FACILITY_WORDS.split())
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_ALIASES = {
    "panic": "emerg", "emergency": "emerg", "fatal": "emerg", "critical": "crit", "supercritical": "crit",
    "error": "err", "severe": "err", "warn": "warning", "information": "info", "informational": "info",
    "config": "debug", "fine": "debug", "finer": "debug", "finest": "debug", "trace": "debug", "verbose": "debug",
    "ddebug": "debug", "dddebug": "debug", "subdebug": "debug", "exdebug": "debug",
}  # fmt: skip
_LEVELS = {name: name for name in SEVERITIES} | _ALIASES
_BSD = {"security": FACILITIES[13], "console": FACILITIES[14]}
_LETTERS = frozenset("DIWEFVTNC")  # how some programs shorten a level
_NO_HOSTS = frozenset({"stdout", "stderr", "log", "none", "null", "root", "main", "last"})
_ESXI = re.compile(r"(Em|Al|Cr|Er|Wa|No|In|Db)\(([0-9]{1,3})\)")
_DOTTED = re.compile(r"<?([a-z]+[0-7]?|[0-9]{1,2})\.([a-z]+|[0-7])>?")
_AIX = re.compile(r"([a-z]+[0-7]?)(?:\|[a-z0-9|]+)?:([a-z]+) (?=\S)")
_NAME = re.compile(r"\w(?:[\w.@/+-]{0,253}[\w.])?")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?=.*:.*:)[0-9a-f:.]{2,45}(?:%[\w.-]{1,20})?", re.ASCII | re.I)
_TOKEN = re.compile(r" {1,3}(\S+) ?")
TAG = re.compile(r"([^\s\[:]+)(?:\[([^\]\s]{0,64})\])?:(?: |$)")
_LOOSE_TAG = re.compile(r"([^\s\[:]+)\[([0-9]{1,9})\] ")  # of macOS and proftpd: no colon behind it
_FORWARDED = re.compile(r"Message forwarded from ([^\s:]+): ")
_TAGLESS = re.compile(
    r"(?:-+ )?(?:(?:last |above )?message repeat(?:ed|s) [0-9]+ time|MARK --)"
    r"|(?:syslogd|rsyslogd|klogd|syslog-ng) [0-9v]|(?:CEF|LEEF):[0-9]"
)
_TORN = re.compile(r"[^\s\[:]*(?:\[[0-9]*\]?)?")  # a tag whose end was never written
_SOLARIS = re.compile(r"\[ID ([0-9]{1,10}) ([a-z]+[0-7]?)\.([a-z]+)\] ?")
_CISCO = re.compile(
    r"(?:[0-9]{1,10}: )?(?:: )?(?:[*.]?(?:[A-Z][a-z]{2} {1,2}[0-9]{1,2} (?:[0-9]{4} )?[0-9:.]{8,18}(?: [A-Z]{1,5})?"
    r"|[0-9dhwy:.]{2,12}): )?%([A-Z][A-Z0-9_]*)-(?:[A-Z0-9_]+-)*?([0-7])-([A-Za-z0-9_]+): ?"
)
_UNDECIDED = "no sign of syslog: neither a priority nor a host with a program"
_REMEMBERED = 4096  # hosts of one log


class Origin(msgspec.Struct, gc=False):
    """Who wrote a line. `end` is where the message begins."""

    end: int
    host: str = ""
    relay: str = ""
    program: str = ""
    pid: str = ""
    facility: str = ""
    severity: str = ""
    msgid: str = ""


class Origins:
    """Tells who wrote a log's lines; a host that was seen with its program is one without as well."""

    def __init__(self) -> None:
        self._hosts: set[str] = set()
        self._levels = False  # in the place of hosts

    def seen(self, host: str) -> None:
        """A host that a line with syslog's signs names."""
        if len(self._hosts) < _REMEMBERED:
            self._hosts.add(host)

    def of(self, line: str, stamp: HeaderTime) -> Origin | str:
        """Who wrote the line, or why it is none of syslog's."""
        token = _TOKEN.match(line, stamp.end)
        if token is None:
            return "nothing behind the time"
        word, start, end = token[1], token.start(1), token.end()
        if stamp.host:  # Cisco's: the name stands before the time
            found = self._tagged(line, stamp, Origin(start, host=stamp.host), firm=True)
        elif _FORWARDED.match(line, start) or (stamp.firm and _TAGLESS.match(line, start)):
            found = self._tagged(line, stamp, Origin(start), firm=True)
        elif _is_host(word):
            firm = stamp.firm or word in self._hosts
            found = self._tagged(line, stamp, Origin(end, host=word.strip("[]")), firm)
        elif dotted := _dotted(word):
            found = self._dotted(line, stamp, Origin(end, facility=dotted[0], severity=dotted[1]))
        elif level := _level(word):
            sure = stamp.firm or word[-1] == ")"  # ESXi's
            found = self._levelled(line, stamp, Origin(end, severity=level)) if sure else _UNDECIDED
        elif not word.strip("-"):
            found = self._tagged(line, stamp, Origin(end), firm=False)
        elif stamp.priority or _loose(word):
            found = self._tagged(line, stamp, Origin(start), firm=stamp.firm and not word[0].isupper())
        else:
            found = _UNDECIDED
        return found

    def _dotted(self, line: str, stamp: HeaderTime, origin: Origin) -> Origin | str:
        """A facility and a severity in the host's place; FreeBSD's host stands behind them."""
        after = None if TAG.match(line, origin.end) else _TOKEN.match(f" {line[origin.end : origin.end + 300]}")
        if after is not None and _is_host(after[1]):
            origin.host, origin.end = after[1], origin.end + after.end() - 1
        return self._tagged(line, stamp, origin, firm=True, signed=True)

    def _levelled(self, line: str, stamp: HeaderTime, origin: Origin) -> Origin | str:
        """A level in the host's place: ChromeOS and ESXi write syslog so, and many programs what is none."""
        found = self._tagged(line, stamp, origin, firm=self._levels)
        self._levels = self._levels or isinstance(found, Origin)
        return found

    def _tagged(self, line: str, stamp: HeaderTime, origin: Origin, firm: bool, signed: bool = False) -> Origin | str:
        """The origin with what stands before the message; `firm` where a tag without a pid is sign enough."""
        signed = signed or stamp.priority is not None
        if match := _FORWARDED.match(line, origin.end):
            origin.relay, origin.host, origin.end = origin.host, match[1], match.end()
        tag = TAG.match(line, origin.end)
        if (tag is None or not tag[1][0].isalpha()) and (match := _CISCO.match(line, origin.end)):
            origin.end, origin.program = match.end(), match[1]
            origin.severity, origin.msgid = SEVERITIES[int(match[2])], f"{match[1]}-{match[2]}-{match[3]}"
            return self._signed(origin)
        if tag is None:
            if found := _before_tag(line, origin.end):
                origin.facility, origin.severity, origin.end = found
                signed = signed or bool(origin.facility)
            tag = TAG.match(line, origin.end) or _LOOSE_TAG.match(line, origin.end)
        if tag is not None:
            origin.program, origin.pid, origin.end = tag[1], tag[2] or "", tag.end()
            known = origin.program.lower() in PROGRAMS and not origin.host[:1].isupper()  # no `Starting cron: ok`
            if origin.pid.isdecimal() or firm or signed or known:
                return self._signed(origin)
        elif signed or origin.host in self._hosts or (firm and _stands_alone(line, origin.end)):
            return origin
        return _UNDECIDED

    def _signed(self, origin: Origin) -> Origin:
        if origin.host:
            self.seen(origin.host)
        return origin


def tells(stamp: HeaderTime, origin: Origin | str) -> bool:
    """Whether a line that says its year tells of the lines around it that do not: syslog for certain, by itself."""
    if isinstance(origin, str) or not origin.program:
        return False
    return stamp.firm or stamp.shift_s is not None or stamp.priority is not None or origin.pid.isdecimal()


def solaris_id(message: str) -> tuple[dict[str, str], int] | None:
    """What `[ID 800047 auth.info]` before a message says, and where the message begins."""
    match = _SOLARIS.match(message)
    if match is None or match[2] not in FACILITIES or match[3] not in _LEVELS:
        return None
    return {"msgid": match[1], "facility": match[2], "severity": _LEVELS[match[3]]}, match.end()


@lru_cache(maxsize=4096)
def host_of(word: str) -> str:
    """The short name of the host that a word is, empty where it is no host's name."""
    return short_host(word.strip("[]")) if _is_host(word) else ""


def is_address(word: str) -> bool:
    """Whether a host is told by its address."""
    return _ADDRESS.fullmatch(word) is not None


@lru_cache(maxsize=4096)
def _is_host(word: str) -> bool:
    inner = word[1:-1] if word[:1] == "[" and word[-1:] == "]" else word
    if _ADDRESS.fullmatch(inner):
        return True
    if inner is not word or _NAME.fullmatch(word) is None or word.isdecimal() or word.lower() in _NO_HOSTS:
        return False
    return not (_level(word) or is_word(word) or _dotted(word))


def _level(word: str) -> str:
    """The severity that a word says, empty where it is none: `DDEBUG`, `Warning`, `In(14)`, `E`."""
    if word in _LETTERS:
        return "info"
    if match := _ESXI.fullmatch(word):
        return SEVERITIES[int(match[2]) & 7]
    return _LEVELS.get(word.lower(), "")


def _dotted(word: str) -> tuple[str, str] | None:
    """Facility and severity of `daemon.info`, of FreeBSD's `<auth.info>` and `<4.6>`."""
    match = _DOTTED.fullmatch(word)
    if match is None:
        return None
    facility, level = match.groups()
    if facility.isdecimal():
        if word[0] != "<" or not level.isdecimal() or int(facility) >= len(FACILITIES):
            return None
        return FACILITIES[int(facility)], SEVERITIES[int(level)]
    facility = _BSD.get(facility, facility)
    return (facility, _LEVELS[level]) if facility in FACILITIES and level in _LEVELS else None


def _before_tag(line: str, place: int) -> tuple[str, str, int] | None:
    """Facility, severity and where the tag begins: `daemon.info sshd[1]:` of busybox, `auth|security:info` of AIX.

    F5's devices write `notice mcpd[1]:` there, without a facility.
    """
    end = line.find(" ", place, place + 40)
    if end > place and (found := _dotted(line[place:end])):
        return (*found, end + 1)
    if end > place and (level := line[place:end]) in SEVERITIES and TAG.match(line, end + 1):
        return "", level, end + 1
    match = _AIX.match(line, place)
    if match and match[1] in FACILITIES and match[2] in _LEVELS:
        return match[1], _LEVELS[match[2]], match.end()
    return None


def _stands_alone(line: str, place: int) -> bool:
    """Whether what follows the host is what syslog writes without a tag, or a tag that was cut short."""
    return _TAGLESS.match(line, place) is not None or _TORN.fullmatch(line, place) is not None


def _loose(word: str) -> bool:
    """Whether a word in the host's place is a program's tag: `kernel:`, `sshd[7]:`, `%SYS-5-CONFIG_I:`."""
    return word[-1] == ":" and "::" not in word and not _level(word[:-1])
