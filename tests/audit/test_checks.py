"""Each check finds the fault that it is for, and a set without fault fails none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlstir_core.audit.writing.rules import RULES, rule_of
from rlstir_core.errors import ConfigError


def test_a_set_without_a_fault_fails_nothing_and_leaves_nothing_unchecked(tables: Any) -> None:
    found = tables.audit()
    verdicts = {each.check: each.verdict for each in found.checks}
    assert verdicts.pop("row-interval") == "warn"  # rows of an episode are alike in any honest set
    assert set(verdicts.values()) == {"ok"}, [each.sentence for each in found.checks if each.verdict != "ok"]
    assert {rule_of(each) for each in found.checks} == set(RULES)
    assert not found.failed
    assert found.n_test_episodes == 120 and found.macro_f1.lo < found.macro_f1.value < found.macro_f1.hi


def test_predictions_and_a_split_alone_are_checked_as_far_as_they_go_and_the_rest_is_named(tables: Any) -> None:
    tables.episodes = {}
    del tables.split["host"], tables.predictions["score"], tables.predictions["time_s"]
    missing = {each.check: each.sentence for each in tables.audit().checks if each.verdict == "not checked"}
    assert set(missing) == {
        *("group-overlap", "near-duplicates", "untested/groups", "test-chosen-threshold"),
        *("clock-baseline", "metadata-baseline"),
    }
    assert all(sentence.startswith("Not checked, because ") for sentence in missing.values())
    assert "no column `time_s`" in missing["clock-baseline"]


@pytest.mark.parametrize("side", ["train", "validation"])
def test_an_episode_on_two_sides_fails(tables: Any, side: str) -> None:
    for column, value in (("episode", "run-000"), ("side", side), ("host", "host-0")):
        tables.split[column] = np.append(tables.split[column], value)
    found = tables.check("episode-overlap")
    assert found.verdict == "fail" and found.examples == ("run-000",)
    assert "1 of 120 test episodes" in found.sentence
    assert found.figures["share_of_test_episodes"].hi > 1 / 120


def test_a_host_on_both_sides_takes_the_claim_about_new_hosts_away(tables: Any) -> None:
    tables.split["side"] = np.where(np.arange(len(tables.split["host"])) % 24 == 1, "train", tables.split["side"])
    found = tables.check("group-overlap/host")
    assert found.verdict == "warn" and found.examples == ("host-1",)
    assert "no claim about a new host" in found.sentence
    assert tables.check("group-overlap/host", held_out=["host"]).verdict == "fail"


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_a_train_episode_that_returns_under_another_name_is_found(tables: Any, noise: float) -> None:
    twin, again = tables.on("train")[3], tables.on("test")[5]
    for name in [name for name in tables.episodes if name.startswith("feature")]:
        tables.episodes[name][again] = tables.episodes[name][twin] * 1000 + noise
        tables.episodes[name] = np.where(np.arange(240) == again, 1, 1000) * tables.episodes[name]
    found = tables.check("near-duplicates")
    assert found.verdict == "fail" and found.examples == (tables.split["episode"][again],)


def test_variants_of_train_episodes_are_nearer_than_train_episodes_to_one_another(tables: Any) -> None:
    test, train = tables.on("test"), tables.on("train")
    for name in [name for name in tables.episodes if name.startswith("feature")]:
        variants = tables.episodes[name][np.resize(train, len(test))] + tables.rng.normal(0, 0.1, len(test))
        tables.episodes[name][test] = variants
    found = tables.check("near-duplicates")
    assert found.verdict == "warn" and "variants of what was learnt" in found.sentence


def test_features_that_are_too_coarse_to_tell_episodes_apart_prove_no_duplicate(tables: Any) -> None:
    for name in [name for name in tables.episodes if name.startswith("feature")]:
        tables.episodes[name] = (tables.episodes[name] > 1).astype(int)
    found = tables.check("near-duplicates")
    assert found.verdict == "warn" and "too coarse" in found.sentence


def test_test_episodes_without_predictions_are_counted(tables: Any) -> None:
    kept = ~np.isin(tables.of_row, tables.on("test")[:7])
    tables.predictions = {name: column[kept] for name, column in tables.predictions.items()}
    found = tables.check("tables-agree")
    assert found.verdict == "warn" and found.n_about == 7
    assert "7 of 120 test episodes without a prediction" in found.sentence


def test_the_interval_by_row_is_too_narrow_where_rows_of_an_episode_err_together(tables: Any) -> None:
    found = tables.check("row-interval")
    assert found.figures["ratio_of_widths"].value > 1.25
    assert found.figures["macro_f1_by_host"].lo is not None
    wrong = tables.rng.random(len(tables.of_row)) < 0.2  # now each row errs for itself
    right = tables.predictions["label"]
    tables.predictions["predicted"] = np.where(wrong, np.where(right == "malware", "benign", "malware"), right)
    alone = tables.check("row-interval")
    assert alone.verdict == "ok" and alone.figures["ratio_of_widths"].value < 1.25


def test_a_class_and_a_host_in_few_test_episodes_are_named_untested(tables: Any) -> None:
    test = tables.on("test")
    label = tables.predictions["label"].astype(object)
    label[np.isin(tables.of_row, test[:3])] = "ransomware"
    tables.predictions["label"] = label
    tables.split["host"] = tables.split["host"].astype(object)
    tables.split["host"][test[3:5]] = "rare"
    found = {each.check: each for each in tables.audit().checks}
    assert found["untested/class"].verdict == "warn" and found["untested/class"].examples == ("ransomware (3)",)
    assert found["untested/host"].verdict == "warn" and found["untested/host"].examples == ("rare (2)",)


def best_threshold(tables: Any, side: str) -> float:
    """The threshold that is right in most rows of a side."""
    rows = tables.rows_on(side)
    score, true = tables.predictions["score"][rows], tables.predictions["label"][rows] == "malware"
    order = np.argsort(score)
    gain = np.cumsum(np.where(true[order], -1, 1))
    return float(score[order][gain.argmax() + 1])


@pytest.mark.parametrize("with_validation", [True, False])
def test_a_threshold_that_is_exactly_the_best_on_the_test_side_is_suspected(tables: Any, with_validation: bool) -> None:
    tables.decide(best_threshold(tables, "test"))
    if not with_validation:
        kept = ~tables.rows_on("validation")
        tables.predictions = {name: column[kept] for name, column in tables.predictions.items()}
    found = tables.check("test-chosen-threshold")
    assert found.verdict == "warn" and "does not prove" in found.sentence


def test_a_threshold_that_validation_rows_would_choose_is_not_suspected(tables: Any) -> None:
    tables.decide(best_threshold(tables, "validation"))
    found = tables.check("test-chosen-threshold")
    assert found.verdict == "ok" and "as the validation rows would choose it" in found.sentence


def test_a_threshold_that_suits_the_test_side_alone_is_suspected_though_it_is_not_its_best(tables: Any) -> None:
    moved = tables.rows_on("test")
    tables.predictions["score"] = np.where(moved, tables.predictions["score"] ** 3, tables.predictions["score"])
    tables.decide(best_threshold(tables, "test") * 1.05)
    found = tables.check("test-chosen-threshold")
    assert found.verdict == "warn" and "by more than chance" in found.sentence
    assert found.figures["macro_f1_above_the_validation_choice"].lo > 0


def test_decisions_against_the_threshold_that_is_given_are_named(tables: Any) -> None:
    tables.predictions["threshold"] = np.full(len(tables.of_row), 0.5)
    turned = np.flatnonzero(tables.rows_on("test"))[:2]
    for row in turned:
        tables.predictions["predicted"][row] = "malware" if tables.predictions["score"][row] < 0.5 else "benign"
    found = tables.check("test-chosen-threshold")
    assert found.verdict == "warn" and found.n_about == 2
    assert found.examples == tuple(f"row {row + 1:,}" for row in turned)
    tables.decide(0.3)  # one threshold makes these decisions, but another one is given
    assert "not the one that decided" in tables.check("test-chosen-threshold").sentence


def test_thresholds_by_host_are_looked_at_as_margins(tables: Any) -> None:
    limit = 0.3 + 0.02 * (np.arange(240) % 12)[tables.of_row]
    tables.predictions["threshold"] = limit
    tables.decide(limit)
    assert "margin to the rows' own thresholds" in tables.check("test-chosen-threshold").sentence


def test_a_detector_that_knows_nothing_is_not_told_from_permuted_labels(tables: Any) -> None:
    tables.predictions["score"] = tables.rng.random(240)[tables.of_row]
    tables.decide(0.5)
    found = tables.check("permuted-labels")
    assert found.verdict == "fail" and found.figures["p"].value > 0.05
    assert found.figures["macro_f1_permuted"].lo < 0.5 < found.figures["macro_f1_permuted"].hi


def test_labels_that_follow_one_script_leave_nothing_to_permute_and_the_clock_is_as_good(tables: Any) -> None:
    late = tables.predictions["time_s"] >= 20
    tables.predictions["label"] = np.where(late, "malware", "benign")
    tables.predictions["predicted"] = np.where(
        tables.rng.random(len(late)) < 0.05, "benign", tables.predictions["label"]
    )
    found = {each.check: each for each in tables.audit().checks}
    assert found["permuted-labels"].verdict == "not checked"
    assert found["clock-baseline"].verdict == "fail"
    assert found["clock-baseline"].figures["macro_f1_baseline"].value == 1


def test_labels_that_change_within_episodes_are_permuted_as_sequences(tables: Any) -> None:
    onset = tables.rng.integers(1, 8, 240)[tables.of_row]
    late = np.tile(np.arange(8), 240) >= onset
    tables.predictions["label"] = np.where(late, "malware", "benign")
    tables.predictions["predicted"] = tables.predictions["label"]
    assert tables.check("permuted-labels").verdict == "ok"
    middle = np.tile(np.arange(8), 240) >= 4
    tables.predictions["predicted"] = np.where(middle, "malware", "benign")
    found = {each.check: each.verdict for each in tables.audit().checks}
    assert found["permuted-labels"] == "fail"  # it knows when recordings are attacked, and not which
    assert found["clock-baseline"] == "warn"


@pytest.mark.parametrize("within", [False, True])
def test_metadata_that_give_the_label_away_are_named(tables: Any, within: bool) -> None:
    tables.episodes["operator"] = np.where(tables.predictions["label"][::8] == "malware", "ann", "bob")
    if within:
        kept = tables.rows_on("test")
        tables.predictions = {name: column[kept] for name, column in tables.predictions.items()}
    found = tables.check("metadata-baseline")
    assert found.verdict == "fail" and "operator" in found.sentence
    assert found.figures["macro_f1_baseline"].value == 1
    assert ("within the test side" in found.sentence) == within


def test_more_than_two_classes_are_judged_by_the_most_probable(tables: Any) -> None:
    classes = np.array(["armed", "clean", "infecting"])
    y = np.arange(240)[tables.of_row] % 3
    proba = tables.rng.dirichlet(np.ones(3), len(y)) + 0.5 * np.eye(3)[y]
    tables.predictions = {"episode": tables.predictions["episode"], "label": classes[y]}
    tables.predictions |= {f"p_{name}": proba[:, k] for k, name in enumerate(classes)}
    found = tables.audit()
    assert found.decided_by == "the most probable class" and found.classes == tuple(classes)
    assert {each.check: each.verdict for each in found.checks}["test-chosen-threshold"] == "ok"


def test_a_score_alone_is_decided_by_its_thresholds_or_by_one_half(tables: Any) -> None:
    expected = tables.audit().macro_f1
    del tables.predictions["predicted"]
    found = tables.audit()
    assert found.macro_f1 == expected and found.decided_by == "score at or above .5"
    tables.predictions["p_malware"] = tables.predictions.pop("score")
    assert tables.audit().macro_f1 == expected
    tables.predictions["score"] = 10 * tables.predictions.pop("p_malware")
    tables.predictions["threshold"] = np.full(len(tables.of_row), 5.0)
    found = tables.audit()
    assert found.macro_f1 == expected and found.decided_by == "score at or above the column of thresholds"


def test_classes_whose_names_do_not_say_which_is_the_attack_are_told_by_decisions_or_asked_for(tables: Any) -> None:
    for name in ("label", "predicted"):
        tables.predictions[name] = np.where(tables.predictions[name] == "malware", "alpha", "beta")
    assert tables.check("test-chosen-threshold").verdict == "ok"
    del tables.predictions["predicted"]
    with pytest.raises(ConfigError, match="--positive CLASS"):
        tables.audit()
    assert tables.audit(positive="alpha").macro_f1.value > 0.8


def test_a_part_of_the_episodes_is_resampled_where_there_are_many_rows(
    tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlstir_core.audit.checks.thresholds._MOST_ROWS", 200)
    monkeypatch.setattr("rlstir_core.audit.checks.permuted._MOST_EPISODES", 60)
    monkeypatch.setattr("rlstir_core.audit.checks.duplicates._MOST_TEST", 50)
    tables.decide(best_threshold(tables, "test"))
    found = {each.check: each for each in tables.audit().checks}
    assert found["test-chosen-threshold"].verdict == "warn"
    permuted = found["permuted-labels"]
    assert permuted.verdict == "ok" and "Of a sample of 60 test episodes" in permuted.sentence
    assert "Distances are of a sample, 50 test" in found["near-duplicates"].sentence


def test_an_episode_that_trains_and_validates_and_a_test_side_without_train_are_told(tables: Any) -> None:
    alone = tables.split
    tables.split = {name: np.append(column, column[tables.on("train")[0]]) for name, column in alone.items()}
    tables.split["side"][-1] = "validation"
    found = tables.check("episode-overlap")
    assert found.verdict == "warn" and "both train and validate" in found.sentence
    tables.split = {**alone, "side": np.where(alone["side"] == "train", "none", alone["side"])}
    verdicts = {each.check: each.verdict for each in tables.audit().checks}
    assert verdicts["episode-overlap"] == verdicts["group-overlap/host"] == "not checked"


def test_more_episodes_than_are_resampled_give_an_interval_of_the_same_width() -> None:
    from rlstir_core.audit.figures import MOST_UNITS, UnitSums, right_share

    rng = np.random.default_rng(0)
    units = 4 * MOST_UNITS
    y, unit = np.zeros(units * 5, np.int64), np.repeat(np.arange(units), 5)
    decided = (rng.random(units)[unit] < 0.3).astype(np.int64)  # whole episodes are wrong
    sums = UnitSums(y, unit, units, 2)
    found = sums.estimate(sums.of(decided), right_share(2))
    assert sums.grouped and found.hi - found.lo == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / units), rel=0.1)
