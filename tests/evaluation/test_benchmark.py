"""The bootstrap benchmark: it runs, and both ways give the same figures."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bootstrap.py"


def test_the_bootstrap_and_a_loop_over_f1_score_agree_on_the_same_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spec = importlib.util.spec_from_file_location("bootstrap_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.main(["--quick", "--out", str(tmp_path / "bootstrap.json")])
    assert result["max_abs_difference"] <= 1e-6 and result["agrees"]
    assert result["ratio"] > 1
    assert json.loads(capsys.readouterr().out) == result == json.loads((tmp_path / "bootstrap.json").read_text())
