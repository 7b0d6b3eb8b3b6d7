"""The model card beside each checkpoint: what it is, what it was trained on, what it can and cannot do.

What does not belong here: comparisons between models (`sections/`).
"""

from __future__ import annotations

from collections.abc import Mapping

from rlstir_core.evaluation.report.markdown import figure, percent, plural, table
from rlstir_core.evaluation.report.rows import time_to_detect
from rlstir_core.evaluation.stats.intervals import MIN_HOSTS
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.text import escape_md


def render_model_card(evaluation: ModelEvaluation, training: Mapping[str, object]) -> str:
    """Markdown for one checkpoint; `training` are facts as name and value, shown in their order."""
    e = evaluation
    facts = {
        "model": e.model,
        "mode": e.mode,
        "recipe": e.recipe,
        "seeds": ", ".join(str(seed) for seed in e.seeds) or "none",
        "train episodes": f"{e.n_train_episodes:,}",
        "selected on": e.selected_on,
        **{str(name): str(value) for name, value in training.items()},
        "schema sha256": e.schema_sha256 or "none",
        "checkpoint sha256": e.checkpoint_sha256 or "none",
    }
    sections = [
        f"# Model card: {escape_md(e.name)}",
        "## What it is\n\n" + table(["", ""], [[escape_md(k), escape_md(v)] for k, v in facts.items()], "ll"),
        "## What it is for\n\nNaming the phase that a host is in from windows of its telemetry, on hosts "
        "recorded like those it was trained on. It is a research model: no decision about a host should rest "
        "on it alone.",
        _figures(e),
        _limits(e),
    ]
    return "\n\n".join(sections) + "\n"


def _figures(e: ModelEvaluation) -> str:
    of_attack = [
        ["attack against the rest, F1", figure(e.attack_vs_rest.f1)],
        ["attack against the rest, AUROC", figure(e.attack_vs_rest.auroc)],
        *([f"recall at {percent(at.fpr)} false positives", figure(at.recall)] for at in e.recall_at_fpr),
        ["time to detect, s", time_to_detect(e)],
    ]
    rows = [
        ["macro F1", figure(e.metrics.macro_f1)],
        ["accuracy", figure(e.metrics.accuracy)],
        *(of_attack if e.attack_vs_rest.f1.value is not None else []),
        ["calibration error", figure(e.calibration)],
        *([f"F1, {escape_md(name)} (n = {s.n_test})", figure(s.f1)] for name, s in e.metrics.per_phase.items()),
    ]
    text = (
        f"## How well it does\n\nOn {plural(e.n_test_episodes, 'test episode')} "
        f"({plural(e.n_test_windows, 'window')}) of {plural(e.n_test_hosts, 'host')}, with 95 % "
        "intervals by episode.\n\n"
    )
    return text + table(["figure", "value [95 %]"], rows)


def _limits(e: ModelEvaluation) -> str:
    lines = ["The intervals speak of further episodes on the same test hosts."]
    if e.n_test_hosts < MIN_HOSTS:
        lines.append(f"n = {plural(e.n_test_hosts, 'test host')}, no interval for new hosts.")
    else:
        lines.append(f"For a new host like them, macro F1 is {figure(e.new_host)}.")
    lines += [f"Untested: {row.kind} {escape_md(row.name)} ({escape_md(row.reason)})." for row in e.untested]
    explained = [e.metrics.macro_f1, e.calibration]
    if e.attack_vs_rest.f1.value is None:
        lines.append(f"No figure of attacks or alarms is given: {escape_md(e.attack_vs_rest.f1.note)}.")
    else:
        explained += [at.recall for at in e.recall_at_fpr]
    notes = {each.note for each in explained if each.note}
    lines += [f"{escape_md(note)}." for note in sorted(notes)]
    return "## What it cannot say\n\n" + "\n".join(f"- {line}" for line in lines)
