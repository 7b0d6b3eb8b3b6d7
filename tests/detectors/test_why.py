"""A training is explained by what changed since the checkpoint was made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from split_worlds import divided, world

from rlstir_core.datasets.split import Split
from rlstir_core.detectors import why
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout

OPTIONS = StudyOptions(recipe="host")
SCHEMA = "schema"


def reasons(
    monkeypatch: pytest.MonkeyPatch,
    trained_on: Split,
    now: Split,
    options: StudyOptions = OPTIONS,
    schema: str = SCHEMA,
) -> dict[str, int]:
    """Why a checkpoint that was trained on the one split is trained again on the other."""
    (first,) = trained_on.rounds
    checkpoint = SimpleNamespace(
        preset="smoke",
        seed=0,
        input_schema=SimpleNamespace(feature_schema_sha256=SCHEMA),
        train_sha256=trained_on.train_sha256,
        members=[SimpleNamespace(validation_episodes=fold) for fold in first.folds],
    )
    monkeypatch.setattr(why, "read_checkpoint", lambda _: checkpoint)
    return why.why_trained(Layout(Path("data")), options, now, schema, [("gru", "realistic"), ("mlp", "realistic")])


def test_hosts_and_episodes_that_came_or_left_are_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    three, four = world(hosts=3), world(hosts=4)
    before = divided("host", three, train_hosts=("host-0", "host-1"))
    more = divided("host", four, train_hosts=("host-0", "host-1", "host-3"))
    assert reasons(monkeypatch, before, more) == {"host-3 (12 episodes) is new on the train side": 2}
    assert reasons(monkeypatch, more, before) == {"12 episodes left the train side": 2}
    fewer = divided("host", [e for e in three if e.episode_id != "ep-000"], train_hosts=("host-0", "host-1"))
    assert reasons(monkeypatch, fewer, before) == {"new episodes on the train side: 1 of host-0": 2}


def test_settings_and_schema_are_named_with_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    split = divided("host", world(), train_hosts=("host-0",))
    seeded = msgspec.structs.replace(OPTIONS, split=msgspec.structs.replace(OPTIONS.split, seed=3))
    assert reasons(monkeypatch, split, split, seeded) == {"seed 3 instead of 0": 2}
    large = msgspec.structs.replace(OPTIONS, preset="rtx4060")
    assert reasons(monkeypatch, split, split, large) == {"preset rtx4060 instead of smoke": 2}
    assert reasons(monkeypatch, split, split, schema="other") == {"the feature schema changed": 2}
    assert list(reasons(monkeypatch, split, split)) == [
        "numbers of the preset, the way of training or a file of the checkpoint changed"
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(UpstreamMissing("x"), "not trained yet"), (CheckpointError("x"), "the checkpoint is damaged")],
)
def test_a_checkpoint_that_is_not_there_or_damaged_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(why, "read_checkpoint", fail)
    split = divided("host", world(), train_hosts=("host-0",))
    assert why.why_trained(Layout(Path("data")), OPTIONS, split, SCHEMA, [("gru", "oracle")]) == {reason: 1}
