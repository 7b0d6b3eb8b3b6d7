"""What all pictures share: size, colours, PNG bytes, and the same picture as SVG for a page that is light or dark.

PNG is for files and viewers of markdown: it brings its white paper along. SVG is for the HTML report: half as large as
a PNG of one theme, sharp at any size, and one file for both themes, since every colour in it is a variable that the
viewer's preference decides. Equal figures give equal bytes of both. matplotlib is imported when the first picture is
drawn, and its global settings stand as they were afterwards. What does not belong here: any picture.
"""

from __future__ import annotations

import colorsys
import io
import re
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
WIDTH_IN = 7.0  # 700 px: pictures in the Dagster UI show at natural size
INK, FAINT, GRID = "#1f2933", "#5f6c7b", "#e4e7eb"
PAPER, DARK_PAPER = "#ffffff", "#14181d"
TEXT_CONTRAST, LINE_CONTRAST = 4.5, 3.0  # WCAG 2.2: text, and what must be seen to read a picture
_DARK = {PAPER: DARK_PAPER, INK: "#dde3ea", FAINT: "#a3afbd", GRID: "#323c46", "#1f6fb4": "#5ea3e0"}
_PALE = 2.2  # contrast with the paper under which a colour is a background and stays one
_FONT = "system-ui,'Segoe UI',Helvetica,Arial,sans-serif"


class Drawn(bytes):
    """A picture's PNG bytes; `svg` is the same figure."""

    _figure: Figure

    @cached_property
    def svg(self) -> bytes:
        """The figure as SVG that follows the viewer's light or dark theme; made when it is asked for."""
        return _svg(self._figure)


def canvas(height_in: float, layout: Literal["constrained"] | None = None) -> Figure:
    """An empty figure, 700 px wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    figure: Figure = NewFigure(figsize=(WIDTH_IN, height_in), dpi=DPI, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> Drawn:
    """The figure as PNG, which can give it as SVG too."""
    buffer = io.BytesIO()
    # without the Software entry the bytes do not name matplotlib's version
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    drawn = Drawn(buffer.getvalue())
    drawn._figure = figure
    return drawn


def dark(colour: str) -> str:
    """What `#rrggbb`, drawn on white paper, becomes on dark paper: as easily told from the paper as it was."""
    if colour in _DARK:
        return _DARK[colour]
    hue, light, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    if contrast(colour, PAPER) < _PALE:
        return _hex(hue, 0.13 + 0.6 * (1 - light), min(saturation, 0.5) * 0.7)
    wanted = max(TEXT_CONTRAST, min(contrast(colour, PAPER), 9.0))
    while light < 0.97 and contrast(_hex(hue, light, saturation), DARK_PAPER) < wanted:
        light += 0.01
    return _hex(hue, light, saturation)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _svg(figure: Figure) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # no date and no version: equal bytes
    # text stays text: a tenth of the bytes that outlines take
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rlstir"}):
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<[^>]*>", _tidied, text)
    text = re.sub(r">\n\s*<", "><", re.sub(r">\n\s*", ">", text))
    text = re.sub(r"<g>(<text[^>]*>[^<]*</text>)</g>", r"\1", text.replace("<g/>", "").replace("<g></g>", ""))
    rules: dict[str, str] = {}
    text = re.sub(r' style="([^"]*)"', lambda found: _classed(found[1], rules), text)
    colours = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", "".join(rules))))
    light = ";".join(f"--c{c}:#{c}" for c in colours)
    night = ";".join(f"--c{c}:{dark(f'#{c}')}" for c in colours)
    style = (
        f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{night}}}}}"
        f"*{{stroke-linejoin:round;stroke-linecap:butt}}text{{font-family:{_FONT}}}"
        + "".join(f".{name}{{{rule}}}" for rule, name in rules.items())
        + "</style>"
    )
    return re.sub(r"<style[^>]*>.*?</style>", lambda _: style, text, count=1, flags=re.S).encode("utf-8")


def _classed(rule: str, rules: dict[str, str]) -> str:
    """The class that stands for an element's style: most elements share a few."""
    return f' class="{rules.setdefault(rule, f"s{len(rules)}")}"'


def _tidied(tag: re.Match[str]) -> str:
    """One tag with places to a hundredth of a point, its colours as variables and the page's own font."""
    text = re.sub(r"\s+", " ", tag[0])
    text = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # nothing points to a group
    text = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", text)
    return re.sub(r"(?<=(?:fill|roke): )#([0-9a-f]{6})", r"var(--c\1)", text)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _hex(hue: float, light: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, light, saturation))


def _luminance(colour: str) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
