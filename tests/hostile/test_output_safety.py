"""What the author of a tarball, an index line or a foreign table writes stays text wherever it comes out.

Reports, cards, JSON, Dagster's records, logs, the terminal and file names are all looked at. What does not
belong here: which verdict each bad episode gets (the hostile corpus).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import cycle, product
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

import rlstir_assets.cli
from rlstir_assets import console
from rlstir_assets.reporting import refusals, table
from rlstir_core.errors import StoreError
from rlstir_core.evaluation.comparison import write_comparison
from rlstir_core.evaluation.detector_eval import inputs_path, read_inputs
from rlstir_core.evaluation.inline import inline_forest
from rlstir_core.evaluation.intervals import Estimate
from rlstir_core.evaluation.model_card import render_model_card
from rlstir_core.evaluation.report import render_markdown
from rlstir_core.evaluation.report_html import render_html
from rlstir_core.evaluation.report_inputs import (
    BadRows,
    Coverage,
    Excluded,
    HostQuality,
    IndexFault,
    LeakProbe,
    LowDiversity,
    Manifest,
    ReportInputs,
)
from rlstir_core.evaluation.results import ModelEvaluation, Stratum, Untested
from rlstir_core.ids import is_safe

MARK = "zq7"  # stands in every payload: where it comes out, the payload did
PAYLOADS = (
    "<script>alert('zq7')</script>",
    "<img src=x onerror=alert('zq7')>",
    "zq7<svg/onload=alert(1)><!--",
    "[zq7](javascript:alert(1))",
    "![zq7](http://zq7.example/x.png)",
    "<http://zq7.example> http://zq7.example www.zq7.example me@zq7.example",
    "`zq7` **bold** _loose_ ~~gone~~ $x^2$",
    "zq7 | a | b \\| c |",
    "\x1b[2J\x1b]0;zq7\x07\x9b31m",
    "zq7\r\n# Heading zq7\r\n\r\n| a |\r\n|---|\r\n| zq7 |",
    "zq7\u202egnp.exe\u2066x\u2069",
    "\ufeffzq7\u200b\u2060\U000e0041",
    "zq7-раураl-ｓｃｒｉｐｔ",
    "=cmd|' /C calc'!A0 zq7",
    "{{7*7}}{% zq7 %}%s%n%x${jndi:ldap://zq7}",
    "../../zq7",
    "--- zq7",
    "&lt;script&gt;zq7 &#60;img&#62; &#x202e;",
    "zq7\x00nul\x7f",
    "zq7\u2028# x\u2029\x85y",
    "zq7" * 30_000,
)
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
T0 = 1_750_000_000 * 10**9
HOST = "elliott-thinkpad"  # of the small store, which a run already trained on
STORE_NAMES = ("javascript-alert-zq7", "logs/zq7.html", "zq7.md")


# what an author can write


def header(name: bytes, size: int, kind: bytes = b"0", link: bytes = b"", magic: bytes = b"ustar\x0000") -> bytes:
    block = bytearray(512)
    block[: len(name[:100])] = name[:100]
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148] = b"%011o\0" % size, b"00000000000\0"
    block[156:157], block[257:265] = kind, magic
    block[157 : 157 + len(link[:100])] = link[:100]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def entry(name: bytes, data: bytes, **more: bytes) -> bytes:
    return header(name, len(data), **more) + data + bytes(-len(data) % 512)


def utf8(text: str) -> bytes:
    return text.encode("utf-8")


def field(text: str) -> bytes:
    """`text` as a field of a tar header may hold it."""
    return utf8(text).replace(b"\0", b"\x01")[:100]


def meta_of(episode: str, **changes: Any) -> bytes:
    known = {
        "schema_version": 1,
        "episode_id": episode,
        "host_id": HOST,
        "profile": "io-walk",
        "sample_name": "s-1",
        "benign": True,
        "t_start_wall_ns": T0,
        "t_end_wall_ns": T0 + 5 * 10**9,
    }
    return utf8(json.dumps({**known, **changes}))


def labels_of(*rows: Any) -> bytes:
    return entry(b"labels.jsonl", utf8("".join(json.dumps(row) + "\n" for row in rows)))


def pax(key: str, value: str) -> bytes:
    body = utf8(f" {key}={value}\n")
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return entry(b"pax", (b"%d" % length + body)[:8000], kind=b"x")


Made = Callable[[str, str], bytes]  # episode, payload -> the tar's members
CLEAN = {"t_wall_ns": T0, "phase": "clean"}


def meta_with(**fields: Callable[[str], Any]) -> Made:
    return lambda episode, text: entry(b"meta.json", meta_of(episode, **{k: v(text) for k, v in fields.items()}))


def beside(make: Callable[[str], bytes]) -> Made:
    return lambda episode, text: entry(b"meta.json", meta_of(episode)) + make(text)


USABLE: dict[str, Made] = {
    "extra keys and origin": lambda e, t: entry(
        b"meta.json", meta_of(e, origin=t, note=t, sources={t: 3}, **{t: {t: [t]}})
    ),
    "unknown members": beside(lambda t: b"".join(entry(utf8(name), utf8(t)) for name in STORE_NAMES)),
    "logs": beside(lambda t: entry(b"logs/auth.log", utf8(t)) + entry(b"gt_ttp_sequence.json", utf8(t))),
    "profile that reads like code": lambda e, t: entry(
        b"meta.json", meta_of(e, profile="javascript-zq7", sample_name="__proto__.zq7"[2:])
    ),
    "pax owner": lambda e, t: pax("uname", t) + entry(b"meta.json", meta_of(e)),
}
REJECTED: dict[str, Made] = {
    "episode id": meta_with(episode_id=str),
    "host id": meta_with(host_id=str),
    "profile": meta_with(profile=str),
    "sample": meta_with(sample_name=str),
    "benign": meta_with(benign=str),
    "version": meta_with(schema_version=str),
    "start": meta_with(t_start_wall_ns=str),
    "source counts": meta_with(sources=lambda t: {t: t}),
    "sources": meta_with(sources=str),
    "no JSON": lambda e, t: entry(b"meta.json", utf8(t)),
    "key twice": lambda e, t: entry(b"meta.json", meta_of(e)[:-1] + b"," + utf8(f"{json.dumps(t)}:1," * 2)[:-1] + b"}"),
    "phase": beside(lambda t: labels_of(CLEAN, {"t_wall_ns": T0 + 1, "phase": t})),
    "label": beside(lambda t: entry(b"labels.jsonl", utf8(t))),
    "label time": beside(lambda t: labels_of({"t_wall_ns": t, "phase": "clean"})),
    "member name": beside(lambda t: entry(field(t), b"")),
    "link": beside(lambda t: entry(b"logs/x.evtx", b"", kind=b"2", link=field(t))),
    "link of a hostile name": beside(lambda t: entry(field(t), b"", kind=b"2")),
    "type": beside(lambda t: entry(field(t), b"", kind=b"%")),
    "folder": beside(lambda t: entry(field(t), b"", kind=b"5")),
    "magic": beside(lambda t: entry(b"proc.jsonl", b"", magic=field(t)[:8].ljust(8, b" "))),
    "pax key": beside(lambda t: pax(t.replace("=", "-"), "x") + entry(b"proc.jsonl", b"")),
    "pax path": beside(lambda t: pax("path", t) + entry(b"proc.jsonl", b"")),
}
ROWS: dict[str, Made] = {
    "rows": beside(
        lambda t: (
            labels_of(CLEAN)
            + entry(b"proc.jsonl", utf8(json.dumps({t: t, "t_wall_ns": t}) + "\n" + t))
            + entry(b"netflow.jsonl", utf8(json.dumps({"t_wall_ns": T0, "t_mono_ns": 0, "bytes": 1, "src": t})))
        )
    )
}


def add(store: Path, name: str, tar: bytes) -> dict[str, Any]:
    data = zstandard.ZstdCompressor().compress(tar + bytes(1024))
    path = f"episodes/{HOST}/{name}.tar.zst"
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return {"episode_id": name, "host_id": HOST, "path": path, "bytes": len(data), "sha256": digest}


def index_lines(text: str) -> Iterator[bytes]:
    """Index lines with `text` in every place."""
    good = {"episode_id": "gone", "host_id": HOST, "path": f"episodes/{HOST}/gone.tar.zst", "bytes": 1}
    good["sha256"] = "0" * 64
    for key in (*good, "profile", "sample_name", "received_wall_ns"):
        yield utf8(json.dumps({**good, key: text}))
        yield utf8(json.dumps({**good, key: text}, ensure_ascii=False))
    yield utf8(json.dumps({text: text}))
    yield utf8(json.dumps(text))
    yield utf8(text)
    yield utf8('{"' + text + '": ')


def write_index(store: Path, records: list[dict[str, Any]], payloads: tuple[str, ...]) -> None:
    lines = [line for text in payloads for line in index_lines(text)]
    with (store / "index.jsonl").open("ab") as index:
        index.write(b"\n" + b"\n".join([utf8(json.dumps(record)) for record in records] + lines) + b"\n\xff\xfe zq7")


def stray_names(store: Path) -> None:
    """Folders and files whose names are payloads."""
    names = [utf8(text.replace("/", ":").replace("\0", "0"))[:200].decode("utf-8", "ignore") for text in PAYLOADS]
    root = os.fsencode(store / "episodes")
    for name in [*(os.fsencode(name) for name in names), b"zq7\xff\xfe"]:
        Path(os.fsdecode(root + b"/" + name)).mkdir()
        Path(os.fsdecode(root + b"/" + name + b"/zq7.tar.zst")).write_bytes(b"")
        Path(os.fsdecode(root + utf8(f"/{HOST}/") + name + b".tar.zst")).write_bytes(b"")
        Path(os.fsdecode(root + utf8(f"/{HOST}/") + name + b"-link.tar.zst")).symlink_to("/etc/passwd")


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
        self.words = ""
        self.rows: list[int] = []
        self.headings: list[str] = []
        self._in_heading = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements |= {(tag, ""), *((tag, name) for name, _ in attrs)}
        self.values += [value or "" for _, value in attrs]
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
    links = [
        value for value in page.values if MARK in value or re.match(r"(?i)\s*(javascript|https?|vbscript):", value)
    ]
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
    assert_same_form(Page(html), Page(render_html(calm, {})), where)


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
    elif path.suffix in (".safetensors", ".png"):
        raw = path.read_bytes()
        n_head = 8 + int.from_bytes(raw[:8], "little") if path.suffix == ".safetensors" else 0
        found = raw[8:n_head].decode("utf-8")
        for one in texts(json.loads(found or "{}")):
            assert_plain(one, str(path), allowed="")
        assert utf8(MARK) not in raw[n_head:]
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
        if path.is_file():
            found.append(assert_file_is_plain(path))
    return "\n".join(found)


def assert_instance_is_plain(home: Path) -> str:
    """Every event, message, description and metadata entry that Dagster kept, and its log files."""
    found = []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for run in instance.get_runs():
            for record in instance.all_logs(run.run_id):
                said = list(texts(json.loads(dg.serialize_value(record))))
                for text in said:
                    # what Dagster itself says, a trace say, may have lines; what a tarball says may not
                    assert_plain(text, f"event of {record.step_key}", allowed="" if MARK in text else "\n\t")
                found += said
        names = instance.get_dynamic_partitions("host")
        assert all(is_safe(name) for name in names)
    for path in home.rglob("*"):
        if path.suffix in (".log", ".out", ".err", ".txt"):
            said_there = path.read_text("utf-8")
            assert_plain(said_there, str(path), allowed="\n\t\x1b")
            assert all("\x1b" not in line for line in said_there.splitlines() if MARK in line)
    return "\n".join(found)


def lines_of(text: str) -> str:
    assert_plain(text, "terminal")
    return text


def tool(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(rlstir_assets.cli.cli, [str(argument) for argument in arguments], prog_name="rlstir")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 2)
    return result


# the tests


@pytest.mark.slow
def test_a_run_over_a_hostile_store_says_everything_as_plain_text(
    own_driven: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven, store = own_driven, own_driven.store
    calm = read_inputs(driven.layout, "host")
    trained = {path: path.stat().st_mtime_ns for path in driven.layout.artifacts("host").glob("*.ckpt.json")}
    payloads = cycle(PAYLOADS)
    records = []
    for kind, make in REJECTED.items():
        for _ in range(2):
            name = f"{kind.replace(' ', '-')}-{len(records)}"
            records.append(add(store, name, make(name, next(payloads))))
    for (kind, make), text in product(USABLE.items(), PAYLOADS):
        name = f"{kind.replace(' ', '-')}-{len(records)}"
        records.append(add(store, name, make(name, text)))
    write_index(store, records, PAYLOADS)
    stray_names(store)
    run = shell("rlstir", "materialize", "--store", store, "--data", driven.data, home=driven.home)
    assert run.returncode == 0, run.stderr
    assert {path: path.stat().st_mtime_ns for path in trained} == trained  # nothing hostile was trained on
    assert MARK in lines_of(run.stdout)
    lines_of(run.stderr)
    assert MARK in assert_folder_is_plain(driven.data)
    monkeypatch.chdir(driven.home)
    assert MARK in assert_instance_is_plain(driven.home)
    report = driven.layout.report("host")
    inputs = read_inputs(driven.layout, "host")
    assert calm is not None and inputs is not None
    assert any(MARK in fault.detail for fault in inputs.quality.index_faults)
    markdown, html = report.read_text(), report.with_suffix(".html").read_text()
    assert_tables_hold(markdown, "comparison_v2.md")
    known = rendered(render_markdown(calm)), Page(render_html(calm, {}))
    assert MARK in markdown and MARK in html
    pictures = {("img", name) for name in ("", "src", "alt")}
    for page, before in zip((rendered(markdown), Page(html)), known, strict=True):
        before.elements |= pictures
        assert_same_form(page, before, "comparison_v2")
    assert not re.search(r"(?i)<(script|img|svg|http|!--)", markdown)


@pytest.fixture
def sober(driven: Any) -> ReportInputs:
    """What the report of a real run was made of."""
    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None
    return inputs


def poisoned(inputs: ReportInputs, text: str) -> ReportInputs:
    """`inputs` with `text` in every place that holds words from data."""
    replace = msgspec.structs.replace
    quality, split = inputs.quality, inputs.split
    side = {"hosts": (text, text), "samples": (text, text)}
    return replace(
        inputs,
        models=tuple(poisoned_model(model, text) for model in inputs.models),
        baselines=tuple(replace(poisoned_model(model, text), model=text) for model in inputs.baselines),
        paired=tuple(replace(row, model=text) for row in inputs.paired),
        gaps=tuple(replace(row, model=text) for row in inputs.gaps),
        store=text,
        facts={text: text},
        untested=(Untested(kind="profile", name=text, n_test=0, reason=text),),
        probes=(LeakProbe(name=text, value=0.5, bound=0.4, verdict="leak", detail=text),),
        manifest=Manifest(versions={text: text}, config={text: text}, hashes={text: text}, counts={text: 1}),
        split=replace(
            split,
            says=text,
            train=replace(split.train, **side),
            test=replace(split.test, **side),
            excluded=(Excluded(kind="sample", name=text, reason=text),),
            coverage=(Coverage(kind="profile", name=text, train=1, test=1),),
            proofs=(text,),
        ),
        quality=replace(
            quality,
            index_faults=(IndexFault(line=1, detail=text),),
            hosts=(HostQuality(host=text, ok=0, degraded=1, rejected=1, reasons={text: 2}),),
            low_diversity=(LowDiversity(profile=text, samples=1, episodes=1),),
            bad_rows=(BadRows(host=text, source=text, read=2, dropped=1),),
            notes=(text,),
        ),
    )


def poisoned_model(model: ModelEvaluation, text: str) -> ModelEvaluation:
    """`model` whose phase, profile and host are called `text`, with a note of the same words."""
    replace = msgspec.structs.replace

    def first(strata: dict[str, Stratum]) -> dict[str, Stratum]:
        found = next(iter(strata.values()), None)
        return {} if found is None else {text: replace(found, phases=(text,))}

    phase = next(iter(model.metrics.per_phase.values()))
    noted = Estimate(value=0.5, note=text)
    return replace(
        model,
        per_profile=first(model.per_profile),
        per_host=first(model.per_host),
        metrics=replace(model.metrics, macro_f1=noted, per_phase={text: phase}),
        new_host=replace(model.new_host, lo=None, hi=None, note=text),
        confusion=replace(model.confusion, phases=(text,) * len(model.confusion.phases)),
        untested=(Untested(kind="host", name=text, n_test=0, reason=text),),
    )


@pytest.mark.slow
@pytest.mark.parametrize("text", PAYLOADS, ids=range(len(PAYLOADS)))
def test_the_writers_of_reports_and_cards_escape_every_place(sober: ReportInputs, text: str) -> None:
    hostile, calm = poisoned(sober, text), poisoned(sober, "mild")
    assert_report_is_safe(render_markdown(hostile), render_html(hostile, {}), calm, "report")
    one = sober.models[0]
    card = render_model_card(poisoned_model(one, text), {text: text})
    assert MARK in card
    assert_plain(card, "card")
    assert_tables_hold(card, "card")
    assert_same_form(rendered(card), rendered(render_model_card(poisoned_model(one, "mild"), {"mild": "mild"})), "card")
    models = [msgspec.structs.replace(model, model=text, mode=text) for model in sober.models[:2]]
    inline = inline_forest(models, 0.2)
    assert_plain(inline, "inline")
    assert {tag for tag, _ in rendered(inline).elements} <= {"p", "img", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.slow
def test_a_report_written_from_a_hostile_context_leaves_nothing_hostile_on_disk(own_driven: Any) -> None:
    layout = own_driven.layout
    inputs = read_inputs(layout, "host")
    assert inputs is not None
    path = inputs_path(layout, "host")
    path.write_bytes(msgspec.json.encode(poisoned(inputs, "".join(PAYLOADS[:-1]))))
    written = write_comparison(layout, "host")
    assert_report_is_safe(
        re.sub(r"!\[[^]]*\]\(plots/\w+\.png\)", "", written.markdown.read_text()),
        re.sub(r'<img src="data:image/png;base64,[^"]*"[^>]*>', "", written.html.read_text()),
        poisoned(inputs, "mild"),
        "comparison_v2",
    )
    for file in (*layout.artifacts("host").glob("*.md"), *path.parent.rglob("*.md"), *path.parent.rglob("*.html")):
        assert_file_is_plain(file)


def test_what_dagster_and_the_console_are_told_comes_out_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_EVERY_S", 0.01)
    for text in PAYLOADS:
        for error in (StoreError(text), OSError(5, text, text)):
            with pytest.raises(dg.Failure) as caught, refusals():
                raise error
            description = caught.value.description or ""
            assert_plain(description, "failure", allowed="")
            assert MARK in description and len(description) <= 2_000
        for record in table([{"a": text, "b": 1.23456, "c": None}]).records:
            assert_plain(str(record.data["a"]), "table", allowed="")
            assert (record.data["b"], record.data["c"]) == (1.2346, None)
        with console.Console() as shown:
            shown.say(text)
            shown.count(1, 2, text)
            time.sleep(0.05)
    said = lines_of(capsys.readouterr().out)
    assert said.count(MARK) > 2 * len(PAYLOADS) and max(map(len, said.splitlines())) < 2_100


def test_every_verdict_of_every_payload_is_plain_on_the_terminal_and_in_the_file(tmp_path: Path) -> None:
    store = tmp_path / "store"
    records = []
    for (kind, make), text in product({**USABLE, **REJECTED, **ROWS}.items(), PAYLOADS):
        name = f"{kind.replace(' ', '-')}-{len(records)}"
        records.append(add(store, name, make(name, text)))
    write_index(store, records, PAYLOADS)
    stray_names(store)
    out = tmp_path / "verdicts.jsonl"
    said = tool("validate", "--store", store, "--out", out)
    assert said.exit_code == 0
    lines_of(said.output)
    shown = tool("validate", "--store", store, "--json")
    lines_of(shown.output)
    text = assert_file_is_plain(out)
    assert text.isascii() and MARK in text
    verdicts = [json.loads(line) for line in text.splitlines()]
    by_kind = dict.fromkeys(REJECTED, 0)
    for verdict in verdicts:
        assert re.fullmatch(r"episodes/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+\.tar\.zst", verdict["file"])
        assert len(verdict["detail"]) <= 600
        for kind in by_kind:
            by_kind[kind] += kind.replace(" ", "-") in verdict["file"] and verdict["verdict"] == "reject"
    assert all(by_kind.values()), by_kind


MAPPING = """
name = "fleet"
[keys]
episode = "run"
host = "machine"
profile = "job"
sample = "payload"
[time]
step_s = 1.0
[labels]
column = "state"
benign = ["clean"]
[[channels]]
columns = ["*"]
"""
COLUMNS = ("run", "machine", "job", "payload", "state", "tx")
Row = tuple[object, ...]


def csv_of(columns: tuple[str, ...], *rows: Row) -> str:
    import csv

    made = io.StringIO()
    csv.writer(made).writerows([columns, *rows])
    return made.getvalue()


def imported(folder: Path, text: str | bytes, mapping: str = MAPPING, name: str = "t.csv", *more: str) -> Result:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.toml").write_text(mapping)
    (folder / name).write_bytes(text if isinstance(text, bytes) else utf8(text))
    return tool("import", "table", folder / name, "--mapping", folder / "m.toml", "--store", folder / "store", *more)


FLAT = tuple(text for text in PAYLOADS if "\0" not in text)


def test_a_hostile_table_becomes_a_store_of_safe_names(tmp_path: Path) -> None:
    rows = [
        (*[f"{i} {text}"] * 4, state, step)
        for i, text in enumerate(FLAT)
        for step, state in enumerate(("clean", "clean", f"{i} {text}"))
    ]
    result = imported(tmp_path, csv_of(COLUMNS, *rows))
    assert result.exit_code == 0, result.output
    lines_of(result.output)
    store = tmp_path / "store"
    for path in store.rglob("*"):
        assert is_safe(path.name), path.name
        if path.suffix in (".jsonl", ".toml"):
            assert assert_file_is_plain(path).isascii()
    verdicts = tool("validate", "--store", store, "--json")
    assert verdicts.exit_code == 0 and verdicts.output.isascii()


def test_a_table_whose_header_is_no_utf8_is_refused_with_a_sentence(tmp_path: Path) -> None:
    result = imported(tmp_path, b"run,machine\xff,job\nr,m,j\n")
    assert result.exit_code == 2 and "UTF-8" in lines_of(result.output)


HOSTILE_TABLES: dict[str, Callable[[str], tuple[str | bytes, str]]] = {
    "columns that nothing maps": lambda t: (
        csv_of((*COLUMNS, t), ("r", "m", "j", "p", "clean", 1, t), ("q", "m", "j", "p", "bad", 1, t)),
        MAPPING,
    ),
    "a column that is missing": lambda t: (csv_of(("run", t), ("r", "x")), MAPPING),
    "a channel of text": lambda t: (
        csv_of((*COLUMNS, t), ("r", "m", "j", "p", "clean", 1, "x")),
        MAPPING.replace('["*"]', json.dumps([t]) if "\ud800" not in t else '["x"]'),
    ),
    "two columns of one name": lambda t: (csv_of((*COLUMNS, t, t), ("r", "m", "j", "p", "clean", 1, 1, 1)), MAPPING),
    "columns that become one": lambda t: (
        csv_of((*COLUMNS, f"{t}!", f"{t}?"), ("r", "m", "j", "p", "clean", 1, 1, 1)),
        MAPPING,
    ),
    "a run of two profiles": lambda t: (
        csv_of(COLUMNS, (t, "m", t, "p", "clean", 1), (t, "m", "k", "p", "clean", 1)),
        MAPPING,
    ),
    "a run without a phase": lambda t: (csv_of(COLUMNS, (t, "m", "j", "p", "", 1)), MAPPING),
    "an empty key": lambda t: (csv_of((*COLUMNS[:5], t), ("", "m", "j", "p", "clean", 1)), MAPPING),
    "a ragged row": lambda t: (csv_of(COLUMNS, (t, t)), MAPPING),
    "no table at all": lambda t: (f"{t}\n\n{t}", MAPPING),
    "a date that is none": lambda t: (
        csv_of((*COLUMNS, "when"), ("r", "m", "j", "p", "clean", 1, t)),
        MAPPING.replace("step_s = 1.0", 'column = "when"\nunit = "iso"'),
    ),
    "a series of text": lambda t: (f"@classlabel true a\n@data\n{t.splitlines()[0]}:a\n", MAPPING),
    "a mapping with another key": lambda t: (
        csv_of(COLUMNS, ("r", "m", "j", "p", "clean", 1)),
        f"{json.dumps(t)} = 1\n{MAPPING}",
    ),
    "a mapping with another name": lambda t: (
        csv_of(COLUMNS, ("r", "m", "j", "p", "clean", 1)),
        MAPPING.replace('"fleet"', json.dumps(t)),
    ),
    "a mapping that is no TOML": lambda t: (csv_of(COLUMNS, ("r", "m", "j", "p", "clean", 1)), f"{t}\n"),
}


@pytest.mark.parametrize("kind", HOSTILE_TABLES)
def test_whatever_an_import_says_of_a_table_is_plain(tmp_path: Path, kind: str) -> None:
    wrong = {}
    for number, payload in enumerate(FLAT):
        table, mapping = HOSTILE_TABLES[kind](payload)
        for more in ((), ("--json",)):
            result = imported(tmp_path / f"{number}{len(more)}", table, mapping, "t.csv", *more)
            try:
                lines_of(result.output)
                assert more or len(result.output) < 5_000
            except AssertionError as error:
                wrong[f"{number} {more}"] = str(error)[:200]
    assert not wrong


def test_a_table_whose_file_has_a_hostile_name_is_spoken_of_plainly(tmp_path: Path) -> None:
    rows = (("r", "m", "j", "p", "clean", 1), ("q", "m", "j", "p", "bad", 1))
    for number, payload in enumerate(FLAT):
        name = utf8(payload.replace("/", ":"))[:120].decode("utf-8", "ignore") + ".csv"
        for text in (csv_of(COLUMNS, *rows), csv_of(("run",), ("r",)), ""):
            result = imported(tmp_path / str(number), text, name=name)
            lines_of(result.output)
    assert all(is_safe(path.name) for path in tmp_path.glob("*/store/**/*"))
