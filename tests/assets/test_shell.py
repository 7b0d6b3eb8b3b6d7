"""`dagster asset materialize` from a bare shell: what CI calls, without the driver."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
MATERIALIZE = ("dagster", "asset", "materialize", "-m", "rlstir_assets.definitions", "--select")


def test_assets_are_made_from_a_bare_shell_in_their_order(
    shell: Any, make_home: Any, small_store: Any, tmp_path: Path
) -> None:
    home, store = make_home(tmp_path / "home"), small_store(tmp_path / "store", episodes=2)
    env = {"RLSTIR_STORE": str(store), "RLSTIR_DATA": str(tmp_path / "data")}
    early = shell(*MATERIALIZE, "key:checkpoint/gbt_realistic", "--partition", "host", home=home, env=env)
    assert early.returncode != 0
    wanted = (
        r"episode_index_v1\.json is missing; make it with: "
        + r"\S*rlstir materialize --store \S+ --data \S+ --select key:episode_index"
    )
    assert re.search(wanted, early.stdout + early.stderr)
    index = shell(*MATERIALIZE, "key:episode_index", home=home, env=env)
    assert index.returncode == 0, index.stderr
    assert (tmp_path / "data" / "processed" / "episode_index_v1.json").is_file()
    verdicts = shell(*MATERIALIZE, "key:validation", "--partition", "k-gamingcom", home=home, env=env)
    assert verdicts.returncode == 0, verdicts.stderr
    made = tmp_path / "data" / "processed" / "validation_v1.parquet"
    assert [path.name for path in made.iterdir()] == ["host=k-gamingcom"]


def test_a_checkpoint_is_trained_from_a_bare_shell(shell: Any, own_driven: Any) -> None:
    path = own_driven.layout.checkpoint("host", "gbt", "realistic")
    before = path.read_bytes()
    path.unlink()
    env = {"RLSTIR_STORE": str(own_driven.store), "RLSTIR_DATA": str(own_driven.data)}
    done = shell(*MATERIALIZE, "key:checkpoint/gbt_realistic", "--partition", "host", home=own_driven.home, env=env)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before
