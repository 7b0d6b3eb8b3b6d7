"""Tampering with the logs of a host, and what happens to logs of its own accord: bytes in, bytes and truth out.

Everything is drawn from the generator that is given, so equal arguments give equal results. What does not belong
here: single operators, formats, and files on disk (`files.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.lab.tamper.changes.benign_artifacts import ARTIFACT_OF
from rlstir_core.lab.tamper.changes.operators import OPERATOR_OF, applied, check
from rlstir_core.lab.tamper.changes.work import Outcome, Work
from rlstir_core.lab.tamper.formats.forms import Form, as_text, form_of
from rlstir_core.lab.tamper.records.entry import Entry
from rlstir_core.lab.tamper.records.headers import check_headers, with_headers
from rlstir_core.lab.tamper.records.pieces import NOBODY, SplitLog, join
from rlstir_core.lab.tamper.rows import tampered_rows
from rlstir_core.lab.tamper.spans import spans

__all__ = [
    "BENIGN_ARTIFACTS",
    "OPERATORS",
    "Tampered",
    "WithArtifact",
    "applicable",
    "tampered",
    "tampered_rows",
    "with_artifact",
]

_HOSTILE = (ValueError, RecursionError, OverflowError)  # what a record that means harm can make a reader raise
_DRAWS = 8  # until one leaves every record in one piece
OPERATORS: tuple[str, ...] = tuple(OPERATOR_OF)
BENIGN_ARTIFACTS: tuple[str, ...] = tuple(ARTIFACT_OF)


class Tampered(msgspec.Struct, frozen=True, kw_only=True):
    """Logs that were tampered with, and the truth about it.

    `origin[member][seq]` is the place that a row had, or -1 where it was made up; logs that are not in it are as they
    were. An EVTX file comes back as JSON lines under the name that such lines have.
    """

    logs: dict[str, bytes]
    spans: tuple[TamperSpan, ...]
    origin: dict[str, list[int]]


class WithArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """Logs to which something benign happened; `origin` as in `Tampered`."""

    logs: dict[str, bytes]
    origin: dict[str, list[int]]


def applicable(logs: Mapping[str, bytes]) -> tuple[str, ...]:
    """The operators that can work on at least one of these logs."""
    found: set[str] = set()
    for member in sorted(logs):
        split, form = _read(member, logs[member], None)[1:]
        if split is None or form is None:
            continue
        for name in OPERATORS:
            if name not in found and not isinstance(_tried(name, split.entries, form, _dice(), 0.5), str):
                found.add(name)
    return tuple(name for name in OPERATORS if name in found)


def tampered(
    logs: Mapping[str, bytes],
    operator: str,
    rng: np.random.Generator,
    *,
    strength: float = 0.5,
    near_ns: int | None = None,
    headers: str = "moved",
) -> Tampered:
    """One of the logs after the operator, and the others as they are; ConfigError where it can work on none.

    `strength` in [0, 1] is how much is touched; `near_ns` is a time of the episode, for lines without a year; `headers`
    says what becomes of the headers of EVTX records (`records/headers.py`).
    """
    check(operator, strength)
    check_headers(headers)
    members = sorted(logs)
    why = f"{operator} finds no log to work on; name one"
    for at in rng.permutation(len(members)):
        member = members[int(at)]
        named, split, form = _read(member, logs[member], near_ns)
        if split is None or form is None:
            why = f"{operator} cannot apply to {member}: {named}"
            continue
        if named != member and named in logs:
            why = f"{operator} cannot apply to {member}: what it gives is {named}, which is there already; take one out"
            continue
        outcome = _made(operator, split, form, rng, strength, headers)
        if isinstance(outcome, str):
            why = f"{operator} cannot apply to {member}: {outcome}"
            continue
        data, after, lane = outcome
        made = dict(logs)
        del made[member]
        made[named] = data
        return Tampered(
            logs=dict(sorted(made.items())),
            spans=spans(operator, named, split.entries, after, lane),
            origin={named: [entry.place for entry in after]},
        )
    raise ConfigError(why)


def with_artifact(
    logs: Mapping[str, bytes], artifact: str, rng: np.random.Generator, *, near_ns: int | None = None
) -> WithArtifact:
    """The logs after something benign; where it cannot happen to these logs they come back as they are."""
    if artifact not in ARTIFACT_OF:
        raise ConfigError(f"benign artifact {artifact!r} is unknown; known are {', '.join(BENIGN_ARTIFACTS)}")
    host: dict[str, Work] = {}
    parts: dict[str, tuple[str, SplitLog]] = {}
    for member in sorted(logs):
        named, split, form = _read(member, logs[member], near_ns)
        if split is None or form is None or (named != member and named in logs) or named in host:
            continue
        host[named] = Work(split.entries, form, rng)
        parts[named] = (member, split)
    made, origin = dict(logs), {}
    try:
        for named, entries in (ARTIFACT_OF[artifact](host) if host else {}).items():
            member, split = parts[named]
            written = _written(split, entries, host[named].form)
            if written is None:
                return WithArtifact(logs=dict(logs), origin={})
            data, after = written
            del made[member]
            made[named] = data
            origin[named] = [entry.place for entry in after]
    except _HOSTILE:  # a refusal among them
        return WithArtifact(logs=dict(logs), origin={})
    return WithArtifact(logs=dict(sorted(made.items())), origin=origin)


def _tried(
    operator: str, entries: Sequence[Entry], form: Form, rng: np.random.Generator, strength: float
) -> Outcome | str:
    try:
        return applied(operator, entries, form, rng, strength)
    except ConfigError as error:
        return str(error)
    except _HOSTILE as error:
        return f"a record cannot be changed ({type(error).__name__})"


def _made(
    operator: str, split: SplitLog, form: Form, rng: np.random.Generator, strength: float, headers: str
) -> tuple[bytes, list[Entry], Collection[int]] | str:
    """The log's new bytes, its records and the lane of gaps; else why there are none."""
    for _ in range(_DRAWS):
        outcome = _tried(operator, split.entries, form, rng, strength)
        if isinstance(outcome, str):
            return outcome
        try:
            written = _written(split, with_headers(split.entries, outcome.entries, headers), form)
        except _HOSTILE as error:
            return f"a record cannot be changed ({type(error).__name__})"
        if written is not None:
            return *written, outcome.lane
    return "its records are so late that a reader would put them together otherwise"


def _read(member: str, data: bytes, near_ns: int | None) -> tuple[str, SplitLog | None, Form | None]:
    """The name that the log's text has, its records and its form; else why it has none."""
    try:
        form = form_of(member, data)
        named, text = as_text(member, data)
        return named, form.split(text, near_ns), form
    except ConfigError as error:
        return str(error), None, None


def _written(split: SplitLog, entries: Sequence[Entry], form: Form) -> tuple[bytes, list[Entry]] | None:
    """The log's bytes, and its records in the order of the rows that a parser will give; None where a parser would
    cut the lines into other records, as it may with late audit records."""
    joined = join(split, entries, form.render)
    rows = None if split.plain else form.order(joined.pieces)
    if rows is None:
        return joined.data, list(entries)
    after: list[Entry] = []
    for lines in rows:
        makers = {joined.made_by[line] for line in lines}
        if len(makers) > 1 or NOBODY in makers:
            return None
        after.append(entries[makers.pop()])
    return (joined.data, after) if len(after) == len(entries) else None


def _dice() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(0))
