"""A device for each step, all of them where a step asks, free again however it ends: with devices in name only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from rlstir_assets.gpu.lease import VISIBLE, leased, visible_devices

STEP = """
import os, sys, time
from rlstir_assets.gpu.lease import leased
with leased(lambda _: None, every=sys.argv[1] == "every") as mine:
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(mine)
    print("has", *mine, time.monotonic(), flush=True)
    time.sleep(float(sys.argv[2]))
    print("gives", *mine, time.monotonic(), flush=True)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(VISIBLE, "0,GPU-b")
    return tmp_path


def step(how: str = "one", seconds: float = 0.3) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", STEP, how, str(seconds)], stdout=subprocess.PIPE, text=True)


def spans(steps: list[subprocess.Popen[str]]) -> list[tuple[tuple[str, ...], float, float]]:
    """The devices of each step, and from when until when it had them."""
    found = []
    for each in steps:
        said = each.communicate(timeout=60)[0].splitlines()
        assert each.returncode == 0 and len(said) == 2
        (*_, since), (_, *mine, until) = (line.split() for line in said)
        found.append((tuple(mine), float(since), float(until)))
    return found


def test_six_steps_share_two_devices_and_none_is_used_twice_at_once() -> None:
    used = defaultdict(list)
    for (device,), since, until in spans([step() for _ in range(6)]):
        used[device].append((since, until))
    assert set(used) == {"0", "GPU-b"}
    for each in used.values():
        ordered = sorted(each)
        assert all(until <= since for (_, until), (since, _) in pairwise(ordered))


def test_a_step_that_asks_for_all_waits_for_both_and_lets_the_others_go_on() -> None:
    first = [step(seconds=1.0) for _ in range(2)]
    for each in first:
        assert each.stdout is not None
        each.stdout.readline()
    whole = step("every", 0.2)
    time.sleep(0.7)  # it has asked by now, or comes later and has to wait as well
    later = [step() for _ in range(2)]
    held = spans([whole, *later])
    (mine, since, until), *others = held
    assert mine == ("0", "GPU-b")
    assert all(end <= since or begin >= until for _, begin, end in others)
    for each in first:
        each.communicate(timeout=60)


def test_a_device_is_free_once_its_step_was_killed() -> None:
    dead = [step(seconds=60) for _ in range(2)]
    for each in dead:
        assert each.stdout is not None
        each.stdout.readline()
        each.send_signal(signal.SIGKILL)
        each.communicate()
    assert spans([step("every", 0.0)])[0][0] == ("0", "GPU-b")


def test_cuda_sees_the_leased_device_alone_and_all_of_them_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_devices() == ("0", "GPU-b")
    with leased(lambda _: None) as mine:
        assert mine == ("0",) and os.environ[VISIBLE] == "0"
    assert os.environ[VISIBLE] == "0,GPU-b"
    monkeypatch.setenv(VISIBLE, "")
    with leased(lambda _: None, every=True) as none:
        assert none == () and os.environ[VISIBLE] == ""
