"""Equal inputs give equal results as long as a stage's version stays: a change of bytes asks for its number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stages

from rlstir_core.results.versions import VERSIONS

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).with_name("stages.json")
_REL, _ABS = 1e-3, 1e-4  # what another processor's sums may differ by


@pytest.fixture(scope="module")
def found(driven: Any) -> dict[str, Any]:
    return {stage: {"version": VERSIONS[stage], "digest": d} for stage, d in stages.digests(driven).items()}


@pytest.fixture(scope="module")
def golden(found: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.config.getoption("--write-golden"):
        lines = (f" {json.dumps(stage)}: {json.dumps(found[stage])}" for stage in sorted(found))
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return dict(json.loads(GOLDEN.read_text()))


def verdict(stage: str, golden: dict[str, Any], found: dict[str, Any]) -> str:
    """What is wrong with a stage, or nothing."""
    same = golden["digest"] == found["digest"]
    if not same and not isinstance(found["digest"], str) and not isinstance(golden["digest"], str):
        one, other = np.asarray(golden["digest"]), np.asarray(found["digest"])
        same = one.shape == other.shape and np.allclose(one, other, rtol=_REL, atol=_ABS)
    if same and golden["version"] == found["version"]:
        return ""
    if golden["version"] == found["version"]:
        return (
            f"stage {stage} gives other results for the same input: raise VERSION of {stage} in "
            "rlstir_core/results/versions.py, then write the golden file with --write-golden"
        )
    return f"VERSION of {stage} was raised: write the golden file with --write-golden"


def test_a_stage_that_gives_other_bytes_has_a_new_version(golden: dict[str, Any], found: dict[str, Any]) -> None:
    assert golden.keys() == found.keys()
    wrong = [words for stage in found if (words := verdict(stage, golden[stage], found[stage]))]
    assert not wrong, "\n".join(wrong)


def test_changed_bytes_ask_for_the_stages_number_by_name() -> None:
    before, after = {"version": 2, "digest": "a"}, {"version": 2, "digest": "b"}
    assert "raise VERSION of graph" in verdict("graph", before, after)
    assert "was raised" in verdict("graph", before, after | {"version": 3})
    near = {"version": 1, "digest": [1.0]}, {"version": 1, "digest": [1.0 + 1e-5]}
    assert verdict("tensors", *near) == ""
    assert "raise VERSION of tensors" in verdict("tensors", near[0], {"version": 1, "digest": [1.1]})
