"""Recall by technique: when a technique ran, which windows touch that time, what is left out and said to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_world import AT_HALF, ATTACK, QUIET, Schema, recording, world

from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.detectors.techniques import technique_recall, technique_spans
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.alarms import techniques_section
from rlstir_core.evaluation.stats.details import CloserLook, Techniques
from rlstir_core.results.layout import Layout

S = 1_000_000_000
# begins 0, 5, .. 25 s, each 10 s long; the alarm is in the window of 10 to 20 s
STORY = [(5.0 * w, ATTACK if w else QUIET, 0.9 if w == 2 else 0.1) for w in range(6)]


def rows(*labelled: tuple[float, tuple[str, ...]]) -> pa.Table:
    return pa.table(
        {
            "ts_ns": pa.array([int(t * S) for t, _ in labelled], pa.int64()),
            "label_ttp": pa.array([list(names) or None for _, names in labelled], pa.list_(pa.string())),
        }
    )


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., Techniques]:
    """The recall in episodes whose log rows are given; None where the file is missing."""

    def look(*tables: pa.Table | None, threshold: Threshold = AT_HALF, benign: int = 0) -> Techniques:
        layout = Layout(tmp_path)
        names = [f"ep-{e}" for e in range(len(tables))]
        truth, scores = world(
            [STORY] * len(tables),
            host=np.full(len(tables), "host-a"),
            benign=np.array([e < benign for e in range(len(tables))]),
        )
        layout.log_events("host-a").mkdir(parents=True)
        for name, table in zip(names, tables, strict=True):
            if table is not None:
                pq.write_table(table, layout.log_events("host-a") / f"{name}.parquet")
        recordings = {name: recording(name, [0] * 6, logs=("audit.log",)) for name in names}
        return technique_recall(truth, scores, threshold, recordings, layout, Schema(), draws=50)  # type: ignore[arg-type]

    return look


def test_a_technique_ran_from_its_first_row_to_its_last(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(rows((1, ("T1059",)), (2, ()), (3, ("T1041", "T1059")), (9, ("T1041",))), path)
    assert technique_spans(path) == {"T1059": (1 * S, 3 * S), "T1041": (3 * S, 9 * S)}
    pq.write_table(rows((1, ())), path)
    assert technique_spans(path) == {}
    path.write_bytes(b"no parquet")
    assert technique_spans(path) is None


def test_an_alarm_counts_in_a_window_that_touches_the_time_and_in_no_other(found: Callable[..., Techniques]) -> None:
    touched, before = rows((19, ("T1041",)), (30, ("T1041",))), rows((2, ("T1041",)), (9, ("T1041",)))
    result = found(touched, touched, touched, before, before)
    (row,) = result.rows
    assert (row.technique, row.name, row.n_episodes) == ("T1041", "Exfiltration Over C2 Channel", 5)
    assert row.share.value == 3 / 5 and row.share.lo is None and row.median_s == 11.0
    assert (result.n_episodes, result.n_missing, result.note) == (5, 0, "")


def test_a_technique_in_few_episodes_is_untested_and_times_that_were_not_scored_do_not_count(
    found: Callable[..., Techniques],
) -> None:
    seen, unseen = rows((12, ("T1041",))), rows((900, ("T1041", "T1486")))
    result = found(seen, seen, unseen, unseen, unseen, unseen)
    assert result.rows == () and [(each.name, each.n_test) for each in result.untested] == [("T1041", 2)]


def test_benign_episodes_are_not_read_and_missing_rows_are_counted(found: Callable[..., Techniques]) -> None:
    result = found(rows((12, ("T1041",))), None, rows((12, ())), benign=1)
    assert (result.n_episodes, result.n_missing) == (0, 1) and "no log row" in result.note


def test_without_a_threshold_there_is_no_recall(found: Callable[..., Techniques]) -> None:
    nothing = Threshold(fpr=0.01, values={}, n_negatives=9, note="too few windows")
    assert found(rows((12, ("T1041",))), threshold=nothing).note == "too few windows"


def test_the_report_names_the_technique_with_its_share(
    found: Callable[..., Techniques], sample_inputs: Callable[..., ReportInputs]
) -> None:
    hit = rows((12, ("T1041",)))
    tables = [rows((12, ("T1041", "T1486"))), hit, hit, hit, rows((2, ("T1041",)))]
    chosen = CloserLook(name="gbt_realistic", techniques=found(*tables))
    text = techniques_section(msgspec.structs.replace(sample_inputs(), chosen=chosen))
    line = next(line for line in text.splitlines() if line.startswith("| T1041"))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "T1041",
        "Exfiltration Over C2 Channel",
        "5",
        "0.0",
        "0.80",
    ]
    assert "T1486 (1)" in text and text.count("no interval below 20 episodes") == 1
