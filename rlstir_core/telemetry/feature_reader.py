"""Stored summary features, an episode at a time; one Parquet file of a host is held at once.

What does not belong here: making them (`store.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.errors import SchemaMismatch, UpstreamMissing
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import read_ledger
from rlstir_core.telemetry.store import feature_input_sha256

# W windows, F feature columns


class FeatureReader:
    """Reads the columns it was made for. Episodes in the order of `place` open every file once."""

    def __init__(self, layout: Layout, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._layout = layout
        self._files: dict[str, dict[str, tuple[str, str]]] = {}  # host: episode: (file, what it was made from)
        self._open: tuple[str, str] = ("", "")
        self._held: dict[str, NDArray[np.float32]] = {}

    def place(self, host: str, episode: str) -> tuple[str, str, str]:
        """Where the episode lies: a sort key."""
        return host, self._of_host(host).get(episode, ("", ""))[0], episode

    def read(self, host: str, episode: str, tensor_sha256: str) -> NDArray[np.float32]:
        """The columns of every window of the episode, (W, F); UpstreamMissing where they are not there or stale."""
        name, made_from = self._of_host(host).get(episode, ("", ""))
        path = self._layout.features(host) / name
        if made_from != feature_input_sha256(tensor_sha256) or not path.is_file():
            raise UpstreamMissing(
                f"the features of host {host!r} are missing or out of date for episode {episode}; make them with: "
                f"{how_to_make('window_features')}"
            )
        if self._open != (host, name):
            try:
                table = pq.ParquetFile(path).read(columns=["episode_id", "window", *self.columns], use_threads=False)
                x_NF = np.stack([table[column].to_numpy() for column in self.columns], axis=1).astype(np.float32)
            except (pa.ArrowException, KeyError, OSError) as error:
                raise SchemaMismatch(
                    f"the features of host {host!r} were made under another schema ({error}); make them again with: "
                    f"{how_to_make('window_features')}"
                ) from None
            episode_N = table["episode_id"].to_numpy(zero_copy_only=False).astype(str)
            self._held = {str(each): x_NF[episode_N == each] for each in np.unique(episode_N)}
            self._open = (host, name)
        return self._held[episode]

    def _of_host(self, host: str) -> dict[str, tuple[str, str]]:
        if host not in self._files:
            ledger = read_ledger(self._layout.features(host))
            self._files[host] = {e: (name, key) for name, held in ledger.items() for e, key in held.items()}
        return self._files[host]
