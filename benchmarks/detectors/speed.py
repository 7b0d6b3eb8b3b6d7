"""Windows a second of training and scoring every detector, beside plain PyTorch and XGBoost that do the same work.

Both start from the same recordings. The references standardise and cut them with NumPy and train the very same network:
a DataLoader over a TensorDataset, AdamW, clipped gradients, the same schedule, validation after every epoch, the best
weights kept; or the very same trees: `xgboost.Booster` on a QuantileDMatrix with the same looks at validation. CPU
seconds of one thread, the best of some turns taken in alternation.
Usage: python -m benchmarks.detectors.speed [--quick] [--device cuda] [--preset NAME]
"""

# N windows, L bins, D input rows, F columns, K phases, T bins of a series
from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xgboost as xgb
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rlstir_core.detectors.blocks import Blocks, one_block
from rlstir_core.detectors.inputs import SequenceInputs, SummaryInputs, Windows
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.models.gbt import GradientBoostedTrees
from rlstir_core.detectors.models.neural import NeuralDetector
from rlstir_core.learning.devices import device
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.loop import warm_cosine
from rlstir_core.learning.presets import Preset, preset
from rlstir_core.learning.scores import look

BAR = 1.0
_LENGTH, _STRIDE, _LEVELS, _COLUMNS, _PHASES = 100, 50, 21, 1_000, 5
_SCORED = 512


def _windows(label_N: np.ndarray) -> Windows:
    n = len(label_N)
    return Windows(
        episodes=("ep",),
        episode_N=np.zeros(n, np.int64),
        window_N=np.arange(n),
        label_N=label_N,
        purity_N=np.ones(n, np.float32),
        seconds_seen_N=np.arange(n, dtype=np.float64),
        since_onset_N=np.full(n, np.nan),
    )


def _sequences(n: int, seed: int) -> SequenceInputs:
    rng = np.random.default_rng(seed)
    series_TD = rng.normal(8, 2, (_STRIDE * (n - 1) + _LENGTH, 2 * _LEVELS)).astype(np.float32)
    series_TD[rng.random(series_TD.shape) < 0.02] = np.nan
    label_N = rng.integers(0, _PHASES, n)
    start_N = np.arange(n, dtype=np.int64) * _STRIDE
    return SequenceInputs(
        windows=_windows(label_N), series_TD=series_TD, start_N=start_N, length=_LENGTH, n_levels=_LEVELS
    )


def _summaries(n: int, seed: int) -> SummaryInputs:
    rng = np.random.default_rng(seed)
    x_NF = rng.normal(8, 2, (n, _COLUMNS)).astype(np.float32)
    x_NF[rng.random(x_NF.shape) < 0.02] = np.nan
    return SummaryInputs(windows=_windows(rng.integers(0, _PHASES, n)), x_NF=x_NF)


def _blocks(inputs: SequenceInputs | SummaryInputs) -> Blocks:
    blocks = one_block(inputs, _PHASES)
    blocks.budget = CacheBudget(1 << 30)
    return blocks


