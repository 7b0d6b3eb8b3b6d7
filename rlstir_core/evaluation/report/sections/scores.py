"""The scores so far: what each evaluation of a recipe found, by the time that its test recordings span.

On the page alone: it differs between two runs of equal inputs. What does not belong here: keeping it (`history.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.report.history import Essentials, History
from rlstir_core.evaluation.report.markdown import figure, plural, table
from rlstir_core.text import escape_md

SCORES_PICTURE = "plots/scores.png"
_SHOWN = 30  # evaluations; the rest is in the file beside the report
_SUFFIX = f"_{PRIMARY_MODE}"


def scores_section(history: History) -> str:
    """A row an evaluation, the newest first, and a column a realistic model; empty before there are two."""
    every = [*history.earlier, history.current]
    if len(every) < 2:
        return ""
    models = sorted({name for each in every[-_SHOWN:] for name in each.scores if name.endswith(_SUFFIX)})
    head = ["evaluated, UTC", "tested recordings", "episodes", *(escape_md(m.removesuffix(_SUFFIX)) for m in models)]
    rows = [_row(each, models) for each in reversed(every[-_SHOWN:])]
    more = f" The {len(every) - _SHOWN} before these are in `_history.json`." if len(every) > _SHOWN else ""
    text = (
        f"Macro F1 of the {PRIMARY_MODE} models in each of {plural(len(every), 'evaluation')} so far, newest first. "
        f"Test sides differ as episodes come, so a step between two rows is no difference of models; where another "
        f"model speaks, the head of this page sets it against the one before on the episodes of both.{more}"
    )
    picture = f"![Macro F1 of each model over the evaluations so far]({SCORES_PICTURE})"
    return "\n\n".join(["## Scores so far", text, picture, table(head, rows, "llr" + "l" * len(models))])


def _row(each: Essentials, models: list[str]) -> list[str]:
    made = datetime.fromtimestamp(each.made_s, UTC).strftime("%Y-%m-%d %H:%M")
    span = f"{_day(each.tested_from_ns)} to {_day(each.tested_until_ns)}"
    return [made, span, f"{each.test_episodes:,}", *(_cell(each, model) for model in models)]


def _cell(each: Essentials, model: str) -> str:
    return figure(each.scores[model]) if model in each.scores else ""


def _day(wall_ns: int | None) -> str:
    if wall_ns is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "unknown"
