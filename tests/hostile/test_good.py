"""The other side of strictness: what the generator makes is never refused."""

from __future__ import annotations

import collections

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.validation.validate import validate_store
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions


def test_no_generated_episode_is_rejected(tmp_path):
    generate_store(tmp_path / "store", episodes=60, options=LabOptions(duration_s=20.0, seed=11))
    found = dict(validate_store(tmp_path / "store", registry=load_registry(tmp_path / "store")))
    reasons = collections.Counter(reason for verdict in found.values() for reason in verdict.reasons)
    assert len(found) == 60
    assert {verdict.verdict for verdict in found.values()} <= {"ok", "degraded"}
    assert set(reasons) <= {"channel.missing"}  # a host that does not record every source
    faults = read_index(tmp_path / "store").faults
    assert {fault.reason for fault in faults} <= {"index.torn"}  # which the generator writes on purpose
