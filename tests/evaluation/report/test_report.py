"""The report: what it opens with, what it admits, and that nothing from data becomes markup."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest
from drift_sample import sample_drift
from report_page import Page

from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.html import convert, render_html
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, listed, number, p_value, percent, table
from rlstir_core.evaluation.report.model_card import render_model_card
from rlstir_core.evaluation.report.pictures.inline import LIMIT, inline_forest
from rlstir_core.evaluation.report.pictures.plots import draw_all
from rlstir_core.evaluation.report.sections.verdict import chosen_model, is_void, verdict_paragraphs
from rlstir_core.evaluation.stats.details import Cause, Fall, Without
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import ModelEvaluation, Untested
from rlstir_core.text import escape_md

GOLDEN = Path(__file__).parents[2] / "golden" / "comparison_v2.md"
REGENERATE = "RLSTIR_REGENERATE_GOLDEN"
SampleInputs = Callable[..., ReportInputs]
SampleEvaluation = Callable[[str, str, float], ModelEvaluation]
HOSTILE = (
    "<script>alert(1)</script>",
    "a|b|c",
    "[click](http://evil.example/x)",
    "![pic](http://evil.example/x.png)",
    "`code` **bold** _loose_ ~~gone~~",
    "http://evil.example www.evil.example me@evil.example",
    "line\nbreak\r\n\n# heading",
    "rtl \u202e override \u200b zero \x00 nul",
    "&lt;img src=x&gt; &#60;b&#62;",
    "\\| already | escaped \\",
    "<img src=x onerror=alert(1)>",
    "$x^2$",
)
replace = msgspec.structs.replace


def test_the_report_is_the_golden_one(sample_inputs: SampleInputs) -> None:
    rendered = render_markdown(sample_inputs())
    if os.environ.get(REGENERATE):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(rendered, encoding="utf-8")
    assert rendered == GOLDEN.read_text(encoding="utf-8"), f"look at the change, then set {REGENERATE}=1"


def test_report_inputs_survive_json(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    assert msgspec.json.decode(msgspec.json.encode(inputs), type=ReportInputs) == inputs


def test_every_model_and_baseline_has_a_row_with_its_interval(sample_inputs: SampleInputs) -> None:
    models = render_markdown(sample_inputs()).split("## Models")[1].split("\n## ")[0]
    for row in ("gbt realistic", "gru realistic", "gbt oracle", "gru oracle", "`majority`", "`clock`"):
        assert re.search(rf"^\| {row} +\| +0\.\d+ \[0\.\d+, 0\.\d+\]", models, re.M), row


def test_the_verdict_names_the_model_that_validation_chose_not_the_best_on_test(
    sample_inputs: SampleInputs,
) -> None:
    inputs = sample_inputs()
    models = list(inputs.models)
    models[1] = replace(models[1], validation_macro_f1=Estimate(value=0.9))
    inputs = replace(inputs, models=tuple(models))
    chosen = chosen_model(inputs)
    assert chosen is not None and (chosen[0].name, chosen[1]) == ("gru_realistic", "validation")
    assert "choosing on test data" in verdict_paragraphs(inputs)[0]


def test_without_validation_the_verdict_says_that_the_figure_flatters(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    models = tuple(replace(m, validation_macro_f1=Estimate(value=None)) for m in inputs.models)
    assert "flatters" in verdict_paragraphs(replace(inputs, models=models))[0]


def test_a_baseline_that_is_not_beaten_is_named_in_the_verdict(sample_inputs: SampleInputs) -> None:
    text = verdict_paragraphs(sample_inputs())[0]
    assert "cannot be told apart from `clock`" in text and "It beats `majority`" in text


def test_a_clock_more_than_a_tenth_above_chance_voids_the_comparison(sample_inputs: SampleInputs) -> None:
    assert not is_void(sample_inputs(clock=0.29))
    void = sample_inputs(clock=0.31)
    assert is_void(void)
    assert verdict_paragraphs(void)[0].startswith("**This comparison is void.**")
    assert "Void" in render_html(void, {})


def test_a_recipe_that_is_no_result_says_so_before_any_figure(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    assert "no result" not in render_markdown(inputs)
    shown = replace(inputs, recipe="random", headline=False)
    assert verdict_paragraphs(shown)[0].startswith("**These figures are no result.** Recipe `random` lets hosts,")
    for text in (render_markdown(shown).split("## Models")[0], render_html(shown, {})):
        assert "These figures are no result." in text


def test_with_five_test_hosts_the_verdict_gives_the_figure_for_a_new_host(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    new_host = Estimate(value=0.6, lo=0.4, hi=0.8, unit="host")
    models = tuple(replace(m, new_host=new_host, n_test_hosts=5) for m in inputs.models)
    text = " ".join(verdict_paragraphs(replace(inputs, models=models)))
    assert "On a **new host** like them it is **0.600 [0.400, 0.800]** (jackknife over 5 test hosts, t)." in text
    assert "new host** like" not in " ".join(verdict_paragraphs(inputs))


def test_a_false_positive_rate_that_does_not_carry_over_is_said(sample_inputs: SampleInputs) -> None:
    assert "does not carry over" in " ".join(verdict_paragraphs(sample_inputs()))


def test_what_was_not_tested_stands_in_the_verdict_and_in_its_section(sample_inputs: SampleInputs) -> None:
    text = render_markdown(sample_inputs())
    assert "profile scan-and-dial (no test episode)" in text.split("## Models")[0]
    assert "| profile | scan-and-dial | no test episode" in text


def test_the_torn_index_line_is_named_with_its_number(sample_inputs: SampleInputs) -> None:
    assert "- index line 17: two records in one line, both kept" in render_markdown(sample_inputs())


def test_a_report_on_real_data_is_not_called_synthetic(sample_inputs: SampleInputs) -> None:
    real = replace(sample_inputs(), synthetic=False)
    assert "ynthetic" not in render_markdown(real) and "ynthetic" not in render_html(real, {})


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text_in_markdown_tables_and_html(name: str) -> None:
    shown = escape_md(name)
    assert "\n" not in shown and not re.search(r"[\u202a-\u202e\u200b\x00]", shown)
    html, _ = convert(table(["a", "b"], [[shown, "x"]]) + f"\n\n- {shown}\n\n{shown}\n", {})
    page = Page(html)
    kinds = {tag for tag, _ in page.tags}
    assert kinds <= {"div", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "p"}, kinds
    assert [tag for tag, _ in page.tags].count("td") == 2
    printable = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    assert printable in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_full_of_hostile_names_makes_no_markup(sample_inputs: SampleInputs, name: str) -> None:
    inputs = sample_inputs()
    quality = inputs.quality
    hostile = replace(
        inputs,
        store=name,
        untested=(Untested(kind="profile", name=name, n_test=0, reason=name),),
        facts={name: name},
        drift=sample_drift(*[name] * 5),
        models=tuple(replace(m, per_host={name: m.per_host["host-a"]}, model=name) for m in inputs.models),
        quality=replace(
            quality,
            hosts=tuple(
                replace(h, host=name, causes=(Cause(reason=name, source=name, episodes=1),)) for h in quality.hosts
            ),
        ),
    )
    plain, page = Page(render_html(inputs, {})), Page(render_html(hostile, {}))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"th"}
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert len(inline_forest(hostile.models)) < LIMIT
    assert "<script" not in render_model_card(hostile.models[0], {name: name})


def test_hostile_names_can_be_drawn(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    models = tuple(replace(m, model=" ".join(HOSTILE)[i:]) for i, m in enumerate(inputs.models))
    assert set(draw_all(replace(inputs, models=models))) == {"forest", "honesty", "confusion", "early"}


def test_pictures_are_the_same_bytes_each_time_and_at_most_700_px_wide(sample_inputs: SampleInputs) -> None:
    first, second = draw_all(sample_inputs()), draw_all(sample_inputs())
    assert first == second and set(first) == {"forest", "honesty", "confusion", "early"}
    for png in first.values():
        assert int.from_bytes(png[16:20], "big") <= 700


def twelve(sample_evaluation: SampleEvaluation, width: float = 0.2) -> list[ModelEvaluation]:
    found = []
    for i, model in enumerate(("gbt", "mlp", "cnn", "gru", "lstm", "transformer")):
        for mode, extra in (("realistic", 0.0), ("oracle", 0.15)):
            one = sample_evaluation(model, mode, round(0.44 + 0.03 * i + extra, 3))
            value = one.metrics.macro_f1.value or 0
            score = Estimate(value=value, lo=round(value - width, 3), hi=round(value + width, 3))
            found.append(replace(one, metrics=replace(one.metrics, macro_f1=score)))
    return found


@pytest.mark.parametrize("width", [0.005, 0.04, 0.2])
def test_twelve_models_with_intervals_and_picture_fit_under_1000_characters(
    sample_evaluation: SampleEvaluation, width: float
) -> None:
    beside = [sample_evaluation(name, "baseline", 0.2) for name in ("clock", "majority", "metadata-only")]
    text = inline_forest(twelve(sample_evaluation, width), beside)
    assert len(text) < LIMIT
    svg = drawn(text)
    page = Page(svg)
    assert [tag for tag, _ in page.tags].count("path") == 4  # scale, two modes, baselines
    for word in ("transformer", "clock", "metadata", ">0<", ">.5<", ">1<", ">realistic<", ">oracle<"):
        assert word in svg
    assert svg.count("-2v4") == 15  # a figure with its interval each


def drawn(text: str) -> str:
    """The SVG in the markdown's data URI."""
    found = re.fullmatch(r"!\[macro F1\]\(data:image/svg\+xml,([^\s()\\]+)\)", text)
    assert found is not None, text
    return unquote(found[1])


