"""What is said of one log file, or of one recorded episode: its techniques with their rows, and where it was tampered.

What does not belong here: opening logs (`gathering.py`), and all logs together (`inquire.py`).
"""

# N rows, U rows with distinct words, K techniques of the label space
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlstir_core.arrays import Floats
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.investigator.inquiry.gathering import LogRows
from rlstir_core.investigator.inquiry.records import LogSaid, TechniqueSaid
from rlstir_core.investigator.inquiry.rows import row_said, span_said
from rlstir_core.investigator.reading.names import names_in
from rlstir_core.investigator.single import OpenEncoder, SingleAnswers, technique_scores
from rlstir_core.investigator.tamper.spans import Tampering
from rlstir_core.investigator.techniques.documents import COLUMNS, RowWords, RowWordsReader, rows_document
from rlstir_core.investigator.techniques.knowledge import Knowledge
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.tactics import TACTICS, TacticTable, official, shared_posteriors, tactic_shares

_RANKS: Final = 10  # techniques of a log; those that are named stand among the first twice as many
_WITH_ROWS: Final = 3  # techniques of these that come with rows, besides those that are named
_SHOWN_ROWS: Final = 3  # that speak for a technique
_ASKED: Final = 8  # rows whose words are weighed one by one
_ATTACK_ROWS: Final = 10
_TEXT: Final = 300
_BLOCK = 4_096
BY_TEXTS, BY_ENCODER = "knowledge", "encoder"


@dataclass(frozen=True, kw_only=True, eq=False)
class Judges:
    """Who is asked."""

    knowledge: Knowledge | None
    names: Mapping[str, str]  # of techniques
    tactics: TacticTable
    encoder: OpenEncoder | None

    @cached_property
    def share_CT(self) -> Floats:  # noqa: N802
        """How a technique's probability is shared by its tactics."""
        return tactic_shares(self.knowledge.ids if self.knowledge is not None else (), self.tactics)


def judged(rows: LogRows, judges: Judges, tampering: Tampering, said: SingleAnswers | None) -> LogSaid:
    """Everything that is said of one log; `said` is what the encoder says of a recording."""
    table = rows.table
    by_texts, tactics = _by_texts(rows, judges)
    by_encoder = _by_encoder(rows, judges, said) if said is not None else ()
    spans = tuple(span_said(span, rows.shown) for span in tampering.spans)
    timed = table.filter(table["timed"])["ts_ns"]
    return LogSaid(
        name=rows.name,
        recording=rows.recording,
        n_files=len(tampering.files),
        rows=_counted(table["channel"]),
        hosts=_counted(table["host"]),
        t_first_wall_ns=pc.min(timed).as_py(),
        t_last_wall_ns=pc.max(timed).as_py(),
        unparsed=rows.tally.n("unparsed"),
        unparsed_at=tuple(rows.tally.unparsed_at),
        left_out=rows.left_out,
        techniques=(*by_encoder, *by_texts),
        tactics=tactics,
        spans=spans,
        flagged=tuple(rows.shown(flag.member) for flag in tampering.files if flag.flagged),
    )


def _by_texts(rows: LogRows, judges: Judges) -> tuple[tuple[TechniqueSaid, ...], dict[str, float]]:
    """The techniques by what texts tell of the log's words, and the tactics through these."""
    knowledge = judges.knowledge
    if knowledge is None:
        return (), {}
    reader = RowWordsReader(names_in(rows.table))
    words = [reader(row) for row in _rows(rows.table)]
    document = rows_document(words)
    if not any(word in knowledge.place for word in document):
        return (), {}
    posterior_1C = knowledge.log_posteriors([document])
    (ranked,) = knowledge.ranked_by(posterior_1C, most=2 * _RANKS)
    kept = [
        (own, float(np.exp(log_p)))
        for rank, (own, log_p) in enumerate(zip(ranked.techniques, ranked.log_p, strict=True))
        if rank < _RANKS or own in ranked.named
    ]
    shown = [own for rank, (own, _) in enumerate(kept) if rank < _WITH_ROWS or own in ranked.named]
    speak = _speakers(words, knowledge, shown)
    found = tuple(
        TechniqueSaid(
            technique=own,
            name=judges.names.get(own, ""),
            tactics=official(judges.tactics, own),
            score=score,
            named=own in ranked.named,
            by=BY_TEXTS,
            rows=tuple(row_said(rows.table, place, rows.shown, words=said) for place, said in speak.get(own, ())),
        )
        for own, score in kept
    )
    tactic_T = np.exp(shared_posteriors(posterior_1C, judges.share_CT)[0])
    order = np.argsort(-tactic_T, kind="stable")
    return found, {TACTICS[t]: float(tactic_T[t]) for t in order}


def _speakers(
    words: Sequence[RowWords], knowledge: Knowledge, asked: Sequence[str]
) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    """{technique: the places of rows that speak loudest for it, with the words that weigh most}"""
    first: dict[tuple[str, tuple[str, ...]], int] = {}
    for place, row in enumerate(words):
        first.setdefault((row.kind, row.words), place)
    place_U = list(first.values())
    documents = [words[place].document for place in place_U]
    loud_UT = knowledge.loudness(documents, asked)
    found = {}
    for t, technique in enumerate(asked):
        among = np.argsort(-loud_UT[:, t], kind="stable")[:_ASKED]
        among.sort()
        said = knowledge.speaks_for([documents[u] for u in among], technique, most=_SHOWN_ROWS)
        found[technique] = [(place_U[among[each.place]], each.words) for each in said]
    return found


def _by_encoder(rows: LogRows, judges: Judges, said: SingleAnswers) -> tuple[TechniqueSaid, ...]:
    """The techniques by what the encoder says of single rows, which is what recordings taught it."""
    assert judges.encoder is not None
    score_K, named_K = technique_scores(judges.encoder, said)
    order = [k for rank, k in enumerate(np.argsort(-score_K, kind="stable")) if rank < _RANKS or named_K[k]]
    p_N = judges.encoder.checkpoint.calibration.p_attack_N(said.answers)
    return tuple(
        TechniqueSaid(
            technique=LABELS[k],
            name=judges.names.get(LABELS[k], ""),
            tactics=official(judges.tactics, LABELS[k]),
            score=float(score_K[k]),
            named=bool(named_K[k]),
            by=BY_ENCODER,
            rows=tuple(
                row_said(rows.table, place, rows.shown, p_attack=float(p_N[place])) for place in said.speak_KB[k]
            ),
        )
        for k in order
    )


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.select(list(COLUMNS)).to_batches(_BLOCK):
        yield from batch.to_pylist()


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    """{value: rows}, the most frequent first."""
    found = {each["values"]: each["counts"] for each in pc.value_counts(column).to_pylist()}
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def known_names(texts: Mapping[str, str]) -> dict[str, str]:
    """Names of techniques: those of the label space, and what texts call others."""
    return {**texts, **{own: known.name for own, known in techniques().items()}}
