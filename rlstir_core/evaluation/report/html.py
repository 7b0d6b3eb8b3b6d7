"""The report as one offline HTML file: the markdown converted, pictures embedded, one stylesheet inline.

Long parts fold, and open without a script when a link points into them; one script (`sorting.js`) puts the rows of
tables in the order of a column. Pictures are SVG that follow the page's theme.
Only links that `may_link` knows are kept. What does not belong here: any wording; the markdown says everything but when
the report was made and what changed since the last one (`history.py`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING

from rlstir_core.drawing import Drawn
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import may_link
from rlstir_core.evaluation.report.sections.scores import SCORES_PICTURE
from rlstir_core.evaluation.report.sections.verdict import is_void
from rlstir_core.evaluation.stats.records import ModelEvaluation
from rlstir_core.text import drawable, plain

if TYPE_CHECKING:
    from markdown_it.token import Token

PNG_MAGIC, SVG_MAGIC = b"\x89PNG\r\n\x1a\n", b"<svg "
SVG_BYTES = 100_000  # a picture with more marks than this holds is smaller as PNG
# Sections that are looked up rather than read, by the beginning of their titles.
FOLDED = (
    "Paired differences",
    "Spread of members",
    "Per profile",
    "Per host",
    "Complete and degraded",
    "Random start",
    "Setup",
    "Split",
    "Data quality",
    "Drift",
    "Leak probes",
    "Files",
    "Manifest",
    "Cost",
)
_UNIT = re.compile(r"(?<=\[95) (?=%)|(?<=\bn) (?==)|(?<==) (?=\d)")  # blanks of a head at which no line ends
_INTERVAL = re.compile(r"(<td[^>]*>)([+-]?\d[\d.]*) (\[[+-]?[\d.]+, [+-]?[\d.]+\])</td>")
_FIRST = 21  # characters that a first column has at least before it wraps in a narrow box
_WORDS, _LONG = 16, 32  # characters from which a cell wraps where it must, and from which it is text
_CHAR_PX, _CELL_PX = 6.8, 15  # of the tables' type, and the space around a cell
_SOME, _MANY = 5, 8  # columns from which an interval stands below its figure in a box of 960 px, and in any
_NARROW_PX = (
    280,
    320,
    360,
    400,
    440,
    480,
    560,
    640,
    720,
    800,
    880,
    960,
)  # widths of a table's box at which the page may say that it scrolls


def predictions(model: ModelEvaluation) -> str:
    """The file that a model's figures were counted from, beside the page."""
    return f"predictions/{model.model}_{model.mode}.parquet"