def _plain_scale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of every column, of what is known."""
    return np.nanmean(x, axis=0), np.nanstd(x, axis=0)


def _plain_windows(inputs: SequenceInputs | SummaryInputs, scale: tuple[np.ndarray, np.ndarray]) -> Tensor:
    """Every window by itself, standardised, with the mask beside it: what a plain DataLoader is given."""
    if isinstance(inputs, SummaryInputs):
        return torch.as_tensor(np.nan_to_num(np.clip((inputs.x_NF - scale[0]) / scale[1], -8, 8)))
    known_TD = np.isfinite(inputs.series_TD[:, : inputs.n_levels]).astype(np.float32)
    z_TD = np.nan_to_num(np.clip((inputs.series_TD - scale[0]) / scale[1], -8, 8))
    joined_TD = np.concatenate([z_TD, known_TD], axis=1)
    cut_NDL = np.lib.stride_tricks.sliding_window_view(joined_TD, inputs.length, axis=0)[inputs.start_N]
    return torch.as_tensor(np.ascontiguousarray(cut_NDL.transpose(0, 2, 1)))


def _raw(inputs: SequenceInputs | SummaryInputs) -> np.ndarray:
    return inputs.x_NF if isinstance(inputs, SummaryInputs) else inputs.series_TD


Inputs = SequenceInputs | SummaryInputs


def _plain_fit(network: nn.Module, train: Inputs, held: Inputs, numbers: Preset) -> None:
    training = numbers.train
    scale = _plain_scale(_raw(train))
    x_N, held_x = _plain_windows(train, scale), _plain_windows(held, scale)
    y_N = torch.as_tensor(train.windows.label_N)
    on = next(network.parameters()).device
    loader = DataLoader(TensorDataset(x_N, y_N), training.batch, shuffle=True, pin_memory=on.type == "cuda")
    total = training.epochs * len(loader)
    optimiser = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_cosine(step, total, training.warm_up))
    loss_of = nn.CrossEntropyLoss(weight=torch.ones(_PHASES, device=on))
    best, kept = (-1.0, -math.inf), {}
    for _ in range(training.epochs):
        network.train()
        for x_B, y_B in loader:
            loss = loss_of(network(x_B.to(on, non_blocking=True)), y_B.to(on, non_blocking=True))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        now = look([held.windows.label_N], [_plain_predict(network, held_x, 4 * training.batch)])
        if now > best:
            best, kept = now, {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)


@torch.no_grad()
def _plain_predict(network: nn.Module, x_N: Tensor, batch: int) -> np.ndarray:
    network.eval()
    on = next(network.parameters()).device
    loader = DataLoader(TensorDataset(x_N), batch)
    return np.concatenate([torch.softmax(network(x_B.to(on)).double(), dim=1).cpu().numpy() for (x_B,) in loader])


def _seconds(on: torch.device, work: Callable[[], Any]) -> float:
    """CPU seconds on the CPU, seconds of the clock on a device."""
    clock = time.perf_counter if on.type == "cuda" else time.process_time
    if on.type == "cuda":
        torch.cuda.synchronize()
    began = clock()
    work()
    if on.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def neural(model: str, numbers: Preset, n: int, turns: int) -> dict[str, float]:
    """Windows a second, ours and plain."""
    make = _sequences if MODELS[model].kind == "sequence" else _summaries
    train, held = make(n, 0), make(n // 4, 1)
    on = device(numbers.train.device)
    ours = MODELS[model].build()
    assert isinstance(ours, NeuralDetector)
    ours.fit([_blocks(train)], [_blocks(held)], _PHASES, numbers, lambda _: None)  # once, so that both start warm
    scale = _plain_scale(_raw(train))
    spent: dict[str, list[float]] = {"fit": [], "plain fit": [], "score": [], "plain score": []}
    for _ in range(turns):
        network = ours.build(ours.settings["n_inputs"], _PHASES, numbers.net).to(on)
        spent["plain fit"].append(_seconds(on, lambda net=network: _plain_fit(net, train, held, numbers)))
        spent["fit"].append(
            _seconds(on, lambda: ours.fit([_blocks(train)], [_blocks(held)], _PHASES, numbers, lambda _: None))
        )
        spent["plain score"].append(
            _seconds(on, lambda net=network: _plain_predict(net, _plain_windows(train, scale), _SCORED))
        )
        spent["score"].append(_seconds(on, lambda: ours.predict_proba(train)))
    return _figures(spent, n * numbers.train.epochs, n)


def trees(numbers: Preset, n: int, turns: int) -> dict[str, float]:
    """Windows a second of XGBoost through ours and by itself."""
    train, held = _summaries(n, 0), _summaries(n // 4, 1)
    settings = numbers.trees
    ours = GradientBoostedTrees()
    parameters = {
        "objective": "multi:softprob",
        "num_class": _PHASES,
        "max_depth": settings.depth,
        "eta": settings.learning_rate,
        "subsample": settings.subsample,
        "colsample_bytree": settings.columns,
        "min_child_weight": settings.min_child_weight,
        "lambda": settings.l2,
        "tree_method": "hist",
        "max_bin": 64,
        "nthread": 1,
    }
    kept: list[xgb.Booster] = []

    def plain() -> None:
        data = xgb.QuantileDMatrix(train.x_NF, label=train.windows.label_N, max_bin=64, nthread=1)
        seen = xgb.DMatrix(held.x_NF, nthread=1)
        booster = xgb.Booster(parameters, [data])
        for done in range(settings.rounds):
            booster.update(data, done)
            if done % 10 == 9:
                look([held.windows.label_N], [booster.predict(seen)])
        kept[:] = [booster]

    def fit() -> None:
        ours.fit([_blocks(train)], [_blocks(held)], _PHASES, numbers, lambda _: None)

    on = torch.device("cpu")
    spent: dict[str, list[float]] = {"fit": [], "plain fit": [], "score": [], "plain score": []}
    for _ in range(turns):
        spent["plain fit"].append(_seconds(on, plain))
        spent["fit"].append(_seconds(on, fit))
        grown = xgb.Booster()
        grown.load_model(bytearray(ours.booster.save_raw("ubj")))  # type: ignore[union-attr]
        grown.set_param({"nthread": 1})
        spent["plain score"].append(_seconds(on, lambda b=grown: b.predict(xgb.DMatrix(train.x_NF, nthread=1))))
        spent["score"].append(_seconds(on, lambda: ours.predict_proba(train)))
    return _figures(spent, n * settings.rounds, n)


def _figures(spent: dict[str, list[float]], trained: int, scored: int) -> dict[str, float]:
    best = {name: min(seconds) for name, seconds in spent.items()}
    return {
        "training, windows/s": round(trained / best["fit"]),
        "plain training, windows/s": round(trained / best["plain fit"]),
        "training ratio": round(best["plain fit"] / best["fit"], 3),
        "scoring, windows/s": round(scored / best["score"]),
        "plain scoring, windows/s": round(scored / best["plain score"]),
        "scoring ratio": round(best["plain score"] / best["score"], 3),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--preset", default="smoke")
    options = parser.parse_args(argv)
    n, epochs, turns, rounds = (1_000, 3, 3, 60) if options.quick else (4_000, 4, 5, 100)
    numbers = preset(options.preset)
    numbers = replace(
        numbers,
        train=replace(numbers.train, epochs=epochs, patience=10_000, device=options.device),
        trees=replace(numbers.trees, rounds=rounds),
    )
    rows = {name: neural(name, numbers, n, turns) for name, spec in MODELS.items() if spec.device == "gpu"}
    rows["gbt"] = trees(numbers, n, turns)
    ratios = [row[name] for row in rows.values() for name in ("training ratio", "scoring ratio")]
    result = {"device": options.device, "windows": n, "models": rows, "bar": BAR, "passed": min(ratios) >= BAR}
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
