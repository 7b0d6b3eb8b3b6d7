"""Whether what comes out is plain text: files, pages, tables, the records of Dagster, the terminal.

What does not belong here: what went in (`hostile_text.py`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import sentencepiece
from click.testing import CliRunner, Result
from hostile_text import MARK, PAYLOADS, UNSEEN, utf8
from markdown_it import MarkdownIt

import rlstir_assets.cli
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.html import render_html
from rlstir_core.evaluation.report.inputs import (
    ReportInputs,
)
from rlstir_core.ids import is_safe

# what comes out


def assert_plain(text: str, where: str, allowed: str = "\n") -> None:
    """No character that a terminal or a reader does not see as it is."""
    bad = {char for char in set(text) if unicodedata.category(char) in UNSEEN and char not in allowed}
    assert not bad, f"{where}: {sorted(map(ascii, bad))} in {_around(text, min(bad))!a}"


def _around(text: str, char: str) -> str:
    at = text.index(char)
    return text[max(0, at - 60) : at + 60]


class Page(HTMLParser):
    """The elements, their attributes, headings and table rows of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, str]] = set()
        self.values: list[str] = []
        self.links: set[str] = set()
        self.words = ""
        self.rows: list[int] = []
        self.headings: list[str] = []
        self._in_heading = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements |= {(tag, ""), *((tag, name) for name, _ in attrs)}
        self.values += [value or "" for _, value in attrs]
        self.links |= {value or "" for name, value in attrs if name == "href"}
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1
        if re.fullmatch("h[1-6]", tag):
            self.headings.append("")
        self._in_heading = re.fullmatch("h[1-6]", tag) is not None

    def handle_endtag(self, tag: str) -> None:
        self._in_heading = False

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._in_heading:
            self.headings[-1] += data

    def handle_comment(self, data: str) -> None:
        self.elements.add(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.elements.add(("declaration", decl))


def rendered(markdown: str) -> Page:
    """The page that a generous renderer makes of it: raw HTML, tables, strikethrough and bare links are on."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return Page(parser.render(markdown))


def assert_same_form(page: Page, calm: Page, where: str) -> None:
    """The page has no element, attribute, heading or link that the calm page has not."""
    assert page.elements <= calm.elements, f"{where}: {sorted(page.elements - calm.elements)}"
    assert page.headings == calm.headings, where
    assert page.links <= calm.links, f"{where}: {sorted(page.links - calm.links)}"
    values = [value for value in page.values if not re.match("data:image/[a-z+]+;base64,", value)]  # letters at random
    links = [value for value in values if MARK in value or re.match(r"(?i)\s*(javascript|https?|vbscript):", value)]
    assert not links, f"{where}: {links}"


def assert_tables_hold(markdown: str, where: str) -> None:
    """Every row of a table has as many cells as its head: a pipe from data would make one more."""
    widths: list[int] = []
    for line in markdown.splitlines():
        if not line.startswith("|"):
            widths = []
            continue
        widths.append(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)))
        assert widths[-1] == widths[0], f"{where}: {line[:200]}"


def assert_report_is_safe(markdown: str, html: str, calm: ReportInputs, where: str) -> None:
    assert MARK in markdown and MARK in html
    assert_plain(markdown, where)
    assert_plain(html, where)
    assert_tables_hold(markdown, where)
    assert not re.search(r"(?i)<(script|img|svg|http|!--)", markdown), where
    assert_same_form(rendered(markdown), rendered(render_markdown(calm)), where)
    assert_same_form(Page(html), Page(render_html(calm, {}, ["made"])), where)


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from texts(name)
            yield from texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one)


def assert_file_is_plain(path: Path) -> str:
    """Its text, after a look at every character; empty where it holds numbers only."""
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        found = "\n".join(texts([table.column_names, table.to_pylist()]))
    elif path.suffix == ".model":
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        found = "\n".join(pieces.id_to_piece(k) for k in range(len(pieces)))
    elif path.suffix in (".safetensors", ".png"):
        raw = path.read_bytes()
        n_head = 8 + int.from_bytes(raw[:8], "little") if path.suffix == ".safetensors" else 0
        found = raw[8:n_head].decode("utf-8")
        for one in texts(json.loads(found or "{}")):
            assert_plain(one, str(path), allowed="")
        # the mark alone is three bytes, and weights hold any three
        assert not any(utf8(payload)[:12] in raw[n_head:] for payload in PAYLOADS)
    else:
        found = path.read_text("utf-8")
        if path.suffix in (".json", ".jsonl"):
            for line in [found] if path.suffix == ".json" else found.splitlines():
                for one in texts(json.loads(line)):
                    assert_plain(one, str(path), allowed="")
    assert_plain(found, str(path))
    return found


def assert_folder_is_plain(folder: Path) -> str:
    """Every file of a folder of outputs; gives all their text."""
    found = []
    for path in sorted(folder.rglob("*")):
        for part in path.relative_to(folder).parts:
            assert re.fullmatch(r"[A-Za-z0-9 ._=-]{1,120}", part), part
        # log rows are data: they hold what the log said, and whoever shows them escapes it
        if path.is_file() and "log_events_v1.parquet" not in path.parts:
            found.append(assert_file_is_plain(path))
    return "\n".join(found)


def assert_instance_is_plain(home: Path) -> str:
    """Every event, message, description and metadata entry that Dagster kept, and its log files."""
    found = []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for run in instance.get_runs():
            for record in instance.all_logs(run.run_id):
                event_texts = list(texts(json.loads(dg.serialize_value(record))))
                for text in event_texts:
                    # what Dagster itself says, a trace say, may have lines; what a tarball says may not
                    assert_plain(text, f"event of {record.step_key}", allowed="" if MARK in text else "\n\t")
                found += event_texts
        names = instance.get_dynamic_partitions("host")
        assert all(is_safe(name) for name in names)
    for path in home.rglob("*"):
        if path.suffix in (".log", ".out", ".err", ".txt"):
            written = path.read_text("utf-8")
            assert_plain(written, str(path), allowed="\n\t\x1b")
            assert all("\x1b" not in line for line in written.splitlines() if MARK in line)
    return "\n".join(found)


def lines_of(text: str) -> str:
    assert_plain(text, "terminal")
    return text


def tool(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(rlstir_assets.cli.cli, [str(argument) for argument in arguments], prog_name="rlstir")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 2)
    return result
