"""Sources that a wider mode adds: measured on train hosts that are left out, and hidden where they do harm there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rlstir_core.contract.registry import default_registry
from rlstir_core.detectors.blocks import in_blocks
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import SummaryInputs, input_schema
from rlstir_core.detectors.sources import blind_columns, judged_sources
from rlstir_core.detectors.views import RECORDED, View
from rlstir_core.learning.distort import Distortion, HostDraws
from rlstir_core.learning.memory import training_bytes
from rlstir_core.telemetry.schema import make_schema

SCHEMA = make_schema(default_registry())


def recorded(make: Callable[..., Recording], host: int, rise: float) -> Recording:
    """The second half of a recording is another phase: `qmp` rises with it on every host, `guest` as the host likes."""
    x_CT = np.random.default_rng(host).normal(8, 1, (len(SCHEMA.channels), 600)).astype(np.float32)
    for place, channel in enumerate(SCHEMA.channels):
        if channel.source in ("qmp", "guest"):
            x_CT[place, 300:] += rise if channel.source == "qmp" else 0.5 * (-1) ** host
    recording = make(SCHEMA, f"ep-{host}", f"host-{host}", x_CT)
    return replace(recording, label_W=(recording.grid.start_W >= 300).astype(np.int64))


@pytest.fixture(params=[0.0])
def world(make_recording: Any, episodes_of: Any, request: Any) -> tuple[EpisodeSet, Sequence[Recording]]:
    recordings = [recorded(make_recording, host, request.param) for host in range(4)]
    return episodes_of(SCHEMA, recordings), recordings


@pytest.mark.parametrize("world", [2.0], indirect=True)
def test_a_source_that_helps_on_hosts_left_out_stays(world: Any) -> None:
    episodes, recordings = world
    wide = input_schema(SCHEMA, "oracle", "summary", SCHEMA.channel_names)
    found = {each.source: each for each in judged_sources(episodes, recordings, wide)}
    assert found["qmp"].kept and min(found["qmp"].gains) > 0.2 and len(found["qmp"].gains) == 4


def test_a_source_that_misleads_on_the_host_left_out_is_left_out_and_says_why(world: Any) -> None:
    episodes, recordings = world
    wide = input_schema(SCHEMA, "oracle", "summary", SCHEMA.channel_names)
    found = {each.source: each for each in judged_sources(episodes, recordings, wide)}
    assert not found["guest"].kept and max(found["guest"].gains) < 0
    assert found["guest"].words.startswith("guest (4 channels) changed") and "4 of 4 lost" in found["guest"].words
    assert judged_sources(episodes, recordings[:2], wide) == ()  # with two hosts nothing teaches but one


def test_a_mode_that_adds_nothing_has_nothing_to_measure(world: Any) -> None:
    episodes, recordings = world
    narrow = tuple(channel.name for channel in SCHEMA.channels if channel.vantage in ("host", "network"))
    assert judged_sources(episodes, recordings, input_schema(SCHEMA, "realistic", "summary", narrow)) == ()


def test_a_member_is_shown_a_source_that_it_left_out_as_missing_in_training_and_in_scoring(world: Any) -> None:
    episodes, recordings = world
    wide = input_schema(SCHEMA, "oracle", "summary", SCHEMA.channel_names)
    blind = blind_columns(wide, ["guest"])
    assert {wide.columns[at].split(".")[0] for at in blind} == {"guest"}
    assert any("/" in wide.columns[at] for at in blind) and any("~" in wide.columns[at] for at in blind)
    plain = in_blocks(episodes, recordings, wide, RECORDED).inputs(0)
    hidden = in_blocks(episodes, recordings, wide, RECORDED, blind=blind).inputs(0)
    assert isinstance(plain, SummaryInputs) and isinstance(hidden, SummaryInputs)
    assert np.isnan(hidden.x_NF[:, list(blind)]).all() and np.isfinite(plain.x_NF[:, list(blind)]).any()
    seen = []

    class Says:
        def predict_proba(self, inputs: SummaryInputs) -> np.ndarray:
            seen.append(inputs.x_NF)
            return np.ones((len(inputs.x_NF), 1))

    members = Members([(0, 0, Says()), (0, 1, Says())], {(0, 1): blind})  # type: ignore[list-item]
    members.predict_round(0, plain)
    np.testing.assert_array_equal(seen[0], plain.x_NF)
    np.testing.assert_array_equal(seen[1], hidden.x_NF)


def test_gains_are_drawn_anew_for_each_window_and_a_lost_source_is_missing_in_values_and_mask() -> None:
    torch.manual_seed(0)
    draws = HostDraws(gain=1.0, drop=0.0, log_C=np.array([True, True, False]), source_C=np.array([0, 1, 1]))
    x_BLD = torch.zeros(400, 5, 9)
    x_BLD[:, :, 6:] = 1.0
    x_BLD[:, 2, 6] = 0.0  # missing
    shown = Distortion(draws, np.array([1.0, 2.0, 1.0], np.float32), torch.device("cpu"))(x_BLD.clone())
    assert (shown[:, :, 2:] == x_BLD[:, :, 2:]).all() and (shown[:, 2, 0] == 0).all()
    assert (shown[:, 0, 0] == shown[:, 4, 0]).all() and len(shown[:, 0, 0].unique()) > 390
    assert float(shown[:, 0, 0].std()) == pytest.approx(1.0, abs=0.1)
    assert float(shown[:, 0, 1].std()) == pytest.approx(0.5, abs=0.05)
    lost = Distortion(replace(draws, drop=1.0), np.ones(3, np.float32), torch.device("cpu"))(x_BLD + 1)
    first, second = lost[:, 0, [0, 3, 6]].abs().sum(dim=1) == 0, lost[:, 0, [1, 2, 4, 5, 7, 8]].abs().sum(dim=1) == 0
    assert (first ^ second).all() and 100 < int(first.sum()) < 300


def test_what_is_drawn_for_windows_is_not_made_into_the_recording() -> None:
    fresh = View(kind="random", salt="t", gain=0.5, drop=0.5, fresh=True)
    draws = fresh.draws(SCHEMA, SCHEMA.channel_names[:3])
    assert not fresh.distorts and draws is not None and (draws.gain, draws.drop, len(draws.log_C)) == (0.5, 0.5, 3)
    assert replace(fresh, fresh=False).distorts and replace(fresh, fresh=False).draws(SCHEMA, ()) is None


def test_the_memory_of_a_step_is_five_copies_of_the_weights_and_what_the_way_back_needs() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False), torch.nn.ReLU())
    # the linear layer keeps its input, the rectifier its output
    assert training_bytes(network, torch.zeros(2, 4), 10) == 5 * 12 * 4 + 10 * (4 + 3) * 4
