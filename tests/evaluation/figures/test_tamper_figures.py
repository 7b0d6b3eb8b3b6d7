"""Figures of tampering: what finds a span, sums over episodes, and tables that say again what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rlstir_core.episodes.store.writer import write_episode
from rlstir_core.evaluation.investigation.tamper_figures import (
    EpisodeCounts,
    TrueSpan,
    episode_counts,
    finds,
    paired_span_f1,
    tamper_scores,
    true_spans,
)
from rlstir_core.evaluation.investigation.tamper_predictions import (
    MODELS,
    SaidSpan,
    SaidTampering,
    TamperWriter,
    read_rows,
    read_spans,
    said_of,
)
from rlstir_core.hostlogs.attack.truth import LogTruth, TamperSpan
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.store import parse_tarball
from rlstir_core.hostlogs.table import TableBuilder

T0 = 1_714_564_800
MEMBER = "logs/audit.log"
GAP = TamperSpan(
    t_start_wall_ns=(T0 + 40) * 10**9,
    t_end_wall_ns=(T0 + 49) * 10**9,
    channel="auditd",
    kind="drop_rows",
    n_removed=10,
    member=MEMBER,
    after_seq=39,
    before_seq=40,
)


def log(gap: bool) -> bytes:
    serials = [k for k in range(200) if not (gap and 40 <= k < 50)]
    return b"".join(b"type=SYSCALL msg=audit(%d.000:%d): pid=7 uid=0\n" % (T0 + k, 100 + k) for k in serials)


def rows(gap: bool, *spans: TamperSpan) -> pa.Table:
    builder = TableBuilder("host", "ep", 1000)
    builder.add(MEMBER, spec_of("audit").rows([log(gap)], LogContext()))
    return builder.finish(LogTruth(spans=spans))


def span(after: int, before: int, member: str = MEMBER) -> SaidSpan:
    return SaidSpan(
        channel="auditd",
        member=member,
        t_start_wall_ns=0,
        t_end_wall_ns=1,
        after_seq=after,
        before_seq=before,
        score=1.0,
    )


@pytest.mark.parametrize(
    ("after", "before", "found"),
    [(39, 40, True), (40, 44, True), (35, 40, True), (34, 40, False), (41, 42, False), (-1, 40, True), (39, -1, True)],
)
def test_a_span_is_found_by_one_that_overlaps_and_is_no_longer_than_three_times_it(
    after: int, before: int, found: bool
) -> None:
    true = TrueSpan(member=MEMBER, kind="drop_rows", first=39, last=40)
    assert finds(span(after, before), true) is found
    assert not finds(span(after, before, "logs/auth.log"), true)


def test_the_truth_is_rows_of_files_or_a_channel_s_rows_in_its_time() -> None:
    table = rows(True, GAP)
    (true,) = true_spans(table, [GAP])
    assert (true.first, true.last, true.kind) == (39, 40, "drop_rows")
    timed = TamperSpan(t_start_wall_ns=T0 * 10**9, t_end_wall_ns=(T0 + 4) * 10**9, channel="auditd", kind="jitter")
    assert [(each.first, each.last) for each in true_spans(table, [timed])] == [(0, 4)]
    (nowhere,) = true_spans(table, [TamperSpan(t_start_wall_ns=0, t_end_wall_ns=1, channel="auth", kind="jitter")])
    assert not finds(span(0, 0), nowhere) and not finds(span(-1, 0, ""), nowhere)


def test_rules_and_baselines_are_counted_and_written_and_read_again(tmp_path: Path) -> None:
    counts: dict[str, list[EpisodeCounts]] = {model: [] for model in MODELS}
    tables = {"whole": rows(False), "cut": rows(True, GAP)}
    with TamperWriter(*(tmp_path / f"{name}.parquet" for name in ("rows", "spans", "files"))) as writer:
        for episode, table in tables.items():
            said = said_of(table)
            writer.add(episode, table, said)
            for model, each in said.items():
                counts[model].append(episode_counts(table, each, true_spans(table, [GAP] if episode == "cut" else [])))
    for model in MODELS:
        spans = read_spans(tmp_path / "spans.parquet", model)
        assert list(spans) == ["cut"] and (spans["cut"][0].after_seq, spans["cut"][0].before_seq) == (39, 40)
        assert read_rows(tmp_path / "rows.parquet", "cut", model).keys() == {(MEMBER, 39), (MEMBER, 40)}
        assert read_rows(tmp_path / "rows.parquet", "whole", model) == {}
        scores = tamper_scores(model, counts[model], draws=50)
        assert (scores.span_f1.value, scores.row_f1.value, scores.recall_by_kind["drop_rows"].value) == (1, 1, 1)
        assert (scores.false_spans.value, scores.honest_flagged.value, scores.tampered_flagged.value) == (0, 0, 1)
        assert "no interval below" in scores.span_f1.note and (scores.n_honest, scores.n_tampered) == (1, 1)
    assert "event ids 140 to 149 missing" in read_spans(tmp_path / "spans.parquet", "rules")["cut"][0].reason


def test_nothing_said_is_a_bad_figure_and_false_spans_count_among_honest_rows() -> None:
    table, honest = rows(True, GAP), rows(False)
    flagged = frozenset([MEMBER])

    def counts(loud: bool) -> list[EpisodeCounts]:
        spans = (span(0, 1), span(39, 40)) if loud else ()
        said = [SaidTampering(spans=spans, p_N=np.full(len(t), float(loud)), flagged=flagged) for t in (table, honest)]
        truth = true_spans(table, [GAP])
        return [episode_counts(table, said[0], truth), episode_counts(honest, said[1], ())] * 30

    quiet, noisy = counts(False), counts(True)
    scores = tamper_scores("loud", noisy, draws=100)
    assert scores.false_spans.value == pytest.approx(100) and scores.honest_flagged.value == 1
    assert scores.span_precision.value == 0.25 and scores.span_recall.value == 1
    assert scores.span_f1.value == pytest.approx(0.4) and scores.span_f1.lo is not None
    assert tamper_scores("silent", quiet, draws=100).span_f1.value == 0
    assert paired_span_f1(noisy, quiet, draws=100).value == pytest.approx(0.4)
    alone = tamper_scores("silent", quiet[:1], draws=100)
    assert alone.false_spans.note == "no episode is honest" and alone.honest_flagged.note == "no episode to count"


def test_the_truth_is_read_from_a_tarball_alone(tmp_path: Path) -> None:
    import msgspec

    meta = {
        "schema_version": 1, "episode_id": "ep-1", "host_id": "a", "profile": "idle", "sample_name": "s",
        "benign": True, "t_start_wall_ns": T0 * 10**9, "t_end_wall_ns": (T0 + 200) * 10**9,
    }  # fmt: skip
    extra = {MEMBER: log(True), "gt_tamper_spans.json": msgspec.json.encode([GAP])}
    entry = write_episode(tmp_path, meta, [(T0 * 10**9, "clean")], {}, extra)
    assert parse_tarball(tmp_path / str(entry["path"]), "a", "ep-1", None).truth.spans == (GAP,)
