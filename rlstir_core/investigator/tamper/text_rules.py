"""Rules on what rows say: commands that are empty where their kind always has one, and rows that stand twice.

A forged row is most often a copy of a real one at another time: several rows that stand again, in their order and
exactly as far apart as before. What does not belong here: processes (`process_rules.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.hostlogs.times.spelled import parse_time
from rlstir_core.investigator.tamper.finding import SECOND_NS, Finding, clock, counted
from rlstir_core.investigator.tamper.log_file import LogFile

_COMMAND = re.compile(
    r'"(CommandLine|ProcessCommandLine|HostApplication|ScriptBlockText|Payload|ContextInfo)" ?: ?"(")?'
)
# how many rows with a command a kind is credited with, for these always have one
_ALWAYS = {
    ("1", "CommandLine"): 100,
    ("4103", "ContextInfo"): 100,
    ("4103", "Payload"): 10,
    ("4104", "ScriptBlockText"): 20,
}
_TIMES = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?Z?")
_IDS = re.compile(
    r'"(?:EventRecordID|RecordNumber|RecordId|record_id|serial|__SEQNUM|__CURSOR|__REALTIME_TIMESTAMP'
    r'|__MONOTONIC_TIMESTAMP|_SOURCE_REALTIME_TIMESTAMP|time|TimeWritten)" ?: ?(?:"[^"]*"|[0-9.]+)'
)
_NEAR = 60  # rows between two empty commands of one stretch
_CLOCK_NS = 2_000_000  # the parts in which times are told, and events of one burst lie apart
_LIKELY = 2.0  # one in a hundred: bursts of one program come out alike
_OFTEN = 4  # a text that stands more often is a habit
_COPIES = 3  # rows that stand again as far apart as before


def empty_commands(file: LogFile) -> Iterator[Finding]:
    """Rows whose command is empty though others of their kind have one."""
    full: Counter[tuple[str, str, str]] = Counter()
    empty: dict[tuple[str, str, str], list[int]] = {}
    for at, fields in enumerate(file.fields):
        for name, is_empty in _commands(file, at, fields):
            key = file.provider[at], file.event_id[at], name
            if is_empty:
                empty.setdefault(key, []).append(at)
            else:
                full[key] += 1
    for key, places in empty.items():
        credit = full[key] + _ALWAYS.get(key[1:], 0)
        share = credit / (credit + len(places))
        for run in _close(places):
            yield Finding(
                rule="empty-command",
                kind="blank_history",
                log=_log(file, run[0]),
                first=run[0],
                last=run[-1],
                gap=False,
                strength=float(np.log10((credit + 0.1) / len(places))),
                reason=f"{key[2]} is empty in {counted(len(run), 'row')} of {key[0]} {key[1]}, which has one in "
                f"{share:.0%} of such rows",
            )


def has_empty_command(file: LogFile, at: int) -> bool:
    """Whether a row has a place for a command, and nothing in it."""
    return any(empty for _, empty in _commands(file, at, file.fields[at]))


def _commands(file: LogFile, at: int, fields: str) -> Iterator[tuple[str, bool]]:
    channel = file.channel[at]
    if channel in ("evtx", "sysmon"):
        for found in _COMMAND.finditer(fields):
            yield found[1], found[2] is not None
    elif channel == "auditd":
        if '"type":"EXECVE"' in fields:
            yield "CommandLine", '"argc":"0"' in fields
        if '"type":"PROCTITLE"' in fields:
            yield "proctitle", '"proctitle":""' in fields
        if file.event_id[at] == "USER_CMD":
            yield "cmd", '"cmd":""' in fields
    elif " COMMAND=" in file.message[at]:
        yield "COMMAND", file.message[at].rstrip().endswith("COMMAND=")


def _close(places: list[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for at in places:
        if run and at - run[-1] > _NEAR:
            yield run
            run = []
        run.append(at)
    if run:
        yield run


def copies(file: LogFile) -> Iterator[Finding]:
    """Rows that stand again at another time, in their order and exactly as far apart."""
    by_text: dict[int, list[int]] = {}
    for at in range(len(file)):
        if file.log_N[at] >= 0:
            by_text.setdefault(hash((int(file.log_N[at]), int(file.pid_N[at]), _content(file, at))), []).append(at)
    place_of: dict[int, int] = {}
    for log in file.logs:
        place_of.update(zip(log.at_M.tolist(), range(len(log)), strict=True))
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for places in by_text.values():
        if not 2 <= len(places) <= _OFTEN:
            continue
        for i, one in enumerate(places):
            for other in places[i + 1 :]:
                by_ns = _fine_ns(file, other) - _fine_ns(file, one)
                if file.ts_N[other] != file.ts_N[one] and by_ns:
                    pairs.setdefault((int(file.log_N[one]), by_ns), []).append((one, other))
    for (code, _), found in sorted(pairs.items()):
        for run in _in_order(sorted(found), place_of):
            firsts, seconds = [one for one, _ in run], [other for _, other in run]
            moments = sorted({_fine_ns(file, at) for at in firsts})  # rows of one moment are as far apart as any
            if len(moments) < _COPIES or max(firsts) >= min(seconds) or len({_content(file, at) for at in firsts}) < 3:
                continue
            strength = _chance(np.diff(moments))
            if strength < _LIKELY:
                continue
            first = _dense(seconds, place_of) > _dense(firsts, place_of)
            forged, true = (firsts, seconds) if first else (seconds, firsts)
            yield Finding(
                rule="copies",
                kind="inject_decoys",
                log=file.logs[code].name,
                first=min(forged),
                last=max(forged),
                gap=False,
                strength=strength,
                reason=f"{counted(len(run), 'row')} say word for word, and exactly as far apart, what "
                f"rows from {clock(int(file.ts_N[true[0]]))} on say",
            )


def _chance(apart: Ints) -> float:
    """How unlikely it is that so many steps come out alike: in powers of ten, by the parts that the clock tells."""
    grain = SECOND_NS if not (apart % SECOND_NS).any() else _CLOCK_NS
    return float(np.log10(1 + apart / grain).sum())


def _in_order(pairs: list[tuple[int, int]], place_of: dict[int, int]) -> Iterator[list[tuple[int, int]]]:
    """Runs of pairs whose first rows follow each other in their log."""
    run: list[tuple[int, int]] = []
    for pair in pairs:
        if run and (place_of[pair[0]] - place_of[run[-1][0]] > 3 or pair[1] <= run[-1][1]):
            yield run
            run = []
        run.append(pair)
    if run:
        yield run


def _dense(places: list[int], place_of: dict[int, int]) -> float:
    """How closely rows follow each other in their log; 1 where nothing stands between them."""
    return len(places) / (place_of[max(places)] - place_of[min(places)] + 1)


def _content(file: LogFile, at: int) -> str:
    if file.channel[at] in ("evtx", "sysmon", "auditd", "journald"):
        return _TIMES.sub("", _IDS.sub("", file.fields[at]))
    return f"{file.provider[at]} {file.message[at]}"


def _fine_ns(file: LogFile, at: int) -> int:
    """The row's time, from the field that says it in the smallest parts."""
    said = max(_TIMES.findall(file.fields[at]), key=len, default="")
    parsed = parse_time(said) if len(said) > 20 else None
    return parsed[0] if parsed is not None else int(file.ts_N[at])


def _log(file: LogFile, at: int) -> str:
    code = int(file.log_N[at])
    return file.logs[code].name if code >= 0 else file.channel[at]
