"""A detector of somebody else, as three tables without a fault, into which tests plant one each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlstir_core.audit.findings import Audit, Checked
from rlstir_core.audit.run import audit

EPISODES, ROWS, HOSTS = 240, 8, 12
CLASSES = np.array(["benign", "malware"])


@dataclass
class Tables:
    """Columns by table; tests change them before they are written."""

    folder: Path
    rng: np.random.Generator
    predictions: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    episodes: dict[str, Any] = field(default_factory=dict)

    @property
    def of_row(self) -> np.ndarray:
        """The episode of each row."""
        return np.repeat(np.arange(EPISODES), ROWS)

    def on(self, side: str) -> np.ndarray:
        return np.flatnonzero(np.array(self.split["side"]) == side)

    def rows_on(self, side: str) -> np.ndarray:
        return np.isin(self.of_row, self.on(side))

    def decide(self, threshold: float) -> None:
        self.predictions["predicted"] = CLASSES[(self.predictions["score"] >= threshold).astype(int)]

    def paths(self) -> list[Path]:
        found = []
        for name in ("predictions", "split", "episodes"):
            columns = getattr(self, name)
            if columns:
                pq.write_table(pa.table(columns), self.folder / f"{name}.parquet")
                found.append(self.folder / f"{name}.parquet")
        return found

    def audit(self, **options: Any) -> Audit:
        return audit(*self.paths(), **options)

    def check(self, name: str, **options: Any) -> Checked:
        """The finding of one check."""
        return {each.check: each for each in self.audit(**options).checks}[name]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Hosts apart, labels by episode, a threshold that nobody chose, features and metadata that give nothing away."""
    rng = np.random.default_rng(0)
    name = np.array([f"run-{e:03d}" for e in range(EPISODES)])
    host = np.arange(EPISODES) % HOSTS
    made = Tables(tmp_path, rng)
    y = rng.permutation(np.arange(EPISODES) % 2)[made.of_row]
    logit = (2 * y - 1) * 1.2 + rng.normal(0, 0.6, EPISODES)[made.of_row] + rng.normal(0, 0.8, len(y))
    score = 1 / (1 + np.exp(-logit))
    made.predictions = {"episode": name[made.of_row], "label": CLASSES[y], "score": score}
    made.predictions["time_s"] = np.tile(np.arange(ROWS) * 5.0, EPISODES)
    made.decide(0.5)
    side = np.where(host < 6, "test", np.where(host < 8, "validation", "train"))
    made.split = {"episode": name, "side": side, "host": np.char.add("host-", host.astype(str))}
    made.episodes = {"episode": name, "start_time": rng.random(EPISODES), "os": CLASSES[rng.integers(0, 2, EPISODES)]}
    made.episodes |= {f"feature_{f}": rng.normal(size=EPISODES) for f in range(6)}
    return made
