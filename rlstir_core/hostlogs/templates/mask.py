"""Tokens with their parameters masked: what can be told from one token alone.

A parameter becomes one character of a private range, which also tells its type; punctuation and constant prefixes
stay (`rhost=1.2.3.4` -> `rhost=P`, `blk_-42` -> `blk_P`). Words with one or two digits at their end (`ssh2`, `eth0`)
stay as they are: only the whole log can say whether they vary. What does not belong here: anything that needs
another token or another line.
"""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set to look in."""
    return frozenset(text.split())


TYPES = ("number", "hex", "ip", "mac", "uuid", "time", "path", "url", "host", "email", "id", "word", "text")
_FIRST = 0xE000
MARK = {name: chr(_FIRST + 1 + i) for i, name in enumerate(TYPES)}
TYPE_OF = {mark: name for name, mark in MARK.items()}
PARAM = chr(_FIRST)  # a parameter of any type
TRUTH = chr(_FIRST + 0xF2)  # `true` and `false` in a key: a parameter that does not make one of words beside it
UNTYPED = dict.fromkeys((ord(mark) for mark in TYPE_OF), PARAM)
_RESERVED = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")

_CACHE = 1 << 17  # tokens; then the cache starts anew
_UNITS = words(
    "k K M G T KB MB GB TB kB KiB MiB GiB ms us ns s m h sec secs min mins hz Hz kHz MHz GHz x px dp bit bits"
)

# Every alternative begins where a run of its characters begins, and repeats possessively: one pass a token.
_PARTS = re.compile(
    r"""
      (?P<name>[A-Za-z]++(?=[=,;(){}\[\]"']|$))
    | (?P<literal>\\[0-7]{3}|\b[A-Z]{2,5}/\d\.\d(?![\w.]))
    | (?P<url>(?<![A-Za-z0-9])[a-zA-Z][a-zA-Z0-9+.]{1,9}://[^\s"'<>()\[\]{},;|]++)
    | (?P<uuid>(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z]))
    | (?P<mac>(?<![0-9A-Za-z:])(?:[0-9a-fA-F]{2}[:-]){5,19}[0-9a-fA-F]{2}(?![0-9A-Za-z:]))
    | (?P<time>(?<![\w.:])(?:
            (?:19|20)\d\d(?P<dash>[-/.])\d\d?(?P=dash)\d\d?
            (?:[T_ -]?\d\d[:.-]\d\d[:.-]\d\d(?:[.,]\d++)?+(?:Z|[+-]\d\d:?\d\d)?)?
          | \d\d?/(?:[A-Z][a-z][a-z]|\d\d?)/\d{2,4}(?::\d\d:\d\d:\d\d)?
          | \d{1,2}:\d\d(?::\d\d(?:[.,]\d++)?+)?Z?
        )(?![\w:]|\.\d))
    | (?P<email>(?<![\w.+-])[\w.+-]++@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![\w]))
    | (?P<ip6>(?<![\w:.])(?=[0-9a-fA-F]*:[0-9a-fA-F]*:)(?:[0-9a-fA-F]{0,4}:){2,8}[0-9a-fA-F]{0,4}(?![\w:]))
    | (?P<ip>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d))
    | (?P<host>(?<![\w.-])(?!(?:com|org|net|edu|io|de)\.)(?:[A-Za-z0-9_-]++\.)++
        (?<=\.)(?:com|net|org|edu|gov|mil|info|biz|arpa|local|localdomain|lan|internal|
        [a-z]{2})(?![\w.-]))
    | (?P<path>(?<![\w.)\]}*])(?:~|\.\.?|[A-Za-z]:)?/(?!\d{1,3}(?:\.\d{1,3}){3}\b)[\w.+@%~\#$&!*/-]*+
            (?:\?[\w.%~+@:/$!*&=,-]*[\w/=&%-])?)
    | (?P<tree>(?<![\w./-])[\w.+@~\#$-]++(?:/[\w.+@~\#$*-]++){2,}+/?)
    | (?P<winpath>(?<![\w\\])(?:[A-Za-z]:|[\w$.{}-]++)?(?:\\{1,2}(?![0-7]{3})[\w$.{}~+@%&!*-]++)++\\?)
    | (?P<hex>(?<![0-9A-Za-z])0[xX][0-9a-fA-F]++)
    | (?P<thousands>(?<![\w.,])\d{1,3}(?:,\d{3})++(?![\w,]))
    | (?P<run>(?:(?<![\w)\]-])[-+](?=\d))?[A-Za-z0-9]++(?:[_.\-~+@$]++[A-Za-z0-9]++)*+)
    """,
    re.VERBOSE | re.ASCII,
)
_DIGITS = re.compile(r"\d")
_NUMBER = re.compile(r"[-+]?\d+(?:[.]\d+)*$", re.ASCII)
_WITH_UNIT = re.compile(r"[-+]?\d+(?:\.\d+)?([A-Za-z]+)$", re.ASCII)
_NAMED_NUMBER = re.compile(r"([A-Za-z]+)\d{3,}$", re.ASCII)
_VERSION = re.compile(r"[vV]\d+(?:[.-]\d+)+$", re.ASCII)
_JOINT = r"[_.\-~+@$]"
# segments that need not be parameters
_SOFT_RUN = re.compile(rf"[-+]?(?:(?:[A-Za-z]+\d{{0,2}}|\d){_JOINT}++)*+[A-Za-z]+\d{{0,2}}$", re.ASCII)
_ENDS_IN_DIGIT = re.compile(r"\d(?![A-Za-z0-9])", re.ASCII)
_LEADING = re.compile(rf"[-+]?(?:[A-Za-z]++{_JOINT}++)*+", re.ASCII)  # up to the first segment with a digit
SOFT = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]+)\d{1,2}(?![A-Za-z0-9])", re.ASCII)
_HEX = re.compile(r"(?=[0-9]*[a-fA-F])[0-9a-fA-F]{6,}$", re.ASCII)
_ADDRESS = re.compile(r"(\w@)[0-9a-f]{6,16}$", re.ASCII)  # an object's, in letters only by chance
# What most tokens are is told at once: numbers, `uid=0`, and text in which no parameter can begin.
_PLAIN = re.compile(r"""(?:["'(\[{<=:#]*+|[A-Za-z]++[=:])\d++(?:\.\d++)?+["')\]}>,.;:]*+$""", re.ASCII)
_DIGIT_RUN = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_WHOLE = re.compile(
    r"""(["'(\[{<]*+)(?:
      (/?)(\d{1,3}(?:\.\d{1,3}){3})(?:(:)\d++)?+
    | ([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})
    | (/(?!\d{1,3}(?:\.\d{1,3}){3}\b)[\w.+@%~\#$&!*/-]*[A-Za-z0-9])
    | (0[xX][0-9a-fA-F]++|(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}+)
    | ([A-Za-z]++_)[-+]?\d++
    )(["')\]}>,;:.]*+)$""",
    re.VERBOSE | re.ASCII,
)
_NO_PARAMETER = re.compile(r"[^0-9/\\.@:]*+:?[^0-9/\\.@:]*+\.*+$", re.ASCII)
_LONG = 1024  # a longer token is a payload: a parameter


class Masks(dict[str, str]):
    """token -> masked token, computed once per token and forgotten when there are too many."""

    def __missing__(self, token: str) -> str:
        masked = mask(token)
        if len(self) >= _CACHE:
            self.clear()
        if len(token) <= 128:
            self[token] = masked
        return masked


def mask(token: str) -> str:
    """The token with every parameter that it shows by itself replaced by the mark of its type."""
    if len(token) > _LONG or (not token.isascii() and _RESERVED.search(token)):
        return MARK["text"]
    if _PLAIN.match(token):
        return _DIGIT_RUN.sub(MARK["number"], token)
    if _NO_PARAMETER.match(token):
        return token
    found = _WHOLE.match(token)
    return _whole(found) if found else _PARTS.sub(_part, token)


def _whole(found: re.Match[str]) -> str:
    """A token that is one parameter within punctuation."""
    opened, slash, ip, colon, uuid, path, _, name, closed = found.groups("")
    if ip:
        core = slash + MARK["ip"] + (":" + MARK["number"] if colon else "")
    else:
        core = name + MARK["number" if name else "uuid" if uuid else "path" if path else "hex"]
    return f"{opened}{core}{closed}"


def _part(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found.group()
    if kind in ("name", "literal"):
        return text
    if kind == "run":
        return _run(text)
    if kind in ("path", "tree", "winpath"):
        whole = text
        text = text.rstrip(".!")
        return MARK["path"] + whole[len(text) :] if any(map(str.isalnum, text)) else whole
    if kind == "url":
        whole = text
        text = text.rstrip(".!?:")
        return MARK["url"] + whole[len(text) :]
    if kind == "host" and not _is_host(text):
        return _run(text)
    return MARK[{"ip6": "ip", "thousands": "number"}.get(kind or "", kind or "")]


def _is_host(text: str) -> bool:
    """Whether a dotted name is a host's: two labels before a country's code, so that `main.py` is none."""
    labels = text.split(".")
    return len(labels) > 2 or len(labels[-1]) > 2


def _run(text: str) -> str:
    """Letters and digits joined by `_ . - ~ + @ $`: a leading part without digits is kept."""
    if not _DIGITS.search(text):
        return _ADDRESS.sub(r"\g<1>" + MARK["hex"], text) if "@" in text else text
    if (number := _NUMBER.match(text)) or _HEX.match(text):
        return MARK["number" if number else "hex"]
    if (unit := _WITH_UNIT.match(text)) and unit[1] in _UNITS:
        return MARK["number"] + unit[1]
    if named := _NAMED_NUMBER.match(text):
        return named[1] + MARK["number"]
    if _SOFT_RUN.match(text):
        # `ssh2` is a word and `R00-M1` a place
        return text if len(_ENDS_IN_DIGIT.findall(text)) < 2 else MARK["id"]
    leading = _LEADING.match(text)
    before = leading.group() if leading else ""
    rest = text[len(before) :]
    if before.endswith(("_-", "_+")):  # the sign belongs to the number
        before = before[:-1]
    if _VERSION.match(rest):  # `v6.1`
        before += rest[0]
    return before + MARK["number" if rest.isdigit() else "hex" if _HEX.match(rest) else "id"]
