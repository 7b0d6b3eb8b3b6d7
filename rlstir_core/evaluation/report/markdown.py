"""Writing markdown: the small forms (figures, tables, links); `text.py` escapes what came from data.

What does not belong here: what a report says (`sections/`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rlstir_core.evaluation.stats.intervals import Estimate

MISSING = "–"
_MAX_PAD = 44
_LINK = re.compile(
    r"(?:\.\./){0,4}(?:[A-Za-z0-9][A-Za-z0-9._=-]{0,79}/){0,8}"
    r"[A-Za-z0-9][A-Za-z0-9._=-]{0,119}\.(?:json|jsonl|parquet|png|md|toml)",
    re.ASCII,
)


def number(value: float | None, places: int = 3) -> str:
    """`0.612`, or a dash where there is none."""
    if value is None:
        return MISSING
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text


def figure(estimate: Estimate, places: int = 3) -> str:
    """`0.612 [0.55, 0.67]`, the figure alone where it has no interval, a dash where it is refused."""
    if estimate.value is None:
        return MISSING
    if estimate.lo is None or estimate.hi is None:
        return number(estimate.value, places)
    lo, hi = number(estimate.lo, places), number(estimate.hi, places)
    return f"{number(estimate.value, places)} [{lo}, {hi}]"


def signed(estimate: Estimate, places: int = 3) -> str:
    """A difference: `+0.041 [-0.012, +0.094]`."""
    if estimate.value is None:
        return MISSING
    if estimate.lo is None or estimate.hi is None:
        return f"{estimate.value:+.{places}f}"
    return f"{estimate.value:+.{places}f} [{estimate.lo:+.{places}f}, {estimate.hi:+.{places}f}]"


def p_value(p: float | None) -> str:
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def link(words: str, path: str) -> str:
    """A link to a file beside the report; the words alone where the path is not one that the page would keep.

    The words must be escaped already.
    """
    return f"[{words}]({path})" if may_link(path) else words


def may_link(path: str) -> bool:
    """Whether a link may lead there: a relative path of plain names, to a file that runs nothing when it is opened."""
    return _LINK.fullmatch(path) is not None and ".." not in path.replace("../", "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A markdown table, padded so that it reads as text.

    `align` is `l` or `r` for each column; left out, all but the first are right-aligned. Cells that come from
    data must be escaped already.
    """
    align = align or "l" + "r" * (len(head) - 1)
    lines = [list(head), *(list(row) for row in rows)]
    widths = [min(_MAX_PAD, max(3, *(len(line[i]) for line in lines))) for i in range(len(head))]
    rule = ["-" * (w - 1) + ":" if side == "r" else "-" * w for side, w in zip(align, widths, strict=True)]
    return "\n".join(_line(cells, widths, align) for cells in (lines[0], rule, *lines[1:]))


def _line(cells: Sequence[str], widths: Sequence[int], align: str) -> str:
    padded = [
        cell.rjust(width) if side == "r" else cell.ljust(width)
        for cell, width, side in zip(cells, widths, align, strict=True)
    ]
    return "| " + " | ".join(padded) + " |"


def percent(share: float) -> str:
    """`1 %`, `0.1 %`."""
    return f"{100 * share:g} %"


def plural(count: int, noun: str) -> str:
    """`1 host`, `2 hosts`, `1,234 windows`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
