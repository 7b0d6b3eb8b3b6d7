"""One Dagster run after another, as the UI would make them, with their events followed.

The same executor and the same instance as the UI: `execute_job` on the implicit asset job. What does not
belong here: which assets need a run (`plan.py`).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

# What the `dagster` command line does to run a selection of assets has no public name.
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.errors import DagsterExecutionInterruptedError

from rlstir_assets.console import Console
from rlstir_assets.executor import GPU_POOL, start_steps
from rlstir_assets.home import RECORDS, home_folder
from rlstir_core.errors import RlstirError, StoreError
from rlstir_core.results.lock import holding, is_held

if TYPE_CHECKING:
    from dagster._core.execution.plan.objects import StepFailureData  # what an event carries; no public name

_POLL_S = 0.5
_COUNTED = re.compile(r"(\d{1,9})/(\d{1,9})$")  # how progress ends what a step says
# Documented tags and states, of which only the values are public.
_PARTITION = "dagster/partition"
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_MODULE = "rlstir_assets.definitions"
_CHECKOUT = Path(__file__).resolve().parents[2]


class RunFailed(RlstirError):
    """A Dagster run that did not succeed, in the words of the step that failed."""


def run_assets(
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    *,
    partitions: Sequence[str],
    config: Mapping[str, Any],
    console: Console,
    title: str,
    train: bool,
) -> None:
    """Materializes `keys` in one run; `partitions` is empty, one key, or the ends of a range.

    `train` says that models will be trained, in this run or one that follows.
    """
    repository = ReconstructableRepository.for_module(_MODULE, "defs", os.fspath(_CHECKOUT))
    definition = repository.get_definition()
    job = definition.get_implicit_job_def_for_assets(list(keys))
    if job is None:
        raise RunFailed(
            f"no single run can make {', '.join(key.to_user_string() for key in keys)}; select fewer assets"
        )
    watcher = _Watcher(instance, console, title, len(keys))
    run_config = {
        "resources": {"settings": {"config": dict(config)}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    try:
        with _driver_log(), _alive(watcher.name), watcher, _noticing_interrupts() as interrupted:
            start_steps(train=train)
            result = dg.execute_job(
                ReconstructableJob(repository, job.name),
                instance=instance,
                asset_selection=list(keys),
                run_config=run_config,
                tags={**partition_tags(partitions), watcher.tag: watcher.name},
            )
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        _report_cancelled(instance, watcher.name)
        raise KeyboardInterrupt from None
    if not result.success and interrupted():
        _report_cancelled(instance, watcher.name)
        raise KeyboardInterrupt
    if not result.success:
        failures = _failures(instance, result.run_id)
        raise RunFailed(_sentence(result.run_id, failures, _failed_checks(instance, result.run_id)))


def _report_cancelled(instance: dg.DagsterInstance, name: str) -> None:
    """Says of the run with this tag that a person stopped it: Dagster takes an interrupt that it did not send for a
    failure."""
    for run in instance.get_runs(dg.RunsFilter(tags={_Watcher.tag: name})):
        if run.status not in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED):
            instance.report_run_canceled(run, "Interrupted by Ctrl-C; what was finished is kept.")


def clear_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fails the runs whose driver was killed, gives the pool slots of ended runs back, and names the former."""
    dead = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_IN_PROGRESS)):
        name = run.tags.get(_Watcher.tag)
        if name is not None and not is_held(_driver_lock(name)):
            instance.report_run_failed(run, "The process that drove this run was killed.")
            _driver_lock(name).unlink(missing_ok=True)
            dead.append(run.run_id[:8])
    pool = instance.event_log_storage.get_concurrency_info(GPU_POOL)
    for run_id in pool.active_run_ids | pool.pending_run_ids | pool.assigned_run_ids:
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return dead


@contextlib.contextmanager
def _noticing_interrupts() -> Iterator[Callable[[], bool]]:
    """Tells afterwards whether somebody interrupted this process: Dagster handles the signal itself, and where it
    hits a step or the fork server first, all that is left of it is an error of theirs."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        came = bytearray()  # the numbers of the signals
        try:
            yield lambda: signal.SIGINT in came or signal.SIGTERM in came
        finally:
            signal.set_wakeup_fd(before)
            with contextlib.suppress(BlockingIOError):
                came += ours.recv(4096)


@contextlib.contextmanager
def _alive(name: str) -> Iterator[None]:
    """Lets other drivers see that the process behind the run of this tag lives."""
    lock = _driver_lock(name)
    with holding(lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _driver_lock(name: str) -> Path:
    return _records() / "drivers" / f"{name}.lock"


def _records() -> Path:
    """The folder of the instance's records."""
    return home_folder() / RECORDS


@contextlib.contextmanager
def _driver_log() -> Iterator[None]:
    """Sends what this process and its steps write to standard error into a file: the events say it better."""
    path = _records() / "driver.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def partition_tags(partitions: Sequence[str]) -> dict[str, str]:
    """The tags by which Dagster knows the partitions of a run: none, one, or the ends of a range."""
    if not partitions:
        return {}
    if len(partitions) == 1:
        return {_PARTITION: partitions[0]}
    return {_RANGE_START: partitions[0], _RANGE_END: partitions[-1]}


