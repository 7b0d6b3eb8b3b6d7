"""The honesty gap: which evaluations stand side by side, what is set against what, and when a page is behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from report_page import Page

from rlstir_core.atomic import write_bytes
from rlstir_core.evaluation.investigation.records import EncoderEvaluation, RiskScores, TechniqueScores
from rlstir_core.evaluation.investigation.technique_figures import PartedScores
from rlstir_core.evaluation.report.beside import Evaluated, beside_sha256, remedy, why_not
from rlstir_core.evaluation.report.comparison import outdated_pages
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.honesty import compare, make_honesty
from rlstir_core.evaluation.report.html import convert
from rlstir_core.evaluation.report.inputs import Honesty, ReportInputs
from rlstir_core.evaluation.report.sections.honesty import closing_line, honesty_section, honesty_sentence
from rlstir_core.evaluation.stats.across import read_sums, write_sums
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import Metrics
from rlstir_core.learning.scores import macro_f1
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version

SampleInputs = Callable[..., ReportInputs]
PHASES = ("clean", "armed", "infecting", "infected_running", "dormant")
replace = msgspec.structs.replace


def of_recipe(inputs: ReportInputs, recipe: str, shift: float = 0.0, **manifest: Any) -> ReportInputs:
    """The same store under another recipe; realistic models stand higher by `shift`."""

    def moved(model: Any) -> Any:
        of = model.metrics.macro_f1
        macro = replace(of, value=of.value + shift, lo=of.lo + shift, hi=of.hi + shift)
        return replace(model, recipe=recipe, metrics=replace(model.metrics, macro_f1=macro))

    return replace(
        inputs,
        recipe=recipe,
        headline=recipe != "random",
        models=tuple(moved(model) for model in inputs.models),
        manifest=replace(inputs.manifest, **manifest),
    )


def table_of(inputs: ReportInputs, *others: ReportInputs) -> Honesty:
    return compare(Evaluated(inputs=inputs), [Evaluated(inputs=other) for other in others])


def test_the_same_models_stand_side_by_side_and_the_easiest_split_is_set_against_held_out_hosts(
    sample_inputs: SampleInputs,
) -> None:
    host = sample_inputs()
    found = table_of(host, of_recipe(host, "time", 0.3), of_recipe(host, "random", 0.2), of_recipe(host, "loho", 0.1))
    assert [column.recipe for column in found.columns] == ["random", "time", "host", "loho"]
    assert (found.easy, found.strict) == ("random", "host")  # by what is held apart: `time` flatters more here
    assert [(row.model, row.chosen) for row in found.rows] == [("gbt", True), ("gru", False)]
    assert not any(row.drawn_windows for row in found.rows) and found.missing == ("sample", "corpus")
    gap = found.rows[0].inflation
    assert gap.value == pytest.approx(0.2) and gap.lo is not None and gap.lo > 0
    of_loho = table_of(of_recipe(host, "loho"), of_recipe(host, "sample"))
    assert (of_loho.easy, of_loho.strict) == ("sample", "loho")
    assert table_of(of_recipe(host, "time"), of_recipe(host, "sample")).easy == ""  # neither is the easier one


def test_where_no_random_recipe_was_made_the_random_windows_of_gbt_stand_in_the_table(
    sample_inputs: SampleInputs,
) -> None:
    host = sample_inputs()
    found = table_of(host)
    drawn = found.rows[-1]
    assert drawn.drawn_windows and (drawn.model, drawn.mode) == ("gbt", "realistic")
    assert drawn.cells == {"random": host.gaps[0].random, "host": host.gaps[0].held_out}
    inputs = replace(host, honesty=found)
    text = honesty_section(inputs)
    assert " random windows |" in text and "+0.250 [+0.180, +0.320]" in text and "flatters" not in text.split("\n|")[0]
    assert (
        "not made: `random`, `sample`, `time`, `corpus` and `loho`; `rlstir materialize --recipe random` makes " in text
    )
    assert "the first, and with `--recipe all` all that the store allows" in text
    said = honesty_sentence(inputs, host.models[0])
    assert said.startswith("On windows of the same store drawn at random it shows 0.860") and said.endswith("hides.")
    assert (
        honesty_sentence(inputs, host.models[1])
        == ""
        == honesty_sentence(host if not host.honesty else replace(host, honesty=None), host.models[0])
    )
    assert closing_line(found).startswith("on random windows gbt_realistic has macro F1 0.860")


@pytest.mark.parametrize(
    ("field", "name", "value", "words"),
    [
        ("config", "preset", "rtx4060", "preset is rtx4060 there and smoke here"),
        ("config", "seed", 3, "seed is 3 there and 0 here"),
        ("config", "set", "trees.rounds=10", "set is trees.rounds=10 there and nothing here"),
        ("hashes", "index", "ef" * 32, "it is of another state of the store"),
        ("hashes", "registry", "ef" * 32, "it is of another registry"),
        ("versions", "evaluation", "1", "another version of the program evaluated it"),
    ],
)
def test_an_evaluation_of_another_store_preset_seed_or_number_is_named_and_not_compared(
    sample_inputs: SampleInputs, field: str, name: str, value: str | int, words: str
) -> None:
    host = sample_inputs()
    host = replace(host, manifest=replace(host.manifest, config={"preset": "smoke", "seed": 0, "set": "nothing"}))
    other = {field: getattr(host.manifest, field) | {name: value}}
    found = table_of(host, of_recipe(host, "random", 0.2, **other))
    assert [(each.recipe, each.reason) for each in found.left_out] == [("random", words)]
    assert [column.recipe for column in found.columns] == ["host"] and "random" not in found.missing
    assert found.rows[-1].drawn_windows
    text = honesty_section(replace(host, honesty=found))
    assert f"not comparable: `random`, because {words}; `rlstir materialize --recipe random` makes it anew" in text
    assert why_not(host.manifest, host.manifest) == ""


def test_the_command_that_makes_a_recipe_asks_for_the_same_numbers(sample_inputs: SampleInputs) -> None:
    manifest = sample_inputs().manifest
    assert remedy(manifest) == ()
    config = {"preset": "rtx4060", "seed": 2, "folds": 4, "set": "a.b=1, c=2", "min_shared_channels": 3}
    words = remedy(replace(manifest, config=config))
    assert " ".join(words) == ("--preset rtx4060 --seed 2 --folds 4 --min-shared-channels 3 --set a.b=1 --set c=2")


def encoder(recipe: str, value: float, **made_with: str | int) -> EncoderEvaluation:
    some = Estimate(value=value, lo=value - 0.05, hi=value + 0.05)

    def of(name: str) -> TechniqueScores:
        return TechniqueScores(
            name=name, micro_f1=some, new_host=some, parent_f1=some, parts=PartedScores(seen=some, unseen=some),
            named=some, hit_at={}, coverage=(), calibration=some, tactics=None,
        )  # fmt: skip

    risk = RiskScores(name="encoder", risk_aupr=some, risk_auroc=some, row_ap=None, row_auroc=None)
    counts = dict.fromkeys(
        ("n_train_episodes", "n_validation_episodes", "n_test_episodes", "n_test_hosts", "n_with_technique", "n_tags",
         "n_tags_unseen", "n_tags_outside", "pieces", "n_parameters"), 50)  # fmt: skip
    empty = dict.fromkeys(("files_by", "knowledge_sha256", "tokenizer_sha256", "checkpoint_sha256"), "")
    gaps = ("paired", "paired_risk", "paired_rows", "paired_spans")
    nothing: dict[str, Any] = {"tamper": (), "tamper_rows": ()} | {name: {} for name in gaps}
    return EncoderEvaluation(
        recipe=recipe, input_sha256=recipe, split_sha256="s", made_with={"preset": "smoke", **made_with},
        synthetic=True, prevalence=0.5, row_prevalence=None, tamper_prevalence=None, sigma=None,
        lacks=(), unseen_logs=(),
        risks=(risk,),
        models=(of("encoder"), of("knowledge"), of("bag-of-words")), **counts, **empty, **nothing,
    )  # fmt: skip


def test_the_encoder_and_the_public_texts_have_rows_of_the_recipes_that_were_trained_alike(
    sample_inputs: SampleInputs, tmp_path: Path
) -> None:
    host = replace(sample_inputs(), investigation=encoder("host", 0.3))
    drawn = replace(of_recipe(host, "random", 0.2), investigation=encoder("random", 0.4))
    found = table_of(host, drawn, of_recipe(replace(host, investigation=encoder("time", 0.4, seed=1)), "time"))
    told = [(row.model, row.figure, set(row.cells)) for row in found.rows if not row.mode]
    assert told == [
        ("encoder", "technique micro F1", {"random", "host"}),
        ("knowledge", "technique micro F1", {"random", "host"}),
        ("encoder", "risk, average precision", {"random", "host"}),
    ]
    assert [(each.recipe, each.reason) for each in found.left_out] == [
        ("time", "of its encoder, seed is 1 there and None here")
    ]
    assert {row.inflation.method for row in found.rows} == {"MOVER from two intervals"}
    # the counts of every episode lie beside one evaluation and say what it says: the two are resampled as one
    layout = Layout(tmp_path)
    counts = {"host": np.tile([3, 10, 10], (60, 1)), "random": np.tile([2, 5, 5], (60, 1))}
    for recipe, sums in counts.items():
        names = [f"ep-{k}" for k in range(60)]
        path = layout.episode_sums(recipe, "techniques")
        path.parent.mkdir(parents=True)
        write_sums(path, names, {"encoder": sums, "knowledge": sums + 1})
    pooled = compare(Evaluated(inputs=host, layout=layout), [Evaluated(inputs=drawn, layout=layout)])
    assert {(row.model, row.shared) for row in pooled.rows if not row.mode} == {
        ("encoder", 60),
        ("encoder", None),
        ("knowledge", None),
    }
    assert "60 are on both" in honesty_section(replace(host, honesty=pooled))


def test_an_inflation_goes_over_the_phases_that_both_test_or_is_refused(
    sample_inputs: SampleInputs, tmp_path: Path
) -> None:
    layout, sides, K = Layout(tmp_path), [], len(PHASES)
    for recipe, tested, wrong in (("host", 5, 2), ("random", 4, 1)):
        inputs = of_recipe(sample_inputs(), recipe)
        model = next(each for each in inputs.models if each.name == "gbt_realistic")
        matrix = np.diag([6] * tested + [0] * (K - tested)) + wrong * np.eye(K, k=1) * (np.arange(K) < tested)[:, None]
        sums = np.tile(matrix.reshape(-1), (60, 1))
        sums[::3] *= 2
        value = float(macro_f1(sums.sum(axis=0), np.arange(K) < tested))
        score = next(iter(model.metrics.per_phase.values()))
        metrics = Metrics(
            macro_f1=Estimate(value=value, lo=value - 0.05, hi=min(0.99, value + 0.05)),
            accuracy=model.metrics.accuracy,
            per_phase=dict.fromkeys(PHASES[:tested], score),
        )
        path = layout.episode_sums(recipe, "phases")
        path.parent.mkdir(parents=True)
        write_sums(path, [f"ep-{k}" for k in range(60)], {model.name: sums})
        sides.append(Evaluated(inputs=replace(inputs, models=(replace(model, metrics=metrics),)), layout=layout))
    host, drawn = sides
    found = compare(host, [drawn])
    row = found.rows[0]
    assert found.partly == ("dormant",) and row.shared == 60
    sums = read_sums(layout.episode_sums("host", "phases"))["gbt_realistic"].sums_ES.sum(axis=0)
    common = float(macro_f1(sums, np.arange(K) < 4))
    assert row.cells["host"].value != pytest.approx(common)  # the cell is over all five
    assert row.inflation.value == pytest.approx((row.cells["random"].value or 0.0) - common)
    assert "without dormant, which only one of the two tests" in honesty_section(replace(host.inputs, honesty=found))
    layout.episode_sums("random", "phases").unlink()
    refused = compare(
        Evaluated(inputs=host.inputs, layout=layout), [Evaluated(inputs=drawn.inputs, layout=layout)]
    ).rows[0]
    assert refused.inflation.value is None and "different phases" in refused.inflation.note


def test_a_page_is_behind_when_another_recipe_was_evaluated_and_its_evaluation_is_not(
    sample_inputs: SampleInputs, tmp_path: Path
) -> None:
    layout, host = Layout(tmp_path), sample_inputs()

    def put(inputs: ReportInputs) -> None:
        write_bytes(layout.report_inputs(inputs.recipe), msgspec.json.encode(replace(inputs, honesty=None)))

    for path in [layout.checkpoint("host", model.model, model.mode) for model in host.models]:
        write_bytes(path, b"{}")
    put(host)
    assert beside_sha256(layout, "host") == "" and outdated_pages(layout) == []
    told = replace(host.manifest, versions=host.manifest.versions | {"report": str(version("report"))})
    write_bytes(layout.report("host").with_name("manifest.json"), msgspec.json.encode(told))
    assert outdated_pages(layout) == []
    put(of_recipe(host, "random", 0.2))
    first = beside_sha256(layout, "host")
    assert first and outdated_pages(layout) == ["host"]
    assert [column.recipe for column in make_honesty(layout, host).columns] == ["random", "host"]
    write_bytes(layout.encoder_evaluation("random"), msgspec.json.encode(encoder("random", 0.4)))
    assert beside_sha256(layout, "host") not in ("", first)
    other = {"evaluation_inputs": "ef" * 32}
    put(replace(host, manifest=replace(host.manifest, hashes=host.manifest.hashes | other)))
    assert outdated_pages(layout) == []  # it was evaluated again itself, which is no matter of its page alone


def test_names_in_the_table_are_words_wherever_they_come_from(sample_inputs: SampleInputs) -> None:
    text = "<b>x</b> | `y`\n# z [l](http://e.example)"
    host = sample_inputs()
    config = {"preset": text, "seed": 0, "set": text}
    found = table_of(host, of_recipe(host, "random", config=config))
    models = tuple(replace(model, model=text, name=f"{text}_realistic") for model in host.models)
    found = replace(
        table_of(replace(host, models=models)), left_out=found.left_out, partly=(text,), remedy=("--set", text)
    )
    page = Page(convert(honesty_section(replace(host, honesty=found)), {})[0])
    own = {"#", "honesty.json", "phases_by_episode.parquet"}
    assert {a["href"] for tag, a in page.tags if tag == "a"} <= own and not {tag for tag, _ in page.tags} & {
        "b",
        "h1",
    }
    plain = Page(convert(honesty_section(replace(host, honesty=table_of(host))), {})[0])
    assert [tag for tag, _ in page.tags if tag in ("tr", "td")] == [tag for tag, _ in plain.tags if tag in ("tr", "td")]
    assert "## Honesty gap" not in render_markdown(replace(host, honesty=None))
