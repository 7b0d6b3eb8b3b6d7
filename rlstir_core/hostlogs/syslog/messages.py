"""What well-known programs say in their log messages: who, from where, with which command.

A small table of patterns, each only for the programs that write it, chosen by the message's first word. Names
that a stranger typed may hold anything, even ` from 1.2.3.4 port 22`: the last such words are the program's own.
What does not belong here: the line around the message (`parser.py`).
"""

from __future__ import annotations

import re

_FROM = r"(?P<src_ip>[\w.:%-]+)(?: port (?P<src_port>\d{1,5}))?"
_AT = r"(?P<src_ip>[\w.:%-]+) port (?P<src_port>\d{1,5})"
_END = r"(?: ssh\d)?(?:: .*)?(?: \[preauth\])?$"
_PAM = r"(?:pam_\w+\((?P<service>[^:)]*)[^)]*\):? )?"
_SSHD = "sshd sshd-session sshd-auth dropbear"
_CRON = "cron crond anacron atd fcron"
_ANY = ""

# programs, first word of the message, pattern
_TABLE: list[tuple[str, str, str]] = [
    (_SSHD, "Accepted", rf"Accepted (?P<method>\S+) for (?P<user>\S+) from {_FROM}"),
    (_SSHD, "Failed", rf"Failed (?P<method>\S+) for (?:invalid user )?(?P<user>.*) from {_FROM}{_END}"),
    (_SSHD, "Postponed", rf"Postponed (?P<method>\S+) for (?:invalid user )?(?P<user>.*) from {_FROM}{_END}"),
    (_SSHD, "Invalid", rf"Invalid user (?P<user>.*?) ?from {_FROM}$"),
    (_SSHD, "Illegal", rf"Illegal user (?P<user>.*?) ?from {_FROM}$"),
    (_SSHD, "input_userauth_request:", r"input_userauth_request: invalid user (?P<user>.*?)(?: \[preauth\])?$"),
    (_SSHD, "User", rf"User (?P<user>.*) from {_FROM} not allowed because"),
    (_SSHD, "error:", rf"error: maximum \w+ attempts exceeded for (?:invalid user )?(?P<user>.*) from {_FROM}{_END}"),
    (_SSHD, "error:", rf"error: Received disconnect from {_FROM}:"),
    (_SSHD, "Received", rf"Received disconnect from {_FROM}:"),
    (_SSHD, "Disconnected", rf"Disconnected from (?:invalid |authenticating )?user (?P<user>.*) {_AT}{_END}"),
    (_SSHD, "Disconnected", rf"Disconnected from {_FROM}{_END}"),
    (_SSHD, "Disconnecting", rf"Disconnecting (?:invalid|authenticating) user (?P<user>.*) {_AT}:"),
    (_SSHD, "Disconnecting:", r"Disconnecting: Too many authentication failures for (?P<user>.*?)(?: \[preauth\])?$"),
    (_SSHD, "Connection", rf"Connection (?:closed|reset) by (?:invalid|authenticating) user (?P<user>.*) {_AT}{_END}"),
    (_SSHD, "Connection", rf"Connection (?:closed|reset) by {_FROM}{_END}"),
    (_SSHD, "Connection", rf"Connection from {_FROM}"),
    (_SSHD, "Did", rf"Did not receive identification string from {_FROM}"),
    (_SSHD, "Bad", rf"Bad protocol version identification .* from {_FROM}$"),
    (_SSHD, "Starting", rf"Starting session: .* for (?P<user>\S+) from {_FROM}"),
    (_SSHD, "reverse", r"reverse mapping checking getaddrinfo for (?P<src_name>\S+) \[(?P<src_ip>[^\]\s]+)\]"),
    (_SSHD, "PAM", r"PAM \d+ more authentication failures?; .*?rhost=(?P<src_ip>\S*)(?: +user=(?P<user>.*?))?\s*$"),
    (
        "sudo sudoedit",
        "*",
        r"\s*(?P<user>\S+) : (?:(?P<why>[^;=]+) ; )?(?:HOST=\S+ ; )?(?:TTY=(?P<tty>\S+) ; )?(?:PWD=(?P<pwd>.*?) ; )?"
        r"USER=(?P<as_user>\S+) ; (?:GROUP=\S+ ; )?(?:TSID=\S+ ; )?(?:ENV=.*? ; )?COMMAND=(?P<command>.*)",
    ),
    ("su", "Successful", r"Successful su for (?P<user>\S+) by (?P<by>\S+)"),
    ("su", "FAILED", r"FAILED su for (?P<user>\S+) by (?P<by>\S+)"),
    ("su", "FAILED", r"FAILED SU \(to (?P<user>[^)\s]+)\) (?P<by>\S+) on (?P<tty>\S+)"),
    ("su", "(to", r"\(to (?P<user>[^)\s]+)\) (?P<by>\S+) on (?P<tty>\S+)"),
    ("login", "ROOT", r"(?P<user>ROOT) LOGIN ?(?:on|ON) '?(?P<tty>[^'\s]+)"),
    ("login", "LOGIN", r"LOGIN ON (?P<tty>\S+) BY (?P<user>\S+)(?: FROM (?P<src_ip>\S+))?"),
    ("login", "FAILED", r"FAILED LOGIN \S+ (?:on|FROM) \S+ FOR '?(?P<user>[^',]*)"),
    ("useradd", "new", r"new user: name=(?P<user>[^,]+), UID=(?P<uid>\d+)"),
    ("useradd groupadd", "new", r"new group: name=(?P<group>[^,]+), GID=(?P<gid>\d+)"),
    ("useradd usermod", "add", r"add '(?P<user>[^']+)' to (?:shadow )?group '(?P<group>[^']+)'"),
    ("userdel", "delete", r"delete user '(?P<user>[^']+)'"),
    ("usermod", "change", r"change user '(?P<user>[^']+)'"),
    ("passwd chpasswd", "*", rf"{_PAM}password changed for (?P<user>\S+)"),
    ("unix_chkpwd", "password", r"password check failed for user \((?P<user>[^)]*)\)"),
    (_CRON, "*", r"\((?P<user>[^)\s]+)\) (?:CMD|CMDEND|END) \((?P<command>.*)\)$"),
    ("systemd-logind", "New", r"New session (?P<session>\S+) of user (?P<user>.+)\.$"),
    (_ANY, "pam", rf"{_PAM}session (?P<session>opened|closed) for user (?P<user>[^(\s]+)(?:\(uid=(?P<uid>\d+)\))?"
     r"(?: by (?P<by>[^(\s]*)\(uid=(?P<by_uid>\d+)\))?"),
    (_ANY, "pam", rf"{_PAM}authentication failure; .*?rhost=(?P<src_ip>\S*)(?: +user=(?P<user>.*?))?\s*$"),
    (_ANY, "pam", rf"{_PAM}check pass; user unknown"),
]  # fmt: skip
_PAM_WORDS = ("session", "authentication", "check")  # the first word where an old PAM does not name itself
_MOST = 2000  # characters in which a pattern looks