@contextlib.contextmanager
def storage_refusals() -> Iterator[None]:
    """Turns a storage of Dagster that cannot be written (a full disk, a damaged file) into one sentence."""
    try:
        yield
    except Exception as error:
        from rlstir_assets.instance import POSTGRES, storage_fault

        if not (cause := storage_fault(error)):
            raise
        raise StoreError(
            f"Dagster's own records cannot be read or written ({cause}); look at the server that {POSTGRES} names, "
            "and run the command again"
            if os.environ.get(POSTGRES)
            else f"Dagster's own records under {_records()} cannot be read or written ({cause}); free some "
            "space or remove that folder, and run the command again"
        ) from None


def _failures(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, StepFailureData]]:
    """(step, what Dagster kept of its failure) of every failed step."""
    found = []
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = record.dagster_event
        if event is not None:
            found.append((record.step_key or "a step", event.step_failure_data))
    return found


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> dict[str, list[str]]:
    """{step: what each of its blocking checks found}, of the checks that do not hold."""
    found: dict[str, list[str]] = {}
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        if record.dagster_event is None:
            continue
        check = record.dagster_event.asset_check_evaluation_data
        if check.passed or not check.blocking or check.severity != dg.AssetCheckSeverity.ERROR:
            continue
        detail = check.metadata.get("detail")
        words = f"{check.asset_key.to_user_string()} fails its check {check.check_name}"
        found.setdefault(record.step_key or "", []).append(f"{words}: {detail.value}" if detail else words)
    return found


def _sentence(run_id: str, failures: Sequence[tuple[str, StepFailureData]], checks: Mapping[str, Sequence[str]]) -> str:
    """What the failed steps said: refusals first, in full; anything else with the place to look."""
    sentences: list[str] = []
    for step, failure in failures:
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            sentences.insert(0, failure.user_failure_data.description)
        elif step in checks:
            sentences += [f"{words}; `make ui` shows run {run_id[:8]}" for words in checks[step]]
        elif failure.error is not None:
            cause = failure.error.cause or failure.error
            sentences.append(f"{step} failed: {cause.message.strip()[:600]}; `make ui` shows run {run_id[:8]}")
    unique = list(dict.fromkeys(sentences))
    if not unique:
        return f"run {run_id[:8]} did not succeed; `make ui` shows why"
    more = f" (and {len(unique) - 1} more)" if len(unique) > 1 else ""
    return unique[0] + more


class _Watcher:
    """Follows the events of the run that carries its tag, from a thread of its own."""

    tag = "rlstir/driver"

    def __init__(self, instance: dg.DagsterInstance, console: Console, title: str, n_steps: int) -> None:
        self.name = f"{os.getpid()}-{time.time_ns()}"
        self._instance, self._console, self._title, self._n_steps = instance, console, title, n_steps
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._running: dict[str, _Step] = {}
        self._done = 0
        self._run_id: str | None = None
        self._cursor: str | None = None

    def __enter__(self) -> None:
        self._console.count(0, self._n_steps, f"{self._title} 0/{self._n_steps}: starting", counted=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()  # the steps that ended since

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_S):
            self._look()

    def _look(self) -> None:
        if self._run_id is None:
            found = self._instance.get_runs(dg.RunsFilter(tags={self.tag: self.name}), limit=1)
            self._run_id = found[0].run_id if found else None
        if self._run_id is None:
            return
        connection = self._instance.get_records_for_run(self._run_id, cursor=self._cursor)
        self._cursor = connection.cursor
        for record in connection.records:
            self._take(record.event_log_entry)
        done = self._done + sum(step.share for step in self._running.values())
        self._console.count(done, self._n_steps, self._line(), counted=True)

    def _take(self, entry: dg.EventLogEntry) -> None:
        name = (entry.step_key or "").replace("__", "/")
        event = entry.dagster_event
        kind = event.event_type if event is not None else None
        if kind == dg.DagsterEventType.STEP_START:
            self._running[name] = _Step(since_s=entry.timestamp)
        elif kind in (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE):
            step = self._running.pop(name, None)
            self._done += 1
            if step is not None and kind == dg.DagsterEventType.STEP_SUCCESS:
                self._console.finished(name, entry.timestamp - step.since_s)
        elif event is None and name in self._running:
            self._running[name].note = entry.user_message

    def _line(self) -> str:
        running = {name.removeprefix("checkpoint/"): step.note for name, step in self._running.items()}
        now = ", ".join(f"{name} ({note})" if note else name for name, note in running.items())
        return f"{self._title} {self._done}/{self._n_steps}: {now or 'starting'}"


@dataclass
class _Step:
    """A step that runs: since when, and what it said last."""

    since_s: float
    note: str = ""

    @property
    def share(self) -> float:
        """How much of it is done, where it counts."""
        counted = _COUNTED.search(self.note)
        if counted is None or not int(counted[2]):
            return 0.0
        return min(1.0, int(counted[1]) / int(counted[2]))
