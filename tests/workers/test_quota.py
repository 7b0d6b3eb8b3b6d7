"""No more cores are used than a container may use."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rlstir_core.workers import quota as quotas
from rlstir_core.workers.quota import cores, quota


def said(tmp_path: Path, groups: str, **files: str) -> float:
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "mounted" / name.replace("__", "/").replace("_max", ".max").replace("cfs_", "cpu.cfs_", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return quota(tmp_path / "groups", tmp_path / "mounted")


def test_the_narrowest_group_above_a_process_counts(tmp_path: Path) -> None:
    found = said(tmp_path, "0::/pods/mine\n", pods__mine__cpu_max="max 100000\n", pods__cpu_max="150000 100000\n")
    assert found == 1.5


def test_a_container_that_sees_its_own_group_as_the_root_is_limited(tmp_path: Path) -> None:
    assert said(tmp_path, "0::/../outside/of/it\n", cpu_max="200000 100000\n") == 2


def test_the_older_version_of_groups_is_read(tmp_path: Path) -> None:
    groups = "9:name=systemd:/\n4:memory:/x\n2:cpu,cpuacct:/job\n"
    found = said(tmp_path, groups, cpu__job__cfs_quota_us="300000\n", cpu__job__cfs_period_us="100000\n")
    assert found == 3


@pytest.mark.parametrize("groups", ["0::/\n", "1:cpu:/\n", "4:memory:/x\n", ""])
def test_without_a_limit_there_is_none(tmp_path: Path, groups: str) -> None:
    limits = {"cpu_max": "max 100000\n", "cpu__cfs_quota_us": "-1\n", "cpu__cfs_period_us": "100000\n"}
    assert said(tmp_path, groups, **limits) == math.inf
    assert quota(tmp_path / "none", tmp_path) == math.inf


@pytest.mark.parametrize(("allowed", "expected"), [(math.inf, 6), (1.5, 2), (0.2, 1), (64.0, 6)])
def test_cores_are_those_of_the_quota_rounded_up(
    monkeypatch: pytest.MonkeyPatch, allowed: float, expected: int
) -> None:
    monkeypatch.setattr(quotas.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(quotas, "quota", lambda *_: allowed)
    assert cores() == expected