def test_what_does_not_fit_inline_is_left_out_from_the_least_on(sample_evaluation: SampleEvaluation) -> None:
    beside = [sample_evaluation(f"baseline-{i}", "baseline", 0.2) for i in range(3)]
    models = [sample_evaluation(f"a-long-model-{i}", mode, 0.5) for i in range(8) for mode in ("realistic", "oracle")]
    less = drawn(inline_forest(models, beside))
    assert "baseline" not in less and ">realistic<" in less and ">oracle<" in less
    more = [sample_evaluation(f"a-long-model-{i}", mode, 0.5) for i in range(11) for mode in ("realistic", "oracle")]
    assert ">oracle<" not in drawn(inline_forest(more, beside))
    text = inline_forest([sample_evaluation(f"a-rather-long-model-{i}", "realistic", 0.5) for i in range(16)])
    assert len(text) < LIMIT and "data:" not in text and text.count("[") == 16
    crowd = [sample_evaluation(f"a-rather-long-model-{i}", "realistic", 0.5) for i in range(60)]
    assert len(inline_forest(crowd)) < LIMIT and "more in the report" in inline_forest(crowd)


def test_a_model_card_says_what_it_cannot_say(sample_evaluation: SampleEvaluation) -> None:
    card = render_model_card(sample_evaluation("gbt", "realistic", 0.6), {"device": "cpu"})
    assert card.startswith("# Model card: gbt_realistic\n")
    assert "n = 2 test hosts, no interval for new hosts." in card
    assert "Untested: phase dormant (3 test episodes, 5 needed)." in card
    assert "0.1 % needs 3,000" in card


