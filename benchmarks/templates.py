"""Log templates: lines a second and scores, ours beside Drain3 with one setting, on synthetic and real logs.

One core, CPU time. Scores are GA, PA, FGA and FTA on messages whose header is known, one default for all logs; for
the real log also with the header found by content. The styles of widely known logs are scored in two halves, of which
one chose rules of the finder and the other chose nothing; a short log's speed is taken on them, nothing remembered
from the log before, and in turn with the peer's. Drain3 is used where it is installed and the real log where ../shared
is there; the result says which was not. Usage: python -m benchmarks.templates [--quick]
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.template_logs import PUBLIC, STYLES, make_log, normal, scores
from rlstir_core.hostlogs.templates import groups, keys, shape
from rlstir_core.hostlogs.templates.mined import template_file, templates

OPENSSH = Path(__file__).parents[2] / "shared" / "real" / "loghub" / "OpenSSH" / "OpenSSH_2k.log"
BAR_LINES = 30_000
BAR_GA = 0.90
BAR_FTA = 0.50

Found = tuple[list[str], dict[str, str]]  # an id a message, and each id's text


def ours(messages: Sequence[str]) -> Found:
    """The project's templates."""
    found = templates(messages)
    return found.ids, found.texts


def drain3() -> Callable[[Sequence[str]], Found] | None:
    """Drain3 with its defaults and one generic set of masks, or None where it is not installed."""
    try:
        from drain3 import TemplateMiner
        from drain3.masking import MaskingInstruction
        from drain3.template_miner_config import TemplateMinerConfig
    except ImportError:
        return None

    def run(messages: Sequence[str]) -> Found:
        config = TemplateMinerConfig()
        config.masking_instructions = [
            MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "*"),
            MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(0x[a-fA-F0-9]+)((?=[^A-Za-z0-9])|$)", "*"),
            MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "*"),
        ]
        miner = TemplateMiner(config=config)
        ids = [str(miner.add_log_message(message)["cluster_id"]) for message in messages]
        return ids, {str(cluster.cluster_id): cluster.get_template() for cluster in miner.drain.clusters}

    return run


