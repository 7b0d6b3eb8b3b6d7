"""A sound checkpoint whose parts a case may damage, and the damage that several kinds of case do.

What does not belong here: the cases.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlstir_core.atomic import file_sha256
from rlstir_core.detectors.inputs import Inputs, InputSchema, SequenceInputs, SummaryInputs, Windows
from rlstir_core.detectors.models import MODELS

ATTACKED = ("gbt", "mlp", "gru", "transformer")


def inputs_of(kind: str, seed: int, n: int = 60) -> Inputs:
    rng = np.random.default_rng(seed)
    label_N = np.arange(n) % 3
    windows = Windows(
        episodes=("ep-a",),
        episode_N=np.zeros(n, np.int64),
        window_N=np.arange(n),
        label_N=label_N,
        purity_N=np.ones(n, np.float32),
        seconds_seen_N=np.arange(n, dtype=np.float64),
        since_onset_N=np.full(n, np.nan),
    )
    if kind == "summary":
        x_NF = rng.normal(0, 1, (n, 6)).astype(np.float32)
        x_NF[:, 0] += 4 * label_N
        return SummaryInputs(windows=windows, x_NF=x_NF)
    series_TD = rng.normal(0, 1, (n * 20, 4)).astype(np.float32)
    return SequenceInputs(windows=windows, series_TD=series_TD, start_N=np.arange(n) * 20, length=20, n_levels=2)


def schema_of(kind: str) -> InputSchema:
    columns = tuple(f"c{i}" for i in range(6 if kind == "summary" else 4))
    return InputSchema(
        feature_schema_sha256="f" * 64,
        mode="realistic",
        kind=kind,
        channels=columns[:2],
        columns=columns,
        phases=("calm", "armed", "attack"),
    )


@dataclass
class Victim:
    """A checkpoint with one member that a case may damage."""

    folder: Path
    model: str

    @property
    def json(self) -> Path:
        return self.folder / f"{self.model}_realistic.ckpt.json"

    @property
    def sidecar(self) -> Path:
        return self.folder / f"{self.model}_realistic.0{MODELS[self.model].build().suffix}"

    @property
    def mark(self) -> Path:
        """The file that a pickle makes when it is loaded."""
        return self.folder / "code-was-run"

    def lie(self, change: Callable[[dict[str, Any]], object]) -> None:
        tree = json.loads(self.json.read_bytes())
        change(tree)
        self.json.write_text(json.dumps(tree))

    def vouch(self) -> None:
        """Makes the JSON carry the hash of the sidecar that lies there."""
        digest = file_sha256(self.sidecar)
        self.lie(lambda tree: tree["members"][0].update(sidecar_sha256=digest))

    def put(self, raw: bytes) -> None:
        self.sidecar.unlink()
        self.sidecar.write_bytes(raw)
        self.vouch()


class Bait:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


Damage = Callable[[Victim], object]
Cases = dict[str, tuple[str, Damage, str]]  # by name: the model, what is done to it, what the refusal says


def cut(share: float) -> Damage:
    return lambda v: v.put(v.sidecar.read_bytes()[: int(share * v.sidecar.stat().st_size)])


def as_torch_save(v: Victim) -> None:
    made = io.BytesIO()
    torch.save(Bait(v.mark), made)
    assert made.getvalue().startswith(b"PK")
    v.put(made.getvalue())


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
