"""The training loop: the same weights wherever it was stopped and whoever took its batches."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from little_batches import WIDTHS, little_batch
from little_training import Few, little_loop, weights_of

from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.network.encoder import LogEncoder
from rlstir_core.investigator.pretraining import world as world_module
from rlstir_core.investigator.pretraining.loop import Loop
from rlstir_core.investigator.pretraining.state import States
from rlstir_core.investigator.pretraining.streaming import Kept, plan, prefetched, shuffled
from rlstir_core.investigator.pretraining.world import World
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.presets import Investigator

LITTLE = Path(__file__).parent / "little_training.py"


class Stopped(Exception):
    pass


def stopping(loop: Loop[Few], after: int) -> None:
    """Makes the loop fail at a batch, as a kill would stop it."""
    seen, loss = itertools.count(), loop.train.loss

    def failing(batch: Few, places: list[int]) -> torch.Tensor:
        if next(seen) == after:
            raise Stopped
        return loss(batch, places)

    object.__setattr__(loop.train, "loss", failing)


@pytest.mark.parametrize("after", [0, 4, 9, 13])
@pytest.mark.parametrize("half", [None, torch.float16])
def test_a_training_that_was_stopped_anywhere_ends_with_the_same_weights(
    tmp_path: Path, after: int, half: torch.dtype | None
) -> None:
    whole = little_loop(half=half)
    result = whole.run()
    states = States(path=tmp_path / "state.safetensors", key="a", every_s=0)
    first = little_loop(half=half, states=states)
    stopping(first, after)
    with pytest.raises(Stopped):
        first.run()
    told: list[str] = []
    second = little_loop(half=half, states=states, tell=told.append)
    assert second.run() == result
    assert states.path.exists() and (after == 0 or told[0].startswith(f"training goes on from epoch {1 + after // 7}"))
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole), weights_of(second), strict=True))
    states.remove()
    assert states.read() is None


def test_a_training_that_looks_at_no_validation_side_goes_on_as_well(tmp_path: Path) -> None:
    whole = little_loop(blind=3)
    whole.run()
    states = States(path=tmp_path / "state.safetensors", key="a", every_s=0)
    first = little_loop(blind=3, states=states)
    stopping(first, 9)
    with pytest.raises(Stopped):
        first.run()
    second = little_loop(blind=3, states=states)
    assert [trained for trained, _ in second.run().curve] == [trained for trained, _ in whole.curve]
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole), weights_of(second), strict=True))


def test_a_state_of_other_inputs_or_a_damaged_one_is_refused_and_training_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    little_loop(states=States(path=path, key="a", every_s=0)).run()
    other = States(path=path, key="b", every_s=1e9)
    with pytest.raises(CheckpointError, match="training on other inputs"):
        other.read()
    told: list[str] = []
    again = little_loop(states=other, tell=told.append)
    assert again.run() == little_loop().run() and "other inputs or numbers; remove it; training begins anew" in told[0]
    wider = little_loop(states=States(path=path, key="a", every_s=1e9), width=5, tell=told.append)
    assert wider.run().epochs and any("another network" in each for each in told)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="no state of a training"):
        other.read()


def test_steps_of_several_batches_are_the_steps_of_one_batch_of_all_of_them() -> None:
    one, several = little_loop(dropout=0.0, batch=4, accumulate=1), little_loop(dropout=0.0, batch=2, accumulate=2)
    assert np.allclose(one.run().curve, several.run().curve, atol=1e-5)


def test_gradients_of_a_checkpointed_layer_are_those_of_one_that_keeps_everything() -> None:
    numbers = Investigator(width=8, heads=2, row_tokens=8, dropout=0.2)
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        network = LogEncoder(replace(numbers, checkpointing=checkpointing), 20, WIDTHS)
        torch.manual_seed(1)
        network(little_batch(2, 3, 20, 8, 6)).square().sum().backward()
        found.append([each.grad for each in network.parameters() if each.grad is not None])
    assert found[0] and all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_step_whose_gradients_are_no_numbers_is_left_out_and_the_scale_falls() -> None:
    loop = little_loop(half=torch.float16)
    before, scale = weights_of(loop), loop.scaler.get_scale()
    loop.scaler.scale(sum(each.sum() for each in loop.network.parameters()) * torch.inf).backward()
    loop._step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(loop), strict=True))
    assert loop.scaler.get_scale() == scale / 2 and loop.done == 1


def test_gradients_of_all_processes_are_summed_and_what_none_has_used_stays_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other process has the same gradients, and one more that this one lacks."""

    def all_reduce(tensor: torch.Tensor, op: object = None) -> None:
        if tensor.dtype == torch.uint8:
            tensor[1] = 1
        else:
            tensor *= 2

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(world_module, "_BUCKET", 10)
    parameters = [torch.nn.Parameter(torch.zeros(3)) for _ in range(3)]
    parameters[0].grad = torch.tensor([1.0, 2.0, 3.0])
    two = World(rank=1, size=2)
    two.sum_gradients(parameters, torch.device("cpu"))
    assert parameters[0].grad.tolist() == [2.0, 4.0, 6.0] and parameters[2].grad is None
    assert parameters[1].grad is not None and parameters[1].grad.tolist() == [0.0, 0.0, 0.0]
    assert two.total(1.5, torch.device("cpu")) == 3.0 and not two.first
    assert two.share([[5], [6], [7], [8]]) == [(1, [6]), (3, [8])]


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", LITTLE, out],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    alone = little_loop(batch=2, accumulate=3).run()
    assert np.allclose(json.loads(out.read_text()), alone.curve, atol=1e-5) and len(alone.curve) > 2


def test_a_plan_keeps_to_the_budget_and_names_everything_once() -> None:
    steps = plan([2, 0, 1, 3], [5, 6, 20, 1], 12, accumulate=2)
    assert steps == [[[2], [0, 1, 3]]]
    assert plan([2, 0, 1, 3], [5, 6, 20, 1], 11, accumulate=2) == [[[2], [0, 1]], [[3]]]


def test_a_long_order_is_shuffled_in_blocks_of_neighbours() -> None:
    order = shuffled(5000, np.random.default_rng(0))
    assert sorted(order) == list(range(5000))
    assert len({place // 64 for place in order[:1000]}) <= 17  # of 79 blocks
    assert (
        sorted(shuffled(10, np.random.default_rng(0))) == list(range(10))
        and len(shuffled(0, np.random.default_rng(0))) == 0
    )


def test_what_does_not_fit_in_memory_is_kept_in_a_file_and_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make(place: int) -> list[bytes]:
        made.append(place)
        return [b"x" * 50, bytes([place])]

    kept = Kept(make, list[bytes], CacheBudget(60), tmp_path)
    assert [kept[place] for place in (0, 1, 2, 1, 0, 2)] == [
        [b"x" * 50, bytes([place])] for place in (0, 1, 2, 1, 0, 2)
    ]
    assert made == [0, 1, 2] and not list(tmp_path.iterdir())


def test_what_is_made_ahead_comes_in_order_and_its_failure_is_the_askers() -> None:
    assert list(prefetched(lambda n: n * n, range(20))) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(prefetched(lambda n: 1 // n, [1, 0]))
    asked: list[int] = []
    some = prefetched(lambda n: asked.append(n) or n, range(1000), ahead=2)
    assert next(some) == 0
    some.close()  # type: ignore[attr-defined]
    assert len(asked) < 10
