"""What would be made, and why, without making it: every run has its reason, and a training always has one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rlstir_core.contract.registry import MODES, load_registry
from rlstir_core.datasets.store import read_split
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.study import StudyOptions
from rlstir_core.detectors.why import why_trained
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.episodes.validation.kinds import seems_logs_alone

pytestmark = pytest.mark.slow
ALL = [(model, mode) for mode in MODES for model in MODELS]
GRU = [("gru", "realistic")]


def why(driven: Any, split: Any = None, schema: str = "", trained: Any = GRU, **options: Any) -> list[str]:
    """The reasons for training what was trained in the shared run."""
    split = split or read_split(driven.layout, "host")
    given = StudyOptions(recipe="host", split=split.settings, **options)
    return list(why_trained(driven.layout, given, split, schema or same_schema(driven), trained))


def same_schema(driven: Any) -> str:
    from rlstir_core.telemetry.schema import read_schema

    return read_schema(driven.layout.feature_schema).sha256


def moved(split: Any, names: Any, host: str = "") -> Any:
    """The split with other train episodes, of a host of that name."""
    (first,) = split.rounds
    rounds = (msgspec.structs.replace(first, train=tuple(names)),)
    known = set(first.train)
    episodes = tuple(
        msgspec.structs.replace(info, host=host or info.host) if info.episode_id not in known else info
        for info in split.episodes
    )
    return msgspec.structs.replace(split, rounds=rounds, episodes=episodes)


def test_a_training_is_explained_by_what_changed(driven: Any) -> None:
    split = read_split(driven.layout, "host")
    (first,) = split.rounds
    both = (*first.train, *first.test[:2])
    assert why(driven, moved(split, both, "host-3")) == ["host-3 (2 episodes) is new on the train side"]
    assert why(driven, moved(split, both, split.trained_on[0].host)) == [
        f"new episodes on the train side: 2 of {split.trained_on[0].host}"
    ]
    assert why(driven, moved(split, first.train[1:])) == ["1 episode left the train side"]
    assert why(driven, preset="rtx4060") == ["preset rtx4060 instead of smoke"]
    assert why(driven, schema="other") == ["the feature schema changed"]
    assert why(driven, overrides=("train.batch=8",)) == [
        "numbers of the preset, the way of training or a file of the checkpoint changed"
    ]


def test_models_that_were_not_trained_or_are_damaged_are_counted_apart(own_driven: Any) -> None:
    own_driven.layout.checkpoint("host", "gru", "oracle").unlink()
    own_driven.layout.checkpoint("host", "cnn", "oracle").write_text("{")
    split = read_split(own_driven.layout, "host")
    found = why_trained(
        own_driven.layout, StudyOptions(recipe="host", split=split.settings), split, same_schema(own_driven), ALL
    )
    assert (found["not trained yet"], found["the checkpoint is damaged"]) == (1, 1)
    assert sum(found.values()) == len(ALL)


def test_a_dry_run_says_what_it_would_make_and_touches_nothing(own_driven: Any, invoke: Any) -> None:
    here = ("materialize", "--store", own_driven.store, "--data", own_driven.data, "--dry-run")
    shutil.rmtree(own_driven.layout.graphs("k-gamingcom"))
    own_driven.layout.checkpoint("host", "gru", "oracle").unlink()
    before = {path: path.stat().st_mtime_ns for path in sorted(own_driven.root.rglob("*"))}
    done = invoke(*here, home=own_driven.home)
    assert done.exit_code == 0, done.output
    assert "host k-gamingcom: making provenance_graphs\n  results are missing" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in sorted(own_driven.root.rglob("*"))}
    only = invoke(*here, "--select", "key:checkpoint/gru_oracle", "--json", home=own_driven.home)
    assert '"would_make": [\n  "recipe host: making checkpoint/gru_oracle"\n ]' in only.stdout
    none = invoke(*here, "--recipe", "corpus", home=own_driven.home)
    assert none.exit_code == 0 or "corpus" in none.stderr


def test_a_dry_run_on_a_bare_store_foresees_the_whole_line(invoke: Any, tmp_path: Path, small_store: Any) -> None:
    store = small_store(tmp_path / "store", episodes=2)
    done = invoke("materialize", "--store", store, "--data", tmp_path / "data", "--dry-run")
    for words in (
        "index: making episode_index, feature_schema\n  the index was not read yet",
        "hosts elliott-thinkpad, k-gamingcom: making validation, window_tensors",
        "  2 new episodes",
        "recipe host: making split, 12 checkpoints, baselines, detector_eval, comparison_v2",
    ):
        assert words in done.stdout, done.stdout
    chosen = invoke("materialize", "--store", store, "--data", tmp_path / "data", "--dry-run", "--select", "+key:split")
    assert chosen.exit_code == 0 and "recipe host: making split\n" in chosen.stdout
    assert not (tmp_path / "data").exists()


def test_a_dry_run_refuses_what_the_run_would_refuse(own_driven: Any, invoke: Any) -> None:
    index = own_driven.store / "index.jsonl"
    index.write_text(index.read_text().replace("}{", "}\n{").splitlines()[0] + "\n")
    here = ("materialize", "--store", own_driven.store, "--data", own_driven.data)
    for more in (["--dry-run"], []):
        refused = invoke(*here, *more, home=own_driven.home)
        assert refused.exit_code == 2 and "are gone from" in refused.stderr and "--prune" in refused.stderr


def test_logs_alone_are_told_by_a_usable_episode_of_every_host(tmp_path: Path, small_store: Any) -> None:
    store = small_store(tmp_path / "store", episodes=2)
    recorded = {"benign": True, "profile": "io-walk", "sample_name": "a"}
    start = 1_750_000_000 * 10**9
    meta = {**recorded, "t_start_wall_ns": start, "t_end_wall_ns": start + 10**9}
    lines = [
        write_episode(
            store,
            {**meta, "episode_id": f"ep-{n}", "host_id": "aaa"},
            (),
            {},
            {"logs/auth.log": b"May  1 12:00:00 aaa cron[1]: x\n"},
        )
        for n in range(9)
    ]
    registry = load_registry(store)
    only = tmp_path / "only"
    shutil.copytree(store / "episodes" / "aaa", only / "episodes" / "aaa")
    for n in range(12):
        (only / "episodes" / "aaa" / f"bad-{n}.tar.zst").write_bytes(b"no archive")
    bad = [{**lines[0], "episode_id": f"bad-{n}", "path": f"episodes/aaa/bad-{n}.tar.zst"} for n in range(12)]
    write_index(only, [*bad, *lines])
    assert seems_logs_alone(only, read_index(only), registry)
    known = (store / "index.jsonl").read_text().replace("}{", "}\n{").splitlines()
    write_index(store, [*lines, *map(json.loads, known)])
    assert not seems_logs_alone(store, read_index(store), registry)