def _index() -> dict[tuple[str, str], tuple[re.Pattern[str], ...]]:
    """(program, first word) to patterns; the program is empty for patterns of any program."""
    index: dict[tuple[str, str], tuple[re.Pattern[str], ...]] = {}
    for programs, word, pattern in _TABLE:
        words = (*_PAM_WORDS, "pam") if word == "pam" else (word,)
        for program in programs.split(" "):
            for each in words:
                key = program, each
                index[key] = (*index.get(key, ()), re.compile(pattern))
    return index


_INDEX = _index()
_OTHERS = (
    "kernel systemd systemd-networkd systemd-resolved rsyslogd syslogd syslog-ng dnsmasq dhclient ntpd chronyd snmpd"
)
_WORDS = ("login", "passwd", "at", "")  # of other people's sentences as well
PROGRAMS = frozenset(program for program, _ in _INDEX if program not in _WORDS) | frozenset(_OTHERS.split())
_ANY_FIRST = {program for program, word in _INDEX if word == "*"}
_NOTHING: dict[str, str] = {}


def message_parts(program: str, message: str) -> dict[str, str]:
    """The named parts of a message: user, src_ip, src_port, command …; empty where no pattern fits."""
    word = message.partition(" ")[0]
    if word[:4] == "pam_":
        word, program = "pam", program if program in ("passwd", "chpasswd") else ""
    patterns = _INDEX.get((program, word)) or _INDEX.get(("", word))
    if program in _ANY_FIRST:
        patterns = _INDEX[program, "*"] + (_INDEX.get(("", word)) or ())
    if patterns is None:
        return _NOTHING
    looked = message if len(message) <= _MOST else message[:_MOST]
    for pattern in patterns:
        match = pattern.match(looked)
        if match is not None:
            parts = {key: value for key, value in match.groupdict().items() if value}
            if looked is not message and "command" in parts:
                parts["command"] = message[match.start("command") :]
            return parts
    return _NOTHING
