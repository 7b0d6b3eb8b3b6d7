"""What all pictures share: size, colours, and PNG bytes that are equal for equal figures.

matplotlib is imported when the first picture is drawn, and used without global state. What does not belong here: any
picture.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
WIDTH_IN = 7.0  # 700 px: pictures in the Dagster UI show at natural size
INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"


def canvas(height_in: float, layout: Literal["constrained"] | None = None) -> Figure:
    """An empty figure, 700 px wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    figure: Figure = NewFigure(figsize=(WIDTH_IN, height_in), dpi=DPI, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    # without the Software entry the bytes do not name matplotlib's version
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
