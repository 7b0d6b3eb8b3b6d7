"""A log row, or a stretch of them, as it is told to a person: where and when it stands, and what it says.

What does not belong here: which rows and stretches are told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from rlstir_core.investigator.inquiry.records import RowSaid, SpanSaid
from rlstir_core.investigator.tamper.finding import clock
from rlstir_core.investigator.tamper.spans import Suspicion
from rlstir_core.text import one_line

_TEXT: Final = 300


def row_said(
    table: pa.Table,
    place: int,
    shown: Callable[[str], str],
    *,
    words: tuple[str, ...] = (),
    p_attack: float | None = None,
) -> RowSaid:
    """The row at a place of a table; `shown` gives the name of its log file."""
    member, seq, ts_ns, *texts = (
        table[name][place].as_py() for name in ("member", "seq", "ts_ns", "cmdline", "message", "exe")
    )
    return RowSaid(
        log=shown(member),
        seq=seq,
        t_wall_ns=ts_ns,
        time=clock(ts_ns),
        text=one_line(next((text for text in texts if text), ""), _TEXT),
        words=words,
        p_attack=p_attack,
    )


def span_said(span: Suspicion, shown: Callable[[str], str]) -> SpanSaid:
    """A stretch; `shown` gives the name of its log file."""
    return SpanSaid(
        log=shown(span.member),
        channel=span.channel,
        kind=span.kind,
        gap=span.gap,
        after_seq=span.after_seq,
        before_seq=span.before_seq,
        t_start_wall_ns=span.t_start_ns,
        t_end_wall_ns=span.t_end_ns,
        time=clock(span.t_start_ns),
        score=span.score,
        reasons=span.reasons,
    )
