"""The investigator's assets on a store of logs alone: what they attach, and what is planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from logs_world import NUMBERS, LogsWorld, build_world

from rlstir_assets.assets.datasets import split
from rlstir_assets.assets.evaluation import encoder_eval, investigation_eval
from rlstir_assets.assets.investigator import encoder, ppo_policy, tokenizer
from rlstir_assets.driver import plan
from rlstir_assets.resources import Settings
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.errors import SplitRefused
from rlstir_core.evaluation.report.log_summary import encoder_lines
from rlstir_core.staleness import INVESTIGATOR

ASSETS = [split, tokenizer, encoder, encoder_eval, ppo_policy, investigation_eval]


def settings_of(world: LogsWorld) -> Settings:
    overrides = [*NUMBERS, "investigator.epochs=1"]
    return Settings(store=str(world.store), data=str(world.layout.data), overrides=overrides, folds=4, train_hosts=[])


@pytest.fixture
def world(tmp_path: Path) -> LogsWorld:
    return bound(build_world(tmp_path))


def bound(world: LogsWorld) -> LogsWorld:
    refresh_index(world.store, world.layout)
    return world


def made(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the assets of recipe `host` attach, by name."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            ASSETS,
            resources={"settings": settings},
            partition_key="host",
            instance=instance,
            selection=[key for asset in ASSETS for key in asset.keys],
        )
        assert result.success and all(check.passed for check in result.get_asset_check_evaluations())
        found = {}
        for asset in ASSETS:
            (event,) = result.asset_materializations_for_node(asset.op.name)
            found[asset.op.name] = {name: value.value for name, value in event.metadata.items()}
        return found


def test_logs_alone_go_from_the_split_to_figures_and_nothing_is_made_twice(world: LogsWorld) -> None:
    settings = settings_of(world)
    todo = plan.plan_logs(settings, "host")
    assert todo is not None and todo.assets == INVESTIGATOR  # the split is there
    assert todo.why == (
        "trains the encoder: not trained yet on these log rows, this split and these numbers",
        "learns whom to ask what: not learnt yet on these log rows, this split and these numbers",
    )
    shown = made(settings)
    assert shown["tokenizer"]["episodes"] == 24 and shown["tokenizer"]["trained now"]
    assert shown["encoder"]["techniques"] == 3 and shown["encoder"]["knowledge"] == "none was imported"
    scores = [record.data for record in shown["encoder_eval"]["scores"].records]
    assert [row["model"] for row in scores] == ["encoder", "majority", "bag-of-words", "svm"]
    assert "rlstir import knowledge" in shown["encoder_eval"]["lacks"]
    assert plan.plan_logs(settings, "host") is None
    (line, place) = encoder_lines(world.layout, ["host", "time"])
    assert "micro F1 on 8 held-out episodes: encoder 0." in line and place.endswith("encoder_eval.json")
    world.layout.encoder_predictions("host", "risk").unlink()
    again = plan.plan_logs(settings, "host")
    assert again is not None and again.assets == ("encoder_eval",) and "scores the encoder" in again.why[0]


def test_another_split_keeps_what_was_trained_on_the_same_side(world: LogsWorld) -> None:
    settings = settings_of(world)
    made(settings)
    world.layout.split("host").unlink()
    todo = plan.plan_logs(settings, "host")
    assert todo is not None and todo.kept == {"tokenizer", "encoder", "ppo_policy"}
    assert todo.sentence == "recipe host: making split, encoder_eval, investigation_eval"


def test_without_labels_the_assets_say_so_and_the_plan_leaves_them_out(tmp_path: Path) -> None:
    world = bound(build_world(tmp_path, labelled=False))
    settings = settings_of(world)
    stale = world.layout.encoder_evaluation("host")
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    shown = made(settings)
    for name in INVESTIGATOR:
        assert "no log row of the train side carries a technique" in shown[name]["not made"]
    assert not stale.exists() and not world.layout.tokenizer("host").exists()
    with pytest.raises(SplitRefused, match="no log row of the train side carries a technique"):
        plan.plan_logs(settings, "host")


def test_a_recipe_of_several_rounds_has_no_encoder(world: LogsWorld) -> None:
    settings = settings_of(world)
    with pytest.raises(SplitRefused, match="recipe 'loho' has 4 rounds, and the encoder is trained for recipes of one"):
        plan.plan_logs(settings, "loho")
    foreseen = plan.foresee_logs("loho")
    assert foreseen.sentence == "recipe loho: making split, tokenizer, encoder, encoder_eval"
