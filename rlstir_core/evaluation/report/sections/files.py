"""Where the report's own evidence lies: links to cards, figures, predictions, the split and the verdicts.

Tarballs are named by their place in the store and not linked: a store can be moved, and the data folder does not know
where it is. What does not belong here: what may be linked (`../markdown.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, link, table
from rlstir_core.evaluation.report.rows import ordered, row_name
from rlstir_core.ids import is_safe
from rlstir_core.text import escape_md

_DATA = "../../.."  # from where the report lies to the data folder; `tests/evaluation` follows every link
_MANY = 40


def files_section(inputs: ReportInputs) -> str:
    """A row of links for each model, then the split's and the verdicts' files."""
    baselines = {baseline.name for baseline in inputs.baselines}
    rows = []
    for model in (*ordered(inputs), *(each for each in inputs.models if each.same_as)):
        is_baseline = model.name in baselines
        card = f"{_DATA}/artifacts/{inputs.recipe}/{model.name}.card.md"
        predictions = f"predictions/{model.model}_{model.mode}.parquet"
        rows.append(
            [
                row_name(model, inputs),
                MISSING if is_baseline else link("card", card),
                link("figures", f"{model.name}_eval.json"),
                link("predictions", predictions),
            ]
        )
    parts = [
        "## Files",
        "Links lead to files beside this one.",
        table(["model", "card", "figures", "predictions"], rows, "llll"),
    ]
    lines = [
        f"- {link('the split, with every episode and its side', f'{_DATA}/processed/splits/{inputs.recipe}.json')}"
    ]
    for host in inputs.quality.hosts[:_MANY]:
        path = f"{_DATA}/processed/validation_v1.parquet/host={host.host}/episodes.parquet"
        words = f"the verdict on every episode of {escape_md(host.host)}"
        lines.append(f"- {link(words, path) if is_safe(host.host) else words}")
    if len(inputs.quality.hosts) > _MANY:
        lines.append(f"- and those of {len(inputs.quality.hosts) - _MANY} more hosts, in folders beside them")
    return "\n\n".join([*parts, "\n".join(lines)])
