"""The report as one offline HTML file: the markdown converted, pictures embedded, one stylesheet inline.

What does not belong here: any wording; the markdown says everything.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.verdict import is_void
from rlstir_core.text import drawable

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def render_html(inputs: ReportInputs, plots: Mapping[str, bytes]) -> str:
    """`comparison_v2.html`: `plots` are PNG bytes by the name that `inputs.pictures` gives a path."""
    embedded = {path: data_uri(plots[name]) for name, path in inputs.pictures.items() if name in plots}
    body, contents = convert(render_markdown(inputs), embedded)
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    source = resources.files("rlstir_core.evaluation.report").joinpath("document.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        title=f"RL-STIR comparison, recipe {inputs.recipe}",
        store=drawable(inputs.store),
        void=is_void(inputs),
        synthetic=inputs.synthetic,
        contents=contents,
        # markdown-it with html switched off: everything that came from data is escaped by it
        body=Markup(body),  # noqa: S704
    )


def data_uri(png: bytes) -> str:
    """A PNG as a data URI."""
    if not png.startswith(PNG_MAGIC):
        raise ValueError("a picture of the report must be a PNG")
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def convert(markdown: str, pictures: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """HTML of the markdown, and its second-level headings as (anchor, text).

    A picture whose path is not in `pictures` is left out: the file must not load anything.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    contents: list[tuple[str, str]] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            text = _words(tokens[at + 1].children or [])
            anchor = f"{len(contents) + 1}-{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')}"
            token.attrSet("id", anchor)
            contents.append((anchor, text))
        for child in token.children or []:
            if child.type == "image":
                child.attrSet("src", pictures.get(str(child.attrGet("src")), "data:,"))
            if child.type == "link_open":
                child.attrSet("href", "#")  # the report makes no links; one from data leads nowhere
    html = parser.renderer.render(tokens, parser.options, {})
    wrapped = html.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return wrapped, contents


def _words(children: Sequence[object]) -> str:
    return "".join(str(getattr(child, "content", "")) for child in children)
