"""Scoring reads a tarball that no index vouches for: every hostile one is opened or refused in one plain sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hostile_corpus import CASES
from hostile_corpus.store import write_case

from rlstir_core.contract.registry import default_registry
from rlstir_core.detectors.single import IndexClaim, open_single
from rlstir_core.errors import StoreError
from rlstir_core.telemetry.schema import make_schema


def test_every_hostile_tarball_is_opened_or_refused_in_one_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    registry = default_registry()
    schema = make_schema(registry)
    opened, refused = 0, 0
    for case in CASES:
        if not case.alone or case.heavy:
            continue
        path = tmp_path / "e.tar.zst"
        write_case(path, case)
        try:
            single = open_single(path, IndexClaim(), registry, schema)
        except StoreError as error:
            assert str(error).isprintable() and len(str(error)) < 1_000, case.name
            refused += 1
        else:
            assert single.verdict.detail.isascii() and not single.decoded.labels
            assert single.x_CT.shape[1] == single.recording.n_bins and not np.isinf(single.x_CT).any()
            opened += 1
        path.unlink(missing_ok=True)
        assert not list(tmp_path.iterdir())
    assert opened > 20 and refused > 80
