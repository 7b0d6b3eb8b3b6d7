"""The header of a log's lines, found by content: where the message begins.

Clock, level, host, component, process, in columns, brackets or behind pipes. A header is what nearly every line has
at the same place. What does not belong here: what the header's fields mean, and the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.templates.mask import words

HEADER_CHARS = 1024  # a header is looked for in so much of a line
_NEARLY = 0.95
_MOST = 0.75  # of the lines carry a header at all; the others continue a line before
_FIELDS = 12

_LEVELS = words(
    "trace debug info information notice warn warning error err fatal critical crit severe alert emerg panic "
    "fine verbose failure audit_success audit_failure"
)
_LETTERS = frozenset("VDIWEFA")
_CLOCK = re.compile(
    r"""[\[("<]*(?:\w+=)?"?(?:
      \d{1,2}:\d\d:\d\d(?:[.,:]\d+)?(?:Z|[+-]\d\d:?\d\d)?
    | (?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?(?:[T_-]\d\d[:.]\d\d[:.]\d\d.*)?
    | \d\d?[-/.]\d\d?[-/.](?:\d\d){1,2}
    | \d\d?/[A-Z][a-z][a-z]/\d{4}(?::\d\d:\d\d:\d\d)?
    | (?:19|20)\d{6}[-_T]?\d\d?:?\d\d?:?\d\d?.*
    | 1[0-9]{9}(?:\.\d+)?(?:\d{3}){0,3}
    | (?:19|20)\d\d(?=\])
    )[\])",;:Z>|]*$""",
    re.VERBOSE | re.ASCII,
)
_SIX_SIX = re.compile(r"\d{6}\s+(?:[01]\d|2[0-3])[0-5]\d[0-5]\d\s", re.ASCII)
_WORD = r"[\w.$/@*+~#-]"
# What may stand between the last clock or level and the message; each is tried on what is left of the lines.
_SEPARATOR = r"(?:[-|:>]+\s+)"
_NUMBER = r"(?:\d+\s+)"
_BRACKET = r"(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\][:,]?\s*)"
_THREAD = r"(?:\d+#\d+:\s+)"
_SOURCE = r"(?:[\w.-]+:\d+\]\s+)"
_DOTTED = r"(?:[A-Za-z_]\w*(?:\.\w+)+\s+)"
_COLUMN = r"(?:\S+(?:\s{2,}|\t))"
_PROGRAM = r"(?:[\w.-]+(?: \S+)? - )"
_PROCESS = r"(?:\[\d+\]|\([^()\s]{0,40}\)\[\d+\])"
_TAG = rf"(?:(?:-- )?[^\s:\[\]]+(?: [\w.]+){{0,2}}?{_PROCESS}?(?: \([^()]*\))?:(?:\s+|$))"
_HOST_TAG = rf"(?:[\w.:/@-]+\s+(?:{_TAG})?)"
_COMPONENT = rf"(?:[A-Za-z_]{_WORD}*(?:\(\S*?\)|\[\S*?\])?\s{{0,4}}:\s+)"


def find_header(sample: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern that matches the header at a line's beginning, or None where the lines have none."""
    lines = [line[:HEADER_CHARS] for line in sample if line.strip()]
    if not lines:
        return None
    pipes = _pipes(lines)
    if pipes:
        return re.compile(rf"(?:[^|]*\|){{{pipes}}}\s*")
    start = _columns(lines)
    if start is None:
        return None
    n_fields, has_level = start
    first = rf"\s*(?:\S+\s+){{{n_fields}}}"
    begun = re.compile(first)
    rest = [line[found.end() :] for line in lines if (found := begun.match(line))]
    stages = _stages(rest, has_level)
    pattern = ""
    for stage in reversed(stages):
        pattern = rf"(?:{stage}{pattern})?"
    return re.compile(first + pattern)


def _pipes(lines: list[str]) -> int:
    """How many fields end with a pipe before the message; the first holds a clock."""
    counts = []
    for line in lines:
        fields = line.split("|", 8)
        if len(fields) > 2 and any(_CLOCK.match(word) for word in fields[0].split()[:4]):
            counts.append(next((i for i, f in enumerate(fields[:-1]) if len(f.split()) > 3), len(fields) - 1))
    if len(counts) < _MOST * len(lines):
        return 0
    counts.sort()
    return counts[int((1 - _NEARLY) * len(counts))]


def _columns(lines: list[str]) -> tuple[int, bool] | None:
    """(leading fields that end with the last clock or level, whether there is a level)."""
    rows = [line.split(None, _FIELDS) for line in lines]
    clock = _last_column(rows, lambda word: bool(_CLOCK.match(word)), of=len(rows))
    if clock < 0 and sum(bool(_SIX_SIX.match(line)) for line in lines) >= _MOST * len(lines):
        clock = 1
    dated = [row for row in rows if len(row) > clock and (clock < 0 or clock == 1 or _CLOCK.match(row[clock]))]
    level = _last_column(dated, _is_level, of=len(dated))
    if level < 0:
        level = _last_column(dated, lambda word: word.rstrip("/:") in _LETTERS or word[:2] in _SLASHED, of=len(dated))
        if level >= 0 and any("/" in row[level] for row in dated if len(row) > level):
            level -= 1  # `I/Tag:` is level and component in one
    if clock < 0 and level < 0:
        return None
    return max(clock, level) + 1, level >= 0


_SLASHED = frozenset(f"{letter}/" for letter in _LETTERS)


def _is_level(word: str) -> bool:
    return word.strip("[]()<>:,|*").removeprefix("level=").lower() in _LEVELS


def _last_column(rows: list[list[str]], is_one: Callable[[str], bool], *, of: int) -> int:
    """The last of the leading columns where nearly every line that has a header has such a word; -1 for none."""
    last = -1
    for column in range(_FIELDS - 1):
        n = sum(1 for row in rows if len(row) > column and is_one(row[column]))
        if of and n >= (_MOST if last < 0 else _NEARLY * _MOST) * of:
            last = column
    return last


def _stages(rest: list[str], has_level: bool) -> list[str]:
    """What follows the clock and the level in nearly every line, up to the message."""
    stages: list[str] = []
    lines = rest
    for _ in range(6):
        if not lines:
            break
        chosen = ""
        for piece, share, ends, allowed in _candidates(lines, has_level):
            if not allowed:
                continue
            pattern = re.compile(piece)
            matched = [found.end() for line in lines if (found := pattern.match(line)) and found.end()]
            if len(matched) >= share * len(lines):
                chosen, done = piece, ends
                break
        if not chosen:
            break
        stages.append(chosen)
        if done:
            break
        pattern = re.compile(chosen)
        lines = [line[found.end() :] for line in lines if (found := pattern.match(line))]
    return stages


def _candidates(lines: list[str], has_level: bool) -> list[tuple[str, float, bool, bool]]:
    """(pattern, share of lines it must match, whether the message follows, whether it may be tried)."""
    tagged = re.compile(rf"[\w.:/@-]+\s+{_TAG}")
    hosts = [line.split(None, 2)[:2] for line in lines if tagged.match(line)]
    few = [len({pair[i].partition("[")[0] for pair in hosts if len(pair) > i}) for i in (0, 1)]
    syslog = not has_level and len(hosts) >= 0.8 * len(lines) and min(few) <= max(1, len(hosts) // 4)
    return [
        (_SEPARATOR, _NEARLY, False, True),
        (_NUMBER, 0.99, False, not has_level),
        (_THREAD, _NEARLY, True, True),
        (_SOURCE, _NEARLY, True, True),
        (_BRACKET, 0.98, False, True),
        (_PROGRAM, _NEARLY, True, True),
        (_COMPONENT, 0.9, True, True),
        (_HOST_TAG, 0.8, True, syslog),
        (_DOTTED, 0.98, False, has_level),
        (_COLUMN, _NEARLY, False, True),
    ]


def given_header(text: str) -> re.Pattern[str]:
    """The header that a user gave: a regular expression, or Loghub's `<Date> <Time> <Level> <Content>`."""
    expression = _from_loghub(text) if re.search(r"(?<!\(\?P)<[A-Za-z]\w*>", text) else text
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise ConfigError(f"--header: {text!r} is not a regular expression: {error}; try another") from error


def _from_loghub(text: str) -> str:
    """Loghub's notation as a regular expression: fields in angle brackets, the rest a regular expression already."""
    parts = re.split(r"(?<!\(\?P)<([A-Za-z]\w*)>", text)
    made, seen = re.sub(" +", r"\\s+", parts[0]), set()
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        # a field before white space has one word or two, so that no line takes long; others end at their literal
        body = r"\S*?(?:\s+\S+?)??" if literal.startswith(" ") else ".*?"
        body = ".*" if name.lower() == "content" else body
        made += f"(?:{body})" if name in seen else f"(?P<{name}>{body})"
        seen.add(name)
        made += re.sub(" +", r"\\s+", literal)
    return made


def content_of(line: str, header: re.Pattern[str] | None) -> str:
    """The message: the group `content` where the header has one, else what follows the header."""
    if header is None:
        return line
    found = header.match(line)
    if not found:
        return line
    for name in ("Content", "content"):
        if name in header.groupindex:
            return found[name] or ""
    return line[found.end() :]
