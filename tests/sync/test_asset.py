"""The asset that asks the source: nothing more runs without one, and a source that is gone stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets.assets.ingest import synced_episodes
from rlstir_assets.automation.jobs import job_of
from rlstir_assets.driver.plan import plan_sync
from rlstir_assets.resources import Settings


@pytest.fixture
def made_from(tmp_path: Path) -> Callable[[str], tuple[bool, dict[str, Any]]]:
    def run(source: str) -> tuple[bool, dict[str, Any]]:
        """Whether the check passed, and what is shown of the asset."""
        settings = Settings(store=str(tmp_path / "store"), data=str(tmp_path / "data"), sync_source=source)
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([synced_episodes], resources={"settings": settings}, instance=instance)
        shown = result.asset_materializations_for_node("synced_episodes")[0].metadata
        passed = result.get_asset_check_evaluations()[0].passed
        return passed, {name: each.value for name, each in shown.items()}

    return run


def test_with_a_source_new_episodes_are_there_and_without_one_that_is_said(
    made_from: Any, fill: Callable[..., Path], tmp_path: Path
) -> None:
    assert made_from("") == (True, {"source": "none is set (RLSTIR_SYNC)"} | made_from("")[1])
    assert not (tmp_path / "store").exists()
    passed, shown = made_from(str(fill(tmp_path / "source")))
    assert passed and (shown["fetched"], shown["there already"]) == (3, 0)
    (tmp_path / "source/episodes/web1/ep-000.tar.zst").unlink()
    (tmp_path / "store/episodes/web1/ep-000.tar.zst").unlink()
    passed, shown = made_from(str(tmp_path / "source"))
    assert not passed and shown["there already"] == 2


def test_a_source_that_does_not_answer_stops_nothing(
    made_from: Any, fill: Callable[..., Path], link: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rlstir_core.sync.run._WAIT_S", 0.0)
    link.cuts = set(range(99))
    for source in (f"brittle://{fill(tmp_path / 'source')}", str(tmp_path / "not-mounted")):
        passed, shown = made_from(source)
        assert not passed and shown["fetched"] == 0


def test_the_driver_asks_a_source_first_only_where_one_is_set_or_nothing_else_is_wanted() -> None:
    without, having = Settings(sync_source=""), Settings(sync_source="/somewhere")
    everything = {"synced_episodes", "episode_index", "validation"}
    assert [plan_sync(without, wanted) for wanted in (None, everything, {"episode_index"})] == [None] * 3
    assert plan_sync(having, {"episode_index"}) is None
    for settings, wanted in ((having, None), (having, everything), (without, {"synced_episodes"})):
        todo = plan_sync(settings, wanted)
        assert todo is not None and todo.assets == ("synced_episodes",) and job_of(todo.assets) == "index"
