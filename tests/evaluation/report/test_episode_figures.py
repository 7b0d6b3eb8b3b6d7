"""Pictures of one episode: what they show in numbers, equal bytes, and what is left out where there is nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.report.pictures.episode_figures import portrait
from rlstir_core.evaluation.report.pictures.phases import PhaseTrack, Stretch, draw_phases
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.generate import make_episode
from rlstir_core.lab.plan import LabOptions, plan_store
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_tensors

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, str, str]:
    """An attacked and tampered episode, and one without logs (`bare`)."""
    folder = tmp_path_factory.mktemp("portrait")
    store, layout, registry = folder / "store", Layout(folder / "data"), default_registry()
    options = LabOptions(seed=9, duration_s=60.0, tampered=1.0)
    plan = next(p for p in plan_store(hosts=("lab-01",), episodes=8, options=options) if not p.benign)
    episode = make_episode(plan, options)
    records = [
        write_episode(store, episode.meta, episode.labels, episode.sources, episode.extra),
        write_episode(store, {**episode.meta, "episode_id": "bare"}, episode.labels, episode.sources),
    ]
    write_index(store, records)
    write_schema(layout.feature_schema, make_schema(registry))
    validate_host(store, layout, "lab-01", registry=registry, index=read_index(store))
    build_tensors(layout, "lab-01", registry)
    build_log_events(store, layout, "lab-01")
    build_graphs(layout, "lab-01")
    return layout, "lab-01", plan.episode_id


def test_an_episode_with_everything_has_three_pictures(made: tuple[Layout, str, str]) -> None:
    found = portrait(*made)
    assert set(found.pictures) == {"telemetry", "timeline", "processes"}
    assert all(png.startswith(PNG) for png in found.pictures.values())
    assert found.techniques and found.tampered and sum(found.rows.values()) > 100
    assert len(found.phases) > 1


def test_equal_episodes_give_equal_bytes(made: tuple[Layout, str, str]) -> None:
    assert portrait(*made).pictures == portrait(*made).pictures


def test_an_episode_without_logs_has_its_telemetry(made: tuple[Layout, str, str]) -> None:
    found = portrait(made[0], made[1], "bare")
    assert set(found.pictures) == {"telemetry"}
    assert found.rows == {} and found.techniques == ()


def test_without_tensors_the_logs_are_drawn(made: tuple[Layout, str, str], tmp_path: Path) -> None:
    layout, host, episode = made
    tensor = layout.tensors(host) / f"{episode}.safetensors"
    kept = tensor.read_bytes()
    tensor.unlink()
    try:
        assert set(portrait(layout, host, episode).pictures) == {"timeline", "processes"}
    finally:
        tensor.write_bytes(kept)


def test_an_episode_that_nobody_knows_is_refused_with_the_remedy(made: tuple[Layout, str, str]) -> None:
    with pytest.raises(UpstreamMissing, match="look at the id"):
        portrait(made[0], made[1], "ep-none")


@pytest.mark.slow
def test_an_evaluated_episode_shows_what_the_chosen_detector_said_beside_the_truth(driven: Any) -> None:
    for host, side in (("k-gamingcom", "test side, as recorded"), ("elliott-thinkpad", "train side, by the member")):
        episode = driven.index.of_host(host)[0].episode_id
        found = portrait(driven.layout, host, episode)
        assert "predictions" in found.pictures
        assert "realistic, chosen on validation; recipe host" in found.predicted and side in found.predicted


def test_phases_are_drawn_with_and_without_truth_and_threshold() -> None:
    said = (Stretch(phase="clean", start_s=0, end_s=30), Stretch(phase="new one", start_s=30, end_s=60))
    whole = PhaseTrack(
        title="gru realistic",
        duration_s=60.0,
        phases=("clean", "armed"),
        true=said[:1],
        predicted=said,
        seconds=(10.0, 60.0),
        attack=(0.1, 0.9),
        threshold=0.8,
    )
    pictures = {draw_phases(whole), draw_phases(whole)}  # equal tracks, equal bytes
    for less in ({"true": ()}, {"threshold": None}, {"true": (), "threshold": 0.1}, {"attack": ()}):
        pictures.add(draw_phases(msgspec.structs.replace(whole, **less)))
    assert len(pictures) == 5 and all(png.startswith(PNG) for png in pictures)
