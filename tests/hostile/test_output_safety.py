"""What the author of a tarball or an index line writes stays text wherever it comes out.

Reports, cards, JSON, Dagster's records, logs, the terminal and file names are all looked at. What does not
belong here: foreign tables (`test_import_safety.py`) and which verdict each bad episode gets (the hostile corpus).
"""

from __future__ import annotations

import json
import re
import time
from itertools import cycle, product
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest
from hostile_text import MARK, PAYLOADS, REJECTED, ROWS, USABLE, add, stray_names, write_index
from plain_text import (
    Page,
    assert_file_is_plain,
    assert_folder_is_plain,
    assert_instance_is_plain,
    assert_plain,
    assert_report_is_safe,
    assert_same_form,
    assert_tables_hold,
    lines_of,
    rendered,
    tool,
)

from rlstir_assets import console
from rlstir_assets.reporting import refusals, table
from rlstir_core.datasets.store import read_split
from rlstir_core.detectors.ensemble.combination import Ensemble
from rlstir_core.errors import StoreError
from rlstir_core.evaluation.detectors.cost import read_costs
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.investigation.encoder_eval import read_encoder_evaluation
from rlstir_core.evaluation.report.comparison import write_comparison
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.history import (
    Essentials,
    History,
    continued,
    history_path,
    made_lines,
    read_history,
)
from rlstir_core.evaluation.report.honesty import make_honesty
from rlstir_core.evaluation.report.html import convert, render_html
from rlstir_core.evaluation.report.inputs import (
    BadRows,
    Coverage,
    Excluded,
    Honesty,
    HonestyRow,
    HostQuality,
    IndexFault,
    LeakProbe,
    LeftOut,
    LowDiversity,
    Manifest,
    Rejected,
    ReportInputs,
    SplitColumn,
)
from rlstir_core.evaluation.report.markdown import link
from rlstir_core.evaluation.report.model_card import render_model_card
from rlstir_core.evaluation.report.pictures.inline import inline_forest
from rlstir_core.evaluation.report.sections.scores import scores_section
from rlstir_core.evaluation.stats.details import (
    BenignWork,
    Cause,
    CloserLook,
    Confused,
    FlaggedWork,
    TechniqueRecall,
    Techniques,
)
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation, Stratum, Untested
from rlstir_core.text import escape_md

MILD = "mild words that are as long as those of a cell that wraps"


def weights_in(path: Path) -> list[float]:
    found = msgspec.json.decode(path.read_bytes(), type=Ensemble)
    return [weight for each in found.rounds for weight in (*each.mixture.weights, *each.mixture.temperatures)]


# the tests


@pytest.mark.slow
def test_a_run_over_a_hostile_store_says_everything_as_plain_text(
    own_driven: Any, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven, store = own_driven, own_driven.store
    calm = read_inputs(driven.layout, "host")
    calm_encoder = read_encoder_evaluation(driven.layout, "host", read_split(driven.layout, "host"))
    # of the detectors: an encoder learns from episodes that have nothing but logs too
    every = set(driven.layout.artifacts("host").glob("*_*.ckpt.json"))
    combined = {path: weights_in(path) for path in every if path.name.startswith("ensemble_")}  # at each evaluation
    trained = {path: path.stat().st_mtime_ns for path in every - combined.keys()}
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
    assert combined
    for path, weights in combined.items():
        assert weights_in(path) == pytest.approx(weights, abs=1e-6)
    assert MARK in lines_of(run.stdout)
    lines_of(run.stderr)
    assert MARK in assert_folder_is_plain(driven.data)
    monkeypatch.setenv("DAGSTER_HOME", str(driven.home))
    assert MARK in assert_instance_is_plain(driven.home)
    report = driven.layout.report("host")
    inputs = read_inputs(driven.layout, "host")
    assert calm is not None and inputs is not None
    assert any(MARK in fault.detail for fault in inputs.quality.index_faults)
    markdown, html = report.read_text(), report.with_suffix(".html").read_text()
    assert_tables_hold(markdown, "comparison_v2.md")
    calm = msgspec.structs.replace(calm, costs=read_costs(driven.layout, "host"), investigation=calm_encoder)
    calm = msgspec.structs.replace(calm, honesty=make_honesty(driven.layout, calm))
    history = read_history(report)
    assert history is not None and history.previous is not None
    known = rendered(render_markdown(calm)), Page(render_html(calm, {}, (), scores_section(history)))
    assert MARK in markdown and MARK in html
    pictures = {("img", name) for name in ("", "src", "alt")} | {("ul", "class")}
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
    cause = Cause(reason=text, source=text, episodes=2)
    side = {"hosts": (text, text), "samples": (text, text), "degraded": 2, "causes": (cause,)}
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
            words=text,
            train=replace(split.train, **side),
            test=replace(split.test, **side),
            excluded=(Excluded(kind="sample", name=text, reason=text),),
            coverage=(Coverage(kind="profile", name=text, train=1, test=1),),
            checks=(text,),
        ),
        quality=replace(
            quality,
            index_faults=(IndexFault(line=1, detail=text),),
            hosts=(HostQuality(host=text, ok=0, degraded=1, rejected=1, causes=(cause,)),),
            rejected=(Rejected(host=text, path=text, reason=text, detail=text),),
            low_diversity=(LowDiversity(profile=text, samples=1, episodes=1),),
            bad_rows=(BadRows(host=text, source=text, read=2, dropped=1),),
            notes=(text,),
        ),
        chosen=None if inputs.chosen is None else poisoned_look(inputs.chosen, text),
        honesty=poisoned_honesty(text),
        seeds=tuple(replace(each, deviation=Estimate(value=0.5, note=text)) for each in inputs.seeds),
    )


