"""The ground truth of an episode: which techniques ran when and in which processes, which stretches were tampered with.

A tarball's own words, so hostile: what breaks the form is dropped and counted. What does not belong here: using
the truth as a feature, which nothing may.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack import current_id
from rlstir_core.ids import is_safe

MAX_BYTES = 4 << 20
_MOST = 100_000


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A technique that ran; no pids means all processes."""

    technique: str
    t_start_wall_ns: int
    t_end_wall_ns: int
    tactic: str = ""
    pids: tuple[int, ...] = ()


class TamperSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which a log channel was tampered with."""

    t_start_wall_ns: int
    t_end_wall_ns: int
    channel: str
    kind: str
    n_removed: int = 0


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an episode's logs; `n_bad` entries broke the form."""

    actions: tuple[Action, ...] = ()
    spans: tuple[TamperSpan, ...] = ()
    n_bad: int = 0


def read_truth(ttp: bytes | None, tamper: bytes | None) -> Truth:
    """The truth in the members `gt_ttp_sequence.json` and `gt_tamper_spans.json`; either may be absent."""
    actions, bad_actions = _read(ttp, Action, _action)
    spans, bad_spans = _read(tamper, TamperSpan, _span)
    return Truth(actions=tuple(actions), spans=tuple(spans), n_bad=bad_actions + bad_spans)


def _read(raw: bytes | None, kind: Any, check: Any) -> tuple[list[Any], int]:
    if raw is None:
        return [], 0
    try:
        entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return [], 1
    found, bad = [], max(0, len(entries) - _MOST)
    for entry in entries[:_MOST]:
        try:
            found.append(check(msgspec.json.decode(entry, type=kind)))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ConfigError):
            bad += 1
    return found, bad


def _action(said: Action) -> Action:
    if said.t_end_wall_ns < said.t_start_wall_ns:
        raise ConfigError("it ends before it starts")
    return msgspec.structs.replace(said, technique=current_id(said.technique))


def _span(said: TamperSpan) -> TamperSpan:
    if said.t_end_wall_ns < said.t_start_wall_ns or not is_safe(said.kind) or not is_safe(said.channel):
        raise ConfigError("no span")
    return said