def openssh_truth() -> tuple[list[str], list[str], dict[str, str]]:
    """Messages, their true ids and the ids' texts."""
    with Path(f"{OPENSSH}_structured.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    texts = {row["EventId"]: row["EventTemplate"] for row in rows}
    return [row["Content"] for row in rows], [row["EventId"] for row in rows], texts


def openssh_by_file(header: str | None = None) -> dict[str, float]:
    """Scores of the command's output on the real log, its header given or found by content."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.csv"
        template_file(OPENSSH, out, header)
        with out.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
    _, truth, texts = openssh_truth()
    found = {row["EventId"]: row["EventTemplate"] for row in rows}
    return scores([row["EventId"] for row in rows], truth, found, texts)


def _lines_per_s(run: Callable[[Sequence[str]], Found], messages: Sequence[str]) -> int:
    start = time.process_time()
    run(messages)
    return round(len(messages) / (time.process_time() - start))


def _file_lines_per_s(lines: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        start = time.process_time()
        template_file(path, Path(folder) / "out.csv")
        return round(len(lines) / (time.process_time() - start))


def _forget() -> None:
    for module in (groups, keys, shape):
        for each in vars(module).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()


def public(subjects: dict[str, Callable[[Sequence[str]], Found]]) -> dict[str, Any]:
    """Scores on the styles of widely known logs, by style and by half."""
    rows: dict[str, dict[str, dict[str, float]]] = {name: {} for name in subjects}
    for style in PUBLIC:
        log = make_log(style)
        truth = [normal(text) for text in log.truth]
        for name, run in subjects.items():
            ids, texts = run(log.messages)
            rows[name][style] = scores(ids, truth, texts, {text: text for text in truth})
    halves = {"chose": False, "held out": True}
    means = {
        name: {half: _mean([each[s] for s in PUBLIC if PUBLIC[s].held_out == held]) for half, held in halves.items()}
        for name, each in rows.items()
    }
    return {"means": means, "ours by style": rows["ours"]}


def short_speed(subjects: dict[str, Callable[[Sequence[str]], Found]], logs: Sequence[list[str]]) -> dict[str, Any]:
    """Lines a CPU second on short logs, each log's median of a few runs; with a peer the ratio to it."""
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for messages in logs:
        runs: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(5):
            for name, run in subjects.items():
                _forget()
                start = time.process_time()
                run(messages)
                runs[name].append(time.process_time() - start)
        for name, each in runs.items():
            taken[name].append(statistics.median(each))
    result: dict[str, Any] = {name: round(sum(map(len, logs)) / sum(each)) for name, each in taken.items()}
    if "drain3" in subjects:
        ratios = [theirs / own for own, theirs in zip(taken["ours"], taken["drain3"], strict=True)]
        result["ratio of all lines"] = round(sum(taken["drain3"]) / sum(taken["ours"]), 2)
        result["ratio, geometric mean of logs"] = round(statistics.geometric_mean(ratios), 2)
    return result


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(sum(row[name] for row in rows) / len(rows), 4) for name in rows[0]}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="templates: ours and Drain3")
    parser.add_argument("--quick", action="store_true", help="fewer lines")
    args = parser.parse_args(argv)
    n_speed = 5_000 if args.quick else 20_000
    peer = drain3()
    subjects: dict[str, Callable[[Sequence[str]], Found]] = {"ours": ours, **({"drain3": peer} if peer else {})}
    result: dict[str, Any] = {"benchmark": "templates", "notes": []}
    if peer is None:
        result["notes"].append("drain3 is not installed: ours alone")

    synthetic: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
    speed: dict[str, dict[str, int]] = {name: {} for name in subjects}
    for style in STYLES:
        log = make_log(style)
        truth = [normal(text) for text in log.truth]
        for name, run in subjects.items():
            ids, texts = run(log.messages)
            synthetic[name].append(scores(ids, truth, texts, {text: text for text in truth}))
        long = make_log(style, n=n_speed, seed=2).messages
        for name, run in subjects.items():
            speed[name][style] = _lines_per_s(run, long)
    result["public"] = public(subjects)
    short = [make_log(style, seed=3).messages for style in PUBLIC] + ([openssh_truth()[0]] if OPENSSH.exists() else [])
    result["public_2000_lines_per_s"] = short_speed(subjects, short)
    result["synthetic"] = {name: _mean(rows) for name, rows in synthetic.items()}
    result["synthetic_lines_per_s"] = {
        name: {"slowest": min(each.values()), "all": round(len(each) / sum(1 / n for n in each.values()))}
        for name, each in speed.items()
    }
    passed = result["synthetic_lines_per_s"]["ours"]["all"] >= BAR_LINES
    if OPENSSH.exists():
        messages, ids, texts = openssh_truth()
        result["openssh"] = {}
        for name, run in subjects.items():
            found, found_texts = run(messages)
            result["openssh"][name] = scores(found, ids, found_texts, texts)
        result["openssh"]["ours, header found"] = openssh_by_file()
        many = messages * (5 if args.quick else 25)
        result["openssh_lines_per_s"] = {name: _lines_per_s(run, many) for name, run in subjects.items()}
        lines = OPENSSH.read_text(encoding="utf-8").splitlines()
        result["openssh_lines_per_s"]["ours, file to file"] = _file_lines_per_s(lines * (5 if args.quick else 25))
        here = result["openssh"]["ours"]
        passed = passed and here["GA"] >= BAR_GA and here["FTA"] >= BAR_FTA
        passed = passed and min(v for k, v in result["openssh_lines_per_s"].items() if k != "drain3") >= BAR_LINES
    else:
        result["notes"].append(f"{OPENSSH} is not there: synthetic logs alone")
    result["bars"] = {"lines_per_s": BAR_LINES, "GA": BAR_GA, "FTA": BAR_FTA}
    result["passed"] = bool(passed)
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