def poisoned_honesty(text: str) -> Honesty:
    """A table of splits in which everything that has a name is called `text`."""
    noted = Estimate(value=0.5, note=text)
    row = HonestyRow(model=text, mode=text, figure=text, cells={text: noted, "host": noted}, inflation=noted)
    return Honesty(
        columns=tuple(SplitColumn(recipe=name, n_test_episodes=3, n_log_episodes=4) for name in (text, "host")),
        rows=(row, msgspec.structs.replace(row, mode="", drawn_windows=True)),
        easy=text,
        strict="host",
        partly=(text,),
        left_out=(LeftOut(recipe=text, reason=text),),
        missing=(text, text),
        remedy=("--set", text),
    )


def poisoned_look(look: CloserLook, text: str) -> CloserLook:
    """`look` with benign work, episodes and techniques that are called `text`."""
    replace = msgspec.structs.replace
    share = Estimate(value=0.5, note=text)
    few = (Untested(kind="sample", name=text, n_test=1, reason=text),)
    work = FlaggedWork(kind="sample", name=text, n_episodes=5, n_windows=9, windows=share, episodes=share)
    technique = TechniqueRecall(technique=text, name=text, n_episodes=5, median_s=1.0, share=share)
    reasons = (Cause(reason=text, source=text, episodes=1), Cause(reason=text, episodes=1))
    named = {"profile": text, "sample": text, "reasons": reasons, "alarm": text}
    of_episode = {"episode_id": text, "own_id": text, "host": text, "called": (text,) * len(look.worst[0].called)}
    confused = (Confused(phase=text, called=text, n_windows=2),)
    spans = tuple(replace(span, phase=text) for span in look.worst[0].spans)
    return replace(
        look,
        reliability=tuple(replace(each, share=share) for each in look.reliability),
        benign=BenignWork(rows=(work,), untested=few, n_untested={"sample": 1}),
        worst=(replace(look.worst[0], **named, **of_episode, confused=confused, spans=spans),),
        techniques=Techniques(rows=(technique,), untested=few, n_untested=1, n_episodes=5),
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
    hostile, calm = poisoned(sober, text), poisoned(sober, MILD)
    before = Essentials(
        evaluation="another",
        made_s=0,
        episodes={text: 1},
        test_episodes=1,
        model=text,
        macro_f1=Estimate(value=0.5),
        settings={text: text},
    )
    made = made_lines(continued(History(current=before), hostile, 0))
    assert sum(MARK in line for line in made) == 1
    assert_report_is_safe(render_markdown(hostile), render_html(hostile, {}, made), calm, "report")
    one = sober.models[0]
    card = render_model_card(poisoned_model(one, text), {text: text})
    assert MARK in card
    assert_plain(card, "card")
    assert_tables_hold(card, "card")
    assert_same_form(rendered(card), rendered(render_model_card(poisoned_model(one, "mild"), {"mild": "mild"})), "card")
    models = [msgspec.structs.replace(model, model=text, mode=text) for model in sober.models[:2]]
    inline = inline_forest(models)
    assert_plain(inline, "inline")
    assert {tag for tag, _ in rendered(inline).elements} <= {"p", "img", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/x.png",
        "//evil.example/x.png",
        "javascript:alert(1)//x.md",
        "file:///etc/passwd.md",
        "data:text/html,x.md",
        "/etc/shadow.json",
        "predictions/../../../../../../etc/passwd.md",
        "../../../../../etc/passwd.md",
        "a/../b.md",
        ".ssh/key.md",
        "page.html",
        "run.svg",
        "a b.md",
        "a%2e%2e/b.md",
        "x.md?y=1",
        "x.md#y",
        "x\\y.md",
        "\u202etxt.md",
        "a" * 200 + ".md",
    ],
)
def test_a_link_that_is_no_plain_relative_path_leads_nowhere(path: str) -> None:
    assert link("words", path) == link("words", f"{path}\n") == link("words", "x.md\n") == "words"
    for form in (f"[words]({path})", f"[words](<{path}>)", f"[words][1]\n\n[1]: {path}"):
        page = Page(convert(f"# Title\n\n{form}\n", {})[0])
        assert page.links <= {"#"}, form


