"""What would be made, and why, without making it: every run has its reason, and a training always has one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.episodes.validation.kinds import seems_logs_alone

pytestmark = pytest.mark.slow


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
    assert none.exit_code == 2 and "corpus" in none.stderr


def test_a_dry_run_on_a_bare_store_foresees_the_whole_line(invoke: Any, tmp_path: Path, small_store: Any) -> None:
    store = small_store(tmp_path / "store", episodes=2)
    done = invoke("materialize", "--store", store, "--data", tmp_path / "data", "--dry-run")
    for words in (
        "index: making episode_index, feature_schema\n  the index was not read yet",
        "hosts elliott-thinkpad, k-gamingcom: making validation, window_tensors",
        "  2 new episodes",
        "recipe host: making split, 12 checkpoints, baselines, detector_eval, comparison_v2\n  tokenizer, encoder, "
        "encoder_eval, ppo_policy, investigation_eval as well, where log rows",
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


def test_a_report_that_shows_a_recipe_that_was_evaluated_since_is_made_again_with_any_recipe(
    own_driven: Any, invoke: Any
) -> None:
    layout = own_driven.layout
    other = json.loads(layout.report_inputs("host").read_text()) | {"recipe": "random"}
    layout.evaluation("random").mkdir(parents=True)
    layout.report_inputs("random").write_text(json.dumps(other))
    here = ("materialize", "--store", own_driven.store, "--data", own_driven.data, "--dry-run")
    for recipe, words in (("host", "is of an earlier version, or shows other recipes"), ("random", "its report shows")):
        done = invoke(*here, "--recipe", recipe, home=own_driven.home)
        assert done.exit_code == 0, done.output
        assert done.stdout.count("recipe host: making comparison_v2\n") == 1 and words in done.stdout


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
