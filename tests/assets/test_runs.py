"""What becomes of a run that a person stops, and what the driver says of one that a check stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets import definitions
from rlstir_assets.assets.ingest import episode_index
from rlstir_assets.console import Console
from rlstir_assets.driver import runs

pytestmark = pytest.mark.slow
assert definitions.defs  # loaded here, where what Dagster calls beta is no error


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


@dg.asset(check_specs=[dg.AssetCheckSpec("fits", asset="measured", blocking=True)])
def measured() -> dg.MaterializeResult:
    failed = dg.AssetCheckResult(check_name="fits", passed=False, metadata={"detail": "3 of 4 lie outside"})
    return dg.MaterializeResult(check_results=[failed])


@dg.asset
def broken() -> None:
    raise ValueError("a defect")


def driven_by(
    execute: Any, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> BaseException:
    """What `run_assets` raises where Dagster's execution is `execute`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dg, "execute_job", execute)
    monkeypatch.setattr(runs, "start_steps", lambda **_: None)  # nothing would use that server
    with pytest.raises((runs.RunFailed, KeyboardInterrupt)) as raised:
        runs.run_assets(
            instance,
            [episode_index.key],
            partitions=(),
            config={},
            console=Console(quiet=True),
            title="index",
            train=False,
        )
    return raised.value


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_a_person_stops_is_cancelled_and_no_failure(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, signal_number: signal.Signals
) -> None:
    before = signal.getsignal(signal_number)

    def execute(*_: Any, tags: dict[str, str], **__: Any) -> dg.ExecuteInProcessResult:
        signal.signal(signal_number, lambda *_: None)  # Dagster has a handler of its own while it works
        os.kill(os.getpid(), signal_number)
        return dg.materialize([broken], instance=instance, tags=tags, raise_on_error=False)  # what is left of it

    try:
        assert isinstance(driven_by(execute, instance, monkeypatch, tmp_path), KeyboardInterrupt)
    finally:
        signal.signal(signal_number, before)
    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert signal.set_wakeup_fd(-1) == -1  # and nothing listens any more


def test_a_defect_is_a_failure_and_no_cancellation(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def execute(*_: Any, tags: dict[str, str], **__: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize([broken], instance=instance, tags=tags, raise_on_error=False)

    assert "broken failed: ValueError: a defect" in str(driven_by(execute, instance, monkeypatch, tmp_path))
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]


def test_a_blocking_check_that_does_not_hold_is_told_with_its_detail(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def execute(*_: Any, tags: dict[str, str], **__: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize([measured], instance=instance, tags=tags, raise_on_error=False)

    sentence = str(driven_by(execute, instance, monkeypatch, tmp_path))
    assert sentence.startswith("measured fails its check fits: 3 of 4 lie outside; `make ui` shows run ")