def test_a_path_that_data_writes_becomes_no_link_though_it_could_be_one() -> None:
    for text in ("[a](predictions/gbt.parquet)", "<predictions/gbt.parquet>", "[a]: predictions/gbt.parquet"):
        assert Page(convert(f"# Title\n\n{escape_md(text)}\n", {})[0]).links == set()


@pytest.mark.slow
def test_a_report_written_from_a_hostile_context_leaves_nothing_hostile_on_disk(own_driven: Any) -> None:
    layout = own_driven.layout
    inputs = read_inputs(layout, "host")
    assert inputs is not None
    path = layout.report_inputs("host")
    path.write_bytes(msgspec.json.encode(poisoned(inputs, "".join(PAYLOADS[:-1]))))
    history_path(layout.report("host")).unlink()  # the scores so far have a test of their own
    written = write_comparison(layout, "host")
    mild = msgspec.structs.replace(
        poisoned(inputs, MILD),
        costs=read_costs(layout, "host"),
        investigation=read_encoder_evaluation(layout, "host", read_split(layout, "host")),
    )
    assert_report_is_safe(
        re.sub(r"!\[[^]]*\]\(plots/\w+\.png\)", "", written.markdown.read_text()),
        re.sub(r'<img src="data:image/[a-z+]+;base64,[^"]*"[^>]*>', "", written.html.read_text()),
        msgspec.structs.replace(mild, honesty=make_honesty(layout, mild)),
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
    printed = lines_of(capsys.readouterr().out)
    assert printed.count(MARK) > 2 * len(PAYLOADS) and max(map(len, printed.splitlines())) < 2_100


def test_every_verdict_of_every_payload_is_plain_on_the_terminal_and_in_the_file(tmp_path: Path) -> None:
    store = tmp_path / "store"
    records = []
    for (kind, make), text in product({**USABLE, **REJECTED, **ROWS}.items(), PAYLOADS):
        name = f"{kind.replace(' ', '-')}-{len(records)}"
        records.append(add(store, name, make(name, text)))
    write_index(store, records, PAYLOADS)
    stray_names(store)
    out = tmp_path / "verdicts.jsonl"
    done = tool("validate", "--store", store, "--out", out)
    assert done.exit_code == 0
    lines_of(done.output)
    shown = tool("validate", "--store", store, "--json")
    lines_of(shown.output)
    text = assert_file_is_plain(out)
    assert text.isascii() and MARK in text
    verdicts = [json.loads(line) for line in text.splitlines()]
    by_kind = dict.fromkeys(REJECTED, 0)
    for verdict in verdicts:
        safe = re.fullmatch(r"episodes/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+\.tar\.zst", verdict["file"])
        assert safe or verdict["reason"] == "index.path"
        assert len(verdict["detail"]) <= 600
        for kind in by_kind:
            by_kind[kind] += kind.replace(" ", "-") in verdict["file"] and verdict["verdict"] == "reject"
    assert all(by_kind.values()), by_kind
