"""The page of results as markdown: sections of rows with intervals, where the data come from, versions.

What does not belong here: measuring.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rlstir_core.evaluation.report.markdown import figure, signed, table
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.results.versions import VERSIONS
from rlstir_core.text import escape_md

COMMAND = "python -m benchmarks results"
_PACKAGES = ("rlstir", "torch", "xgboost", "numpy", "scipy", "scikit-learn", "aeon")
_STAGES = ("rows", "tensors", "features", "split", "weights", "baselines", "evaluation")

_CHOSEN = (
    "No run chooses anything on its test data. The product itself was settled with such data in sight, though: the "
    "number of folds for small sets (three, not two) after test scores of GunPoint had been seen, how the ensemble "
    "votes after the test accuracy on one split of the hardware counters, and the numbers of the technique models on "
    "the logs of the two authors below. So all these figures may lean high and are no clean evidence for these choices."
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model or what stands beside it; a cell is an estimate, or a figure that is shown already."""

    name: str
    cells: dict[str, Estimate | str]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table; `data` are names in the table of sources, separated by blanks. Title and words are our own markdown."""

    title: str
    words: str
    rows: tuple[Row, ...]
    data: str


def page(sections: Sequence[Section], sources: Sequence[Sequence[str]], command: str, minutes: float) -> str:
    """The whole page."""
    parts = [
        "# Results on public data",
        f"Made by `{command}` in {minutes:.0f} minutes on one core, never typed by hand. Every estimate has its 95 % "
        f"interval. A row that is not ours stands in the same table.\n\n{_CHOSEN}",
        *(_section(each) for each in sections),
        "## Where the data are\n\nThe data are not part of this project. A reader takes them from the source named "
        "here and lays them out as the first column says, in a folder that `--shared` names.\n\n"
        + table(["in the folder", "source", "licence"], [[escape_md(cell) for cell in row] for row in sources], "lll"),
        "## Versions\n\n" + table(["", ""], [[name, text] for name, text in versions().items()], "ll"),
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    heads = list(dict.fromkeys(head for row in section.rows for head in row.cells))
    rows = [
        [escape_md(row.name), *(_cell(head, row.cells.get(head, "")) for head in heads)]
        for row in sorted(section.rows, key=lambda row: -_first(row))
    ]
    return (
        f"## {section.title}\n\n{section.words}\n\n"
        + table(["", *heads], rows)
        + f"\n\nData: {', '.join(f'`{name}`' for name in section.data.split())}."
    )


def _first(row: Row) -> float:
    """What a table is sorted by: the first figure of a row."""
    cell = next(iter(row.cells.values()))
    if isinstance(cell, Estimate):
        return cell.value or 0.0
    try:
        return float(cell.split()[0])
    except (IndexError, ValueError):
        return 0.0


def _cell(head: str, cell: Estimate | str) -> str:
    if isinstance(cell, str):
        return cell
    return signed(cell) if " minus " in head else figure(cell)


def versions() -> dict[str, str]:
    """Packages, and the stages whose numbers decide these figures."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["stages"] = ", ".join(f"{stage} {VERSIONS[stage]}" for stage in _STAGES)
    return found


def sources(shared: Path, wanted: Sequence[str]) -> list[list[str]]:
    """Folder, source and licence of each of the wanted data, as the tables of the data's own pages say them."""
    found = []
    for name in ("real", "knowledge"):
        for line in (shared / name / "README.md").read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if line.startswith("|") and len(cells) >= 3 and cells[0].split("/")[0].split(".")[0] in wanted:
                found.append([f"{name}/{cells[0]}", cells[1], cells[2]])
    return found
