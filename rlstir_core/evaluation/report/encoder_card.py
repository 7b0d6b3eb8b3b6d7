"""The model card beside an encoder's checkpoint, and the one line that is said of an encoder elsewhere.

What does not belong here: the report's section on logs (`sections/`), and the cards of detectors (`model_card.py`).
"""

from __future__ import annotations

from dataclasses import fields

from rlstir_core.evaluation.investigation.records import ENCODER, EncoderEvaluation
from rlstir_core.evaluation.report.markdown import figure, plural, table
from rlstir_core.evaluation.stats.intervals import MIN_HOSTS
from rlstir_core.investigator.checkpoint import EncoderCheckpoint, EncoderFacts
from rlstir_core.investigator.network.sizes import flops
from rlstir_core.learning.presets import Investigator
from rlstir_core.text import escape_md


def encoder_line(found: EncoderEvaluation) -> str:
    """How well an encoder does, in plain text."""
    said = [f"attack AUROC {figure(each.risk_auroc)}" for each in found.risks if each.name == ENCODER]
    said += [f"techniques, micro F1 {figure(each.micro_f1)}" for each in found.models if each.name == ENCODER]
    return f"encoder on {plural(found.n_test_episodes, 'held-out episode')}: {', '.join(said)}"


def render_encoder_card(found: EncoderEvaluation, checkpoint: EncoderCheckpoint) -> str:
    """Markdown for the encoder of one recipe."""
    facts, memory = checkpoint.facts, checkpoint.memory
    what = {
        "recipe": found.recipe,
        "preset": checkpoint.preset,
        "seed": f"{checkpoint.seed}",
        "train episodes": f"{facts.n_train_episodes:,}, and {facts.n_validation_episodes:,} that chose the epoch",
        "selected on": found.selected_on,
        "best epoch": f"{facts.best_epoch} of {facts.epochs}",
        "loss on the fold that chose": _loss(facts),
        "techniques that were learnt from": f"{facts.n_techniques:,}",
        "pieces of the tokenizer": f"{checkpoint.pieces:,}",
        "technique texts sha256": checkpoint.knowledge_sha256 or "none were imported",
        "tokenizer sha256": checkpoint.tokenizer_sha256,
        "schema sha256": checkpoint.schema_sha256,
        "checkpoint sha256": found.checkpoint_sha256,
    }
    sections = [
        "# Model card: encoder",
        "## What it is\n\n" + _facts(list(what.items())),
        "## What training it takes\n\nCalculated for one device and one batch; what operations need for a moment comes "
        f"on top. It multiplies in {'half' if memory.half else 'single'} precision.\n\n"
        + _facts([*memory.lines(), ("operations of a batch, forth and back", _operations(checkpoint))]),
        "## What it is for\n\nReading log rows and the provenance graph around them: how likely an attack is, which "
        "techniques, which rows were tampered with. It is a research model: no decision about a host should rest on it "
        "alone.",
        _figures(found),
        _limits(found),
    ]
    return "\n\n".join(sections) + "\n"


def _loss(facts: EncoderFacts) -> str:
    if facts.loss is None or facts.loss_before is None:
        return "nothing was learnt: files of one author choose nothing that carries over to another's"
    return f"{facts.loss:.4f}, {facts.loss_before:.4f} before training"


def _operations(checkpoint: EncoderCheckpoint) -> str:
    """Of a batch whose rows and whose episodes have one length each, as its memory was calculated."""
    known = {field.name for field in fields(Investigator)}
    numbers = Investigator(**{name: value for name, value in checkpoint.numbers.items() if name in known})
    tokens, rows = checkpoint.memory.tokens, checkpoint.memory.rows
    together = max(1, min(rows, numbers.rows))
    forth = flops(numbers, [(rows, -(-tokens // max(1, rows)))], [(-(-rows // together), together)])
    return f"{3 * forth / 1e9:,.1f} x 10^9"


def _facts(lines: list[tuple[str, str]]) -> str:
    return table(["", ""], [[escape_md(name), escape_md(value)] for name, value in lines], "ll")


def _figures(found: EncoderEvaluation) -> str:
    rows = []
    for risk in (each for each in found.risks if each.name == ENCODER):
        rows += [["attack, AUROC of episodes", figure(risk.risk_auroc)], ["average precision", figure(risk.risk_aupr)]]
        if risk.row_ap is not None:
            rows.append(["attack, average precision of rows", figure(risk.row_ap)])
    for model in (each for each in found.models if each.name == ENCODER):
        rows += [["techniques, micro F1", figure(model.micro_f1)], ["named", figure(model.named)]]
        rows += [[f"one of the first {rank} is right", figure(hit)] for rank, hit in model.hit_at.items()]
        rows.append(["calibration error", figure(model.calibration)])
    rows += [["tampering, average precision of rows", figure(e.row_ap)] for e in found.tamper_rows if e.name == ENCODER]
    kind = "synthetic test episode" if found.synthetic else "test episode"
    text = (
        f"## How well it does\n\nOn {plural(found.n_test_episodes, kind)} of {plural(found.n_test_hosts, 'host')}.\n\n"
    )
    return text + table(["figure", "value [95 %]"], rows)


def _limits(found: EncoderEvaluation) -> str:
    lines = ["The intervals speak of further episodes on the same test hosts."]
    if found.n_test_hosts < MIN_HOSTS:
        lines.append(f"n = {plural(found.n_test_hosts, 'test host')}, no interval for new hosts.")
    if found.n_tags_unseen:
        lines.append(
            f"{plural(found.n_tags_unseen, 'technique')} of the test side stood in no episode of the training."
        )
    lines += [f"No training episode has {escape_md(log)}." for log in found.unseen_logs]
    worse = [name for name, gap in found.paired.items() if gap.hi is not None and gap.hi < 0]
    lines += [f"Of techniques {escape_md(name)} says more, which is simpler." for name in worse]
    worse = [name for name, gap in found.paired_risk.items() if gap.hi is not None and gap.hi < 0]
    lines += [f"Of attacks {escape_md(name)} says more, which is simpler." for name in worse]
    return "## What it cannot say\n\n" + "\n".join(f"- {line}" for line in lines)