def render_html(inputs: ReportInputs, plots: Mapping[str, bytes], made: Sequence[str] = (), scores: str = "") -> str:
    """`comparison_v2.html`: `plots` are pictures by the name that `inputs.pictures` gives a path.

    `made` are plain lines that differ between two runs of equal inputs: when, and what changed.
    `scores` is the section of the scores so far, which differs likewise.
    """
    shown = {**inputs.pictures, "scores": SCORES_PICTURE}
    embedded = {path: data_uri(plots[name]) for name, path in shown.items() if name in plots}
    markdown = render_markdown(inputs, page=True)
    rows = {f"{m.model} {m.mode}": predictions(m) for m in inputs.models} | {
        m.model: predictions(m) for m in inputs.baselines
    }
    body, contents = convert("\n\n".join([markdown, scores]) if scores else markdown, embedded, made, rows)
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    source, script = (_ours(name) for name in ("document.html.j2", "sorting.js"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        title=f"RL-STIR comparison, recipe {inputs.recipe}",
        store=drawable(inputs.store),
        void=is_void(inputs),
        synthetic=inputs.synthetic,
        contents=contents,
        narrow_px=_NARROW_PX,
        script=Markup(script),  # noqa: S704
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        # markdown-it with html switched off: everything that came from data is escaped by it
        body=Markup(body),  # noqa: S704
    )


def _ours(name: str) -> str:
    return resources.files("rlstir_core.evaluation.report").joinpath(name).read_text("utf-8")


def data_uri(picture: bytes) -> str:
    """A picture as data URI: SVG where it can be and is not too large, which follows the page's theme."""
    if isinstance(picture, Drawn) and len(picture.svg) <= SVG_BYTES:
        picture = picture.svg
    kind = "svg+xml" if picture.startswith(SVG_MAGIC) else "png"
    if kind == "png" and not picture.startswith(PNG_MAGIC):
        raise ValueError("a picture of the report must be a PNG or an SVG")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


def convert(
    markdown: str, pictures: Mapping[str, str], made: Sequence[str] = (), rows: Mapping[str, str] | None = None
) -> tuple[str, list[tuple[str, str]]]:
    """HTML of the markdown, and its second-level headings as (anchor, text).

    A picture whose path is not in `pictures` is left out: the file must not load anything. The first cell of a table's
    row that says a name of `rows` leads to the file behind its figures.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    _make_safe(tokens, pictures)
    _lead_rows(tokens, rows or {})
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    contents: list[tuple[str, str]] = []

    def html_of(part: list[Token]) -> str:
        return _with_tables(parser.renderer.render(part, parser.options, {}), part)

    parts = [_first_screen(html_of, tokens[: starts[0] if starts else len(tokens)], made)]
    for start, end in pairwise([*starts, len(tokens)]):
        text = _words(tokens[start + 1].children or [])
        anchor = f"{len(contents) + 1}-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')}"
        contents.append((anchor, text))
        heading, rest = html_of(tokens[start : start + 3]), html_of(tokens[start + 3 : end])
        if text.startswith(FOLDED):
            # the anchor lies in what folds: a browser opens what it must show to go there
            parts.append(
                f'<details><summary>{heading}</summary><div id="{anchor}" class="folded">{rest}</div></details>\n'
            )
        else:
            parts.append(f'<section id="{anchor}">{heading}{rest}</section>\n')
    return "".join(parts), contents


def _make_safe(tokens: Sequence[Token], pictures: Mapping[str, str]) -> None:
    """Embeds pictures, takes the targets of links away that the report does not make, and marks cells of text."""
    for before, token in zip([None, *tokens], tokens, strict=False):
        children = token.children or []
        for child in children:
            if child.type == "image":
                source = pictures.get(str(child.attrGet("src")), "data:,")
                child.attrSet("src", source)
                if source.startswith("data:image/png"):
                    child.attrSet("class", "png")
            if child.type == "link_open" and not may_link(str(child.attrGet("href"))):
                child.attrSet("href", "#")
        if before is not None and before.type == "th_open":
            for child in children:
                child.content = _UNIT.sub("\u00a0", child.content)
        if before is not None and children and all(child.type == "image" for child in children):
            before.attrSet("class", "picture")
        words = _words(children)
        if before is not None and before.type == "td_open" and len(words) > _WORDS and not _figure(token):
            before.attrSet("class", "text" if len(words) > _LONG else "words")


def _lead_rows(tokens: Sequence[Token], rows: Mapping[str, str]) -> None:
    """Makes the name that begins a row of figures a link to what they were counted from."""
    from markdown_it.token import Token

    for first, cell, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        path = rows.get(_words(inline.children or []), "") if inline.children else ""
        if first.type != "tr_open" or cell.type != "td_open" or not path or not may_link(path):
            continue
        if not any(child.type == "link_open" for child in inline.children or []):
            opened = Token("link_open", "a", 1, {"href": path, "class": "row", "title": "predictions"})
            inline.children = [opened, *(inline.children or []), Token("link_close", "a", -1)]


def _first_screen(html_of: Callable[[list[Token]], str], tokens: list[Token], made: Sequence[str]) -> str:
    """What stands before the first section: the title, the answer, its picture, and of what it speaks."""
    from markupsafe import escape

    title = next((at + 1 for at, token in enumerate(tokens) if token.type == "heading_close"), 0)
    pictures = [at for at, token in enumerate(tokens) if token.attrGet("class") == "picture"]
    if not title and not pictures:
        return html_of(tokens)
    start = pictures[0] if pictures else len(tokens)
    end = start + 3 if pictures else start
    lines = "".join(f"<li>{escape(plain(line))}</li>" for line in made)
    return (
        f'<header>{html_of(tokens[:title])}<div class="answer">{html_of(tokens[title:start])}</div>'
        f"{html_of(tokens[start:end])}"
        f'<div class="of">{html_of(tokens[end:])}'
        + (f'<ul class="made">{lines}</ul>' if lines else "")
        + "</div></header>\n"
    )


def _with_tables(html: str, tokens: Sequence[Token]) -> str:
    """Tables in boxes that scroll, with intervals that may stand below their figures."""
    widths = iter(_widths(tokens))

    def opened(_: re.Match[str]) -> str:
        first, *others = next(widths)
        columns = [min(first, _FIRST), *others]
        need = sum(_CHAR_PX * column + _CELL_PX for column in columns)
        # the smallest box in which it surely fits; below that the page says that there is more
        fits = next((px for px in _NARROW_PX if need <= px), _NARROW_PX[-1])
        kind = "many" if len(columns) >= _MANY else "some" if len(columns) >= _SOME else "few"
        hint = f'<p class="more w{fits}">scroll sideways for all columns →</p>'
        return f'<div class="wide"><div class="scroll">{hint}<table class="{kind}">'

    html = re.sub("<table>", opened, _INTERVAL.sub(r'\1\2 <span class="ci">\3</span></td>', html))
    return html.replace("</table>", "</table></div></div>")


def _widths(tokens: Sequence[Token]) -> list[list[int]]:
    """The characters that each column of each table needs to stand whole."""
    found: list[list[int]] = []
    columns: list[int] = []
    at, kind = 0, ""
    for token in tokens:
        if token.type == "table_open":
            columns = []
        elif token.type == "tr_open":
            at = 0
        elif token.type in ("th_open", "td_open"):
            kind = token.type
            columns += [0] if at == len(columns) else []
        elif token.type == "inline" and kind:
            text = _words(token.children or [])
            words = text.split() if kind == "th_open" or len(text) > _LONG else [text]
            parts = re.split(r" (?=\[)", text) if _figure(token) else words
            columns[at] = max(columns[at], *(min(len(part), _LONG) for part in (*parts, "")))
        elif token.type in ("th_close", "td_close"):
            at, kind = at + 1, ""
        elif token.type == "table_close":
            found.append(columns)
    return found


def _figure(token: Token) -> bool:
    return re.fullmatch(r"[+-]?\d[\d.]* \[[^\]]*\]", token.content) is not None


def _words(children: Sequence[object]) -> str:
    return "".join(str(getattr(child, "content", "")) for child in children)