def test_a_model_card_of_a_store_without_an_attack_class_has_no_figure_of_attacks(
    sample_evaluation: SampleEvaluation,
) -> None:
    none = Estimate(value=None, note="the registry names no attack phase")
    evaluation = sample_evaluation("gbt", "realistic", 0.6)
    pair = msgspec.structs.replace(evaluation.attack_vs_rest, f1=none, auroc=none)
    card = render_model_card(msgspec.structs.replace(evaluation, attack_vs_rest=pair), {})
    assert "attack against" not in card and "false positives" not in card and "time to detect" not in card
    assert "No figure of attacks or alarms is given: the registry names no attack phase." in card


def test_small_forms_read_well() -> None:
    assert figure(Estimate(value=0.6, lo=0.5, hi=0.7), 2) == "0.60 [0.50, 0.70]"
    assert figure(Estimate(value=0.6)) == "0.600" and figure(Estimate(value=None)) == "–"
    assert number(-0.0001, 2) == "0.00" and percent(0.001) == "0.1 %" and p_value(0.0004) == "< 0.001"
    assert listed(["a", "b", "c"]) == "a, b and c" and listed([]) == ""


def test_a_mode_with_the_same_channels_has_a_sentence_and_no_rows(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    twins = [
        msgspec.structs.replace(m, name=f"{m.model}_oracle", mode="oracle", same_as=m.name)
        for m in inputs.models
        if m.mode == "realistic"
    ]
    own = [m for m in inputs.models if m.mode == "realistic"]
    text = render_markdown(msgspec.structs.replace(inputs, models=(*own, *twins)))
    assert "Mode oracle has the same channels as realistic, so its models are those of realistic" in text
    assert "| gbt oracle" not in text.partition("## Files")[0]
    assert "../../../artifacts/host/gbt_oracle.card.md" in text.partition("## Files")[2]
    assert "2 model rows" in text


def test_a_model_that_sees_more_and_says_less_is_named_with_what_does_it(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    assert "the lowest is gbt_oracle, +0.100" in render_markdown(inputs)
    change = Estimate(value=0.04, lo=0.01, hi=0.07)
    noise = Estimate(value=0.01, lo=-0.02, hi=0.04)
    fallen = Fall(
        name="gbt_oracle",
        reference="gbt_realistic",
        gap=Estimate(value=-0.05, lo=-0.08, hi=-0.02),
        n_episodes=60,
        without=(
            Without(what="guest.load", channels=1, change=change),
            Without(what="a|b<i>", channels=2, change=change),
            Without(what="qmp.rd_ops", channels=1, change=noise),
        ),
    )
    text = render_markdown(msgspec.structs.replace(inputs, falls=(fallen,)))
    section = text.partition("### Models that see more and say less")[2].partition("\n## ")[0]
    assert "better off without `guest.load` and a" in section and "<i>" not in section
    assert "`qmp" not in section and "+0.010 [-0.020, +0.040]" in section
    quiet = msgspec.structs.replace(fallen, without=fallen.without[2:])
    text = render_markdown(msgspec.structs.replace(inputs, falls=(quiet,)))
    assert "none of them does it alone by more than noise" in text and "the lowest is" not in text
