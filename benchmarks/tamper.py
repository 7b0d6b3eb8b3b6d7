"""Finding tampering: our rules against an id-gap rule and Chainsaw's, on real logs that were tampered with here.

Every log of ../shared/real is tampered with by every operator that applies, and stands there untouched as well; files
that hold a real 1102, 104 or 4719 are left out. The rules' scores are calibrated on the honest logs of other labs
only. There is one lab for syslog and one for EVTX with headers, so what was learnt of the form of these logs while the
rules were written flatters their rows. `--store S --data D` measures a generated store. `--calibrate` writes the
calibration that ships, from all honest logs. Usage: python -m benchmarks.tamper [--quick] [--headers left]
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.errors import ConfigError
from rlstir_core.evaluation.investigation.tamper_figures import (
    EpisodeCounts,
    TamperScores,
    episode_counts,
    tamper_scores,
    true_spans,
)
from rlstir_core.evaluation.investigation.tamper_predictions import MODELS, said_of
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.opening.containers import files
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.store import parse_tarball
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.hostlogs.windows.field_names import AUDIT_LOG, SECURITY
from rlstir_core.investigator.tamper import calibration as calibration_of
from rlstir_core.investigator.tamper.calibration import Calibration, calibrated, write_calibration
from rlstir_core.investigator.tamper.log_file import log_files
from rlstir_core.investigator.tamper.spans import findings
from rlstir_core.lab.tamper.apply import OPERATORS, tampered

REAL = Path(__file__).parents[2] / "shared" / "real"
ROWS = 6000  # of a log that are looked at
DRAWS = 1000
_MEMBER = {
    "windows_json": "logs/sysmon.jsonl",
    "evtx": "logs/events.evtx",
    "audit": "logs/audit.log",
    "syslog": "logs/auth.log",
}
# name of the row, folder or file, how many times each operator, every how many files
CORPORA = (
    ("filtered exports (evtx_mdecrevoisier)", "evtx_mdecrevoisier.tar.xz", 1, 1),
    ("full-host JSON (mordor)", "mordor", 1, 3),
    ("full-host JSON (splunk T1047)", "splunk_attack_data", 3, 1),
    ("syslog (loghub OpenSSH)", "loghub/OpenSSH/OpenSSH_2k.log", 12, 1),
    ("auditd (golibaudit, izysec)", "linux_audit_golibaudit linux_audit_izysec", 3, 1),
)
BARS = {"filtered": 0.70, "full-host": 0.55, "syslog": 0.60}


class Honest(NamedTuple):
    """A log as it was found."""

    name: str
    kind: str
    data: bytes
    table: pa.Table


def honest_logs(where: str, every: int = 1) -> Iterator[Honest]:
    """The logs in these places that nobody cleared and whose auditing nobody changed."""
    for place in where.split():
        if not (REAL / place).exists():
            continue
        for n, found in enumerate(files(REAL / place)):
            kind = found.guess.log
            if found.fault or kind not in _MEMBER or n % every:
                continue
            data = found.data
            if kind != "evtx":
                data = b"".join(data.splitlines(keepends=True)[:ROWS])
            table = table_of(kind, data, LogTruth(), None)
            if len(table) >= 4 and not _was_touched(table):
                yield Honest(found.name, kind, data, table)


def table_of(kind: str, data: bytes, truth: LogTruth, near_ns: int | None) -> pa.Table:
    """The log as rows."""
    builder = TableBuilder("host", "episode", 1_000_000)
    builder.add(_MEMBER[kind], spec_of(kind).rows([data], LogContext(near_ns=near_ns)))
    return builder.finish(truth)


def _was_touched(table: pa.Table) -> bool:
    ours = {("1102", AUDIT_LOG), ("104", AUDIT_LOG), ("4719", SECURITY)}
    return not ours.isdisjoint(zip(table["event_id"].to_pylist(), table["provider"].to_pylist(), strict=True))


def cases(log: Honest, times: int, headers: str) -> Iterator[tuple[pa.Table, Sequence[Any]]]:
    """The log untouched, and after each operator."""
    yield log.table, ()
    near = log.table["ts_ns"][0].as_py()
    for operator in OPERATORS:
        for turn in range(times):
            rng = np.random.default_rng(zlib.crc32(f"{log.name} {operator} {turn}".encode()))
            logs = {_MEMBER[log.kind]: log.data}
            try:
                after = tampered(logs, operator, rng, strength=0.5, near_ns=near, headers=headers)
            except ConfigError:
                continue
            ((_, data),) = after.logs.items()
            kind = "windows_json" if log.kind == "evtx" else log.kind
            yield table_of(kind, data, LogTruth(spans=after.spans), near), after.spans


def calibration_from(places: Sequence[str]) -> Calibration:
    """The calibration of all honest logs of these places."""
    return calibrated(
        (file, findings(file)) for where in places for log in honest_logs(where) for file in log_files(log.table)
    )


def measured(counts: dict[str, list[EpisodeCounts]]) -> dict[str, TamperScores]:
    """The figures of every model."""
    return {model: tamper_scores(model, counts[model], draws=DRAWS) for model in MODELS}


def generated(store: Path, data: Path, calibration: Calibration | None, most: int) -> dict[str, TamperScores]:
    """The figures of a generated store whose log rows were made."""
    counts: dict[str, list[EpisodeCounts]] = {model: [] for model in MODELS}
    for path in sorted((data / "processed" / "log_events_v1.parquet").glob("host=*/*.parquet"))[:most]:
        table = pq.read_table(path)
        host = path.parent.name.removeprefix("host=")
        truth = parse_tarball(store / "episodes" / host / f"{path.stem}.tar.zst", host, path.stem, None).truth
        true = true_spans(table, truth.spans)
        for model, said in said_of(table, calibration).items():
            counts[model].append(episode_counts(table, said, true))
    return measured(counts)


def main(argv: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a part of the files")
    parser.add_argument("--headers", default="moved", help="moved, left or repaired")
    parser.add_argument("--store", type=Path, help="a generated store")
    parser.add_argument("--data", type=Path, help="its data folder")
    parser.add_argument("--calibrate", action="store_true", help="write the calibration that ships")
    options = parser.parse_args(argv)
    places = {name: where for name, where, _, _ in CORPORA}
    if options.calibrate:
        made = calibration_from(list(places.values()))
        write_calibration(Path(calibration_of.__file__).with_name("honest.csv"), made)
        return {"rows": dict(made.rows)}
    results: dict[str, Any] = {}
    if options.store is not None and options.data is not None:
        results["generated"] = generated(options.store, options.data, None, 40 if options.quick else 100_000)
        _print("generated episodes", results["generated"])
        return {"generated": msgspec.to_builtins(results["generated"])}
    for name, where, times, every in CORPORA:
        calibration = calibration_from([other for label, other in places.items() if label != name])
        counts: dict[str, list[EpisodeCounts]] = {model: [] for model in MODELS}
        for log in honest_logs(where, every * (5 if options.quick and every * times == 1 else 1)):
            for table, spans in cases(log, 1 if options.quick else times, options.headers):
                true = true_spans(table, spans)
                for model, said in said_of(table, calibration).items():
                    counts[model].append(episode_counts(table, said, true))
        if counts["rules"]:
            results[name] = measured(counts)
            _print(name, results[name])
    return {name: msgspec.to_builtins(each) for name, each in results.items()}


def _print(name: str, scores: dict[str, TamperScores]) -> None:
    bar = next((f", bar {bar:.2f}" for word, bar in BARS.items() if name.startswith(word)), "")
    ours = scores["rules"]
    print(f"\n## {name}: {ours.n_honest} honest and {ours.n_tampered} tampered{bar}\n")
    print(
        "| model | span F1 | precision | recall | row F1 | false spans per 10,000 honest rows | honest files flagged |"
    )
    print("|---|---|---|---|---|---|---|")
    for each in scores.values():
        figures = (each.span_f1, each.span_precision, each.span_recall, each.row_f1)
        cells = [_cell(figure, 2) for figure in (*figures,)]
        cells += [_cell(each.false_spans, 1), _cell(each.honest_flagged, 2)]
        print(f"| {each.name} | {' | '.join(cells)} |")
    kinds = ours.recall_by_kind
    print("\n| recall | " + " | ".join(kinds) + " |\n|---|" + "---|" * len(kinds))
    for each in scores.values():
        cells = [_cell(each.recall_by_kind[kind], 2).split(" ")[0] for kind in kinds]
        print(f"| {each.name} | {' | '.join(cells)} |", flush=True)


def _cell(figure: Estimate, digits: int) -> str:
    if figure.value is None:
        return "none"
    value = f"{figure.value:.{digits}f}"
    return value if figure.lo is None else f"{value} [{figure.lo:.{digits}f}, {figure.hi:.{digits}f}]"


if __name__ == "__main__":
    import sys

    print(json.dumps(main(sys.argv[1:]), indent=1)[:0])
