"""The first screen of the report, its notes, and what changed since the last report of the recipe."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from report_page import Page

from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.history import (
    History,
    continued,
    history_path,
    made_lines,
    read_history,
    write_history,
)
from rlstir_core.evaluation.report.html import render_html
from rlstir_core.evaluation.report.inputs import HostQuality, Rejected, ReportInputs
from rlstir_core.evaluation.report.sections.opening import answer
from rlstir_core.evaluation.report.summary import closing_lines
from rlstir_core.evaluation.stats.details import Cause
from rlstir_core.evaluation.stats.intervals import Estimate

SampleInputs = Callable[..., ReportInputs]
replace = msgspec.structs.replace
NOON = 1_796_040_000  # 2026-11-30


def first_screen(inputs: ReportInputs) -> str:
    return render_markdown(inputs).split("\n## ")[0]


def test_the_first_screen_is_the_answer_its_picture_what_was_not_tested_and_of_which_recordings(
    sample_inputs: SampleInputs,
) -> None:
    said = first_screen(sample_inputs()).split("\n\n")
    assert said[0] == "# Detector comparison, recipe `host`"
    assert said[1].startswith("**gbt**, the realistic model that validation chose, reaches macro F1 **0.610 [0.560,")
    assert said[2].startswith("At its threshold for 1 % false positives") and said[3].startswith("What limits this:")
    assert said[4] == "![Macro F1, technique micro F1 and risk under each split](plots/honesty.png)"
    assert said.pop(5).startswith("**Drift in the last day**: on host-a source netflow is missing")
    assert said[5].startswith("**Not tested**") and "profile scan-and-dial (no test episode)" in said[5]
    assert "2 hosts (host-a and host-b), recorded 2026-01-05 10:00 to 2026-01-26 10:00 UTC" in said[6]
    assert all(len(re.findall(r"[.!?](?:\s|$)", re.sub(r"\*\*", "", part))) == 1 for part in said[1:4])


def test_where_no_gap_can_be_drawn_every_models_figure_stands_first_and_no_picture_stands_twice(
    sample_inputs: SampleInputs,
) -> None:
    inputs = sample_inputs()
    forest = "![Macro F1 of every model with its 95 % interval](plots/forest.png)"
    pictures = {name: path for name, path in inputs.pictures.items() if name != "honesty"}
    assert forest in first_screen(replace(inputs, pictures=pictures))
    for shown in (inputs, replace(inputs, pictures=pictures)):
        told = render_markdown(shown)
        assert told.count(forest) == 1 and told.count("(plots/honesty.png)") == ("honesty" in shown.pictures)


def test_the_answer_says_how_many_test_episodes_were_degraded_and_by_which_source(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    causes = (
        Cause(reason="channel.missing", source="netflow", episodes=42),
        Cause(reason="time.clock_step", episodes=3),
        Cause(reason="json.bad_rows", source="perf", episodes=2),
    )
    test = replace(inputs.split.test, episodes=50, degraded=42, causes=causes)
    limits = answer(replace(inputs, split=replace(inputs.split, test=test)))[-1]
    assert (
        "**42 of 50 test episodes were degraded** (netflow missing, time.clock_step 3, perf with bad rows 2)" in limits
    )
    assert "and the verdict rests on them" in limits
    assert "rests on them" not in answer(inputs)[-1]  # 15 of 60
    whole = replace(inputs, split=replace(inputs.split, test=replace(test, degraded=0, causes=())))
    assert "degraded" not in answer(whole)[-1]
    one = replace(inputs, split=replace(inputs.split, test=replace(test, episodes=1, degraded=1, causes=())))
    assert "**1 of 1 test episode was degraded**, and the verdict rests on it" in answer(one)[-1]
    unscored = tuple(replace(m, metrics=replace(m.metrics, macro_f1=Estimate(value=None))) for m in inputs.models)
    assert "rests on" not in answer(replace(one, models=unscored))[-1]


@pytest.mark.parametrize(
    ("realised", "end"),
    [
        (Estimate(value=None, note="not defined"), "of the attack windows; there are no others that it could call an "),
        (Estimate(value=0.6, note="n = 10"), "calls 0.600 of the others an attack: **more than twice what was asked f"),
        (Estimate(value=0.02, note="n = 10"), "calls 0.020 of the others an attack."),
        (Estimate(value=0.6, lo=0.01, hi=0.9), "of the others an attack."),
    ],
)
def test_the_rate_of_false_positives_is_warned_of_with_and_without_an_interval(
    sample_inputs: SampleInputs, realised: Estimate, end: str
) -> None:
    inputs = sample_inputs()
    at = replace(inputs.models[0].recall_at_fpr[0], realised_fpr=realised)
    models = tuple(replace(m, recall_at_fpr=(at,)) for m in inputs.models)
    said = answer(replace(inputs, models=models))[1]
    assert end in said and ("(no interval)" in said) == (realised.value == 0.6 and realised.lo is None)


def test_where_no_figure_may_be_believed_that_is_the_first_sentence(sample_inputs: SampleInputs) -> None:
    assert answer(sample_inputs(clock=0.31))[0].startswith("**This comparison is void**")
    shown = replace(sample_inputs(), headline=False)
    assert answer(shown)[0].startswith("**These figures are no result**") and len(answer(shown)) == 3
    models = tuple(
        replace(m, metrics=replace(m.metrics, macro_f1=Estimate(value=None))) for m in sample_inputs().models
    )
    assert answer(replace(sample_inputs(), models=models))[0].startswith("**No realistic model could be scored**")


def test_a_model_that_detects_nothing_has_no_mean_time_to_detect(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    gbt = inputs.models[0]
    found = replace(gbt.time_to_detect, share_detected=Estimate(value=0.0), mean_s=Estimate(value=46.0), n_episodes=14)
    blind = replace(inputs, models=(replace(gbt, time_to_detect=found), *inputs.models[1:]))
    text = render_markdown(blind)
    assert "46.0" not in text
    for table in (text.split("## Models")[1], text.split("Time from the onset")[1]):
        assert re.search(r"\| gbt realistic .*\| +none of 14 \|", table)
    assert "- mean time to detect, s: none of 14 says that no alarm came in any of the 14 attacked episodes" in text


def test_every_note_names_the_column_that_it_explains(sample_inputs: SampleInputs) -> None:
    text = render_markdown(sample_inputs())
    assert "- macro F1, new host: n = 2 test hosts, no interval for new hosts" in text
    assert "- at 0.1 %: validation has 900 non-attack windows, 0.1 % needs 3,000" in text
    assert "- mem-churn: n = 12 test episodes, no interval below 20" in text
    assert not re.search(r"^- (?:n = |validation has )", text, re.M)


def test_confusion_cells_have_a_unit(sample_inputs: SampleInputs) -> None:
    text = render_markdown(sample_inputs()).split("## Confusion")[1]
    assert re.search(r"^\| clean +\| 61 \(63 %\) \|.* 97 \|$", text, re.M)
    assert "in brackets their share of the windows of the true phase" in text


def test_rejected_episodes_are_named_forty_at_most_with_the_command_that_lists_all(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    assert "- episodes/host-b/ep-9.tar.zst: archive.truncated, the tar ends inside" in render_markdown(inputs)
    many = tuple(Rejected(host="host-b", path=f"episodes/host-b/ep-{n}.tar.zst", reason="meta.json") for n in range(40))
    host = HostQuality(host="host-b", ok=100, degraded=0, rejected=55)
    text = render_markdown(replace(inputs, quality=replace(inputs.quality, hosts=(host,), rejected=many)))
    assert text.count(".tar.zst: meta.json") == 40 and "- and 15 more" in text
    assert "55 episodes were rejected and used nowhere. `rlstir validate --store STORE --out verdicts.jsonl`" in text


# When it was made, and what changed


def other(inputs: ReportInputs, key: str, hosts: dict[str, int], score: float = 0.61) -> ReportInputs:
    quality = replace(
        inputs.quality, hosts=tuple(HostQuality(host=h, ok=n, degraded=0, rejected=0) for h, n in hosts.items())
    )
    gbt = inputs.models[0]
    scored = replace(gbt, metrics=replace(gbt.metrics, macro_f1=Estimate(value=score)))
    manifest = replace(inputs.manifest, hashes={"evaluation_inputs": key})
    return replace(inputs, quality=quality, manifest=manifest, models=(scored, *inputs.models[1:]))


def test_the_page_says_when_it_was_made_and_what_changed_and_the_markdown_does_not(sample_inputs: SampleInputs) -> None:
    first = continued(None, other(sample_inputs(), "a", {"host-a": 50, "host-b": 50}), NOON)
    assert made_lines(first) == ["Made 2026-11-30 12:00 UTC.", "First report of this recipe here."]
    then = continued(first, other(sample_inputs(), "b", {"host-a": 53, "host-c": 4}, 0.7), NOON + 86_400)
    assert made_lines(then) == [
        "Made 2026-12-01 12:00 UTC.",
        "Since the last report (2026-11-30 12:00 UTC): 7 episodes more (host-a +3, host-c +4), 50 episodes fewer "
        "(host-b -50), 1 host new (host-c), 1 host gone (host-b); gbt 0.610 on 60 test episodes before, gbt 0.700 on "
        "60 test episodes now.",
    ]
    page = Page(render_html(sample_inputs(), {}, made_lines(then)))
    assert all(line in page.text for line in made_lines(then))
    assert "Made 20" not in render_markdown(sample_inputs()) and "`comparison_v2.html`" in first_screen(sample_inputs())


def test_a_report_drawn_again_is_not_the_last_report_of_itself(sample_inputs: SampleInputs) -> None:
    first = continued(None, other(sample_inputs(), "a", {"host-a": 50}), NOON)
    then = continued(first, other(sample_inputs(), "b", {"host-a": 51}), NOON + 60)
    again = continued(then, other(sample_inputs(), "b", {"host-a": 51}), NOON + 9_000)
    assert again == then and then.previous == first.current


def test_other_settings_are_said_and_nothing_else_where_nothing_else_changed(sample_inputs: SampleInputs) -> None:
    inputs = other(sample_inputs(), "a", {"host-a": 50})
    config = replace(inputs.manifest, config={"preset": "rtx4060", "seed": 0}, hashes={"evaluation_inputs": "b"})
    then = continued(continued(None, inputs, NOON), replace(inputs, manifest=config), NOON)
    assert "preset smoke -> rtx4060; gbt" in made_lines(then)[1] and "episodes more" not in made_lines(then)[1]
    same = continued(continued(None, inputs, NOON), other(sample_inputs(), "c", {"host-a": 50}), NOON)
    assert "the same hosts, as many episodes; gbt" in made_lines(same)[1]


def test_what_is_kept_of_a_report_survives_and_does_not_grow_with_episodes(
    sample_inputs: SampleInputs, tmp_path: Path
) -> None:
    report = tmp_path / "comparison_v2.md"
    assert read_history(report) is None
    history = continued(None, other(sample_inputs(), "a", {"host-a": 45_000}), NOON)
    write_history(report, history)
    assert read_history(report) == history and history_path(report).stat().st_size < 2_000
    for torn in (b"", b"{", b'{"current": 3}', b"\xff"):
        history_path(report).write_bytes(torn)
        assert read_history(report) is None
    assert isinstance(history, History)


def test_where_every_host_is_tested_once_the_choice_is_said_to_have_known_them(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    pooled = replace(inputs, split=replace(inputs.split, rounds=8))
    assert "this figure leans high" in render_markdown(pooled) and "leans high" not in render_markdown(inputs)


# What closes a command


@pytest.mark.parametrize("recipes", [["host"], ["host", "sample", "time"], []])
def test_the_lines_that_close_a_command_fit_and_end_with_the_next_step(
    sample_inputs: SampleInputs, recipes: list[str]
) -> None:
    found = {recipe: (sample_inputs(), Path(f"d/{recipe}/comparison_v2.md")) for recipe in recipes}
    lines = closing_lines(found, stored={"host-a": 30, "host-b": 30}, next_step="rlstir list results --data d")
    assert len(lines) <= 25 and lines[-1] == "next: rlstir list results --data d"
    assert lines[0] == "store: 60 episodes of 2 hosts"
    text = "\n".join(lines)
    assert ("HTML" in text or ".html" in text) == bool(recipes)
    if not recipes:
        assert "no report was made" in text


def test_a_store_without_an_attack_class_has_no_figure_of_attacks_and_one_sentence_that_says_why(
    sample_inputs: SampleInputs,
) -> None:
    inputs = replace(sample_inputs(), one_sided="the registry names no attack phase")
    sentence = "No figure of attacks or alarms is given: the registry names no attack phase."
    assert answer(inputs)[1] == sentence
    told = render_markdown(inputs).partition("## How to read this")[0]
    verdict, models = told.partition("## Verdict")[2].partition("## Honesty gap")[::2]
    models = models.partition("## Models")[2]
    assert sentence in models and "attack" not in verdict
    head = next(line for line in models.splitlines() if line.startswith("|"))
    assert head.count("|") == 6 and "ttack" not in head and "detect" not in head
    assert "False alarms" not in told and "Early detection" not in told and "Recall at" not in told
