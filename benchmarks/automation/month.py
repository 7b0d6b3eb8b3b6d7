"""Thirty nights of a small lab through a running Dagster, with nobody there: a report every morning, or not.

Synthetic episodes of 36 days on three hosts, a fourth from the twelfth night on; 3 to 20 come a night. On one night the
recorders' clocks are off and netflow is missing, in another the process of a run is killed. The sensor is switched on
once. What does not belong here: what a tick decides (`tests/assets/automation/test_automation.py`), and the rate of
false alarms (`tests/evaluation/figures/test_drift.py`), which thirty nights cannot tell.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.automation.bad_night import spoilt

NIGHTS, FIRST_DAYS, A_DAY = 30, 6, 20
NEW_HOST, BAD, KILLED = 12, 22, 17  # nights, from 1
HOSTS, LATER = ("wren:windows", "kite:linux", "jay:windows"), "finch:linux"
FEW = (2, 20)
SETTINGS = {
    "RLSTIR_LOOK_EVERY_S": "5",
    "RLSTIR_RETRAIN": "due:share=0.5,days=30",
    "RLSTIR_SET": "train.epochs=4 train.views=2 trees.rounds=30 bootstrap_draws=500 seeds=2 investigator.epochs=2 "
    "investigator.min_epoch_steps=8 investigator.rows=48 investigator.members=1 investigator.vocabulary=600 "
    "investigator.width=16 acting.cases=12 acting.glimpses=2 acting.belief_steps=40 acting.walk_steps=4 acting.tries=1 "
    "acting.order=2 acting.seeds=1 acting.lanes=8 ppo.steps=512",  # few passes: nobody reads these scores
}
_PATIENCE_S = 1800.0
_DAY_NS = 86_400 * 10**9
_WORKER = re.compile(r"pid: (\d+)")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks month", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nights", type=int, default=NIGHTS, help="how many, from the first")
    parser.add_argument("--seed", type=int, default=5, help="of episodes and of how many come")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rlstir-month-") as folder:
        json.dump(_month(Path(folder), options.nights, options.seed), sys.stdout, indent=1)
    return 0


def _month(root: Path, n_nights: int, seed: int) -> dict[str, Any]:
    nights = _recorded(root / "bank", seed)
    lab = _Lab(root)
    begun = time.monotonic()
    with lab.running():
        first = lab.night(nights[0])
        found = []
        for n in range(1, n_nights + 1):
            found.append({"night": n, **lab.night(nights[n], bad=n == BAD, kill=n == KILLED)})
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)  # an hour or more: what was seen so far
    others = [night for night in found if night["night"] != BAD]
    return {
        "nights": len(found),
        "reports": sum(night["report"] for night in found),
        "alarm_on_bad_night": any(night["alarm"] for night in found if night["night"] == BAD),
        "false_alarms": sum(night["alarm"] for night in others),
        "history": found[-1]["history"],
        "records_mib": round(sum(p.stat().st_size for p in lab.home.rglob("*") if p.is_file()) / 2**20, 1),
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "before": first,
        "of_nights": found,
    }


def _recorded(bank: Path, seed: int) -> dict[int, list[dict[str, Any]]]:
    """Index lines of the first days (0) and of each night, in the order of recording; their tarballs lie in `bank`."""
    from rlstir_core.episodes.store.index import read_index
    from rlstir_core.lab.generate import generate_store
    from rlstir_core.lab.plan import LabOptions, plan_store

    days, options = FIRST_DAYS + NIGHTS, LabOptions(seed=seed, days=FIRST_DAYS + NIGHTS)
    hosts, n = (*HOSTS, LATER), (days * A_DAY * (len(HOSTS) + 1)) // len(HOSTS)
    generate_store(bank, hosts=hosts, episodes=n, options=options)
    began = {plan.episode_id: plan.start_wall_ns for plan in plan_store(hosts=hosts, episodes=n, options=options)}
    start, draw = min(began.values()), random.Random(seed)
    nights: dict[int, list[dict[str, Any]]] = {night: [] for night in range(NIGHTS + 1)}
    for entry in sorted(read_index(bank).entries, key=lambda each: began[each.episode_id]):
        night = max(0, (began[entry.episode_id] - start) // _DAY_NS - FIRST_DAYS + 1)
        if entry.host_id != LATER.partition(":")[0] or night >= NEW_HOST:
            nights[night].append({"episode_id": entry.episode_id, "host_id": entry.host_id, "path": entry.path})
    for night in range(1, NIGHTS + 1):
        come = draw.randint(*FEW)
        kept = sorted(draw.sample(range(len(nights[night])), min(come, len(nights[night]))))
        nights[night] = [nights[night][at] for at in kept]
    return nights


class _Lab:
    """A store that grows, and a Dagster that watches it."""

    def __init__(self, root: Path) -> None:
        self.bank, self.store, self.data, self.home = (root / name for name in ("bank", "store", "data", "home"))
        for folder in (self.store, self.home):
            folder.mkdir()
        shutil.copy(Path(__file__).parents[2] / "dagster.yaml", self.home)
        os.environ.update(SETTINGS, DAGSTER_HOME=str(self.home))
        os.environ.update(RLSTIR_STORE=str(self.store), RLSTIR_DATA=str(self.data))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Dagster at work on an index without a line, its sensor switched on."""
        from rlstir_assets.instance import open_instance

        (self.store / "index.jsonl").touch()
        log = (self.home / "dev.log").open("w")
        served = ["dev", "-m", "rlstir_assets.definitions", "-h", "127.0.0.1", "-p", str(self.port)]
        command = [sys.executable, "-W", "ignore::FutureWarning", "-m", "dagster", *served]
        dev = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.home, start_new_session=True)
        try:
            self._switch_on()
            self.instance = open_instance()
            yield
        finally:
            dev.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                dev.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(dev.pid, signal.SIGKILL)

    def night(self, lines: list[dict[str, Any]], *, bad: bool = False, kill: bool = False) -> dict[str, Any]:
        """Lets episodes come and waits until nothing is left to do; what the morning finds."""
        from rlstir_core.evaluation.detectors.detector_eval import read_inputs
        from rlstir_core.evaluation.report.history import read_history
        from rlstir_core.results.layout import Layout

        layout, begun, clock = Layout(self.data), time.time(), time.monotonic()
        for line in lines:
            self._arrive(line, bad=bad)
        before = {run.run_id for run in self.instance.get_runs()}
        killed = self._kill_a_run(before) if kill else ""
        said = self._settled(begun)
        report, inputs = layout.report("host"), read_inputs(layout, "host")
        history = read_history(report)
        runs = [run for run in self.instance.get_runs() if run.run_id not in before]
        assert inputs is not None and history is not None, f"no report: {said}"
        return {
            "came": len(lines),
            "hosts": len({line["host_id"] for line in lines}),
            "report": report.stat().st_mtime > begun and sum(history.current.episodes.values()) > 0,
            "alarm": inputs.drift is not None and inputs.drift.alarm,
            "tested": history.current.test_episodes,
            "history": len(history.earlier) + 1,
            "training": inputs.split.renewal,
            "seconds": round(time.monotonic() - clock, 1),
            "runs": [f"{run.job_name} {run.status.value.lower()}" for run in reversed(runs)],
            "killed": killed,
            "said": said,
        }

    def _arrive(self, line: Mapping[str, Any], *, bad: bool) -> None:
        """A tarball first, and then its line."""
        raw = (self.bank / line["path"]).read_bytes()
        raw = spoilt(raw) if bad else raw
        target = self.store / line["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
        told = {**line, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        with (self.store / "index.jsonl").open("a") as index:
            index.write(json.dumps(told) + "\n")

    def _settled(self, since: float) -> str:
        """What the sensor says once it has looked after `since` and nothing is at work."""
        import dagster as dg

        ended = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
        open_runs = dg.RunsFilter(statuses=[each for each in dg.DagsterRunStatus if each not in ended])
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            time.sleep(2)
            (state,) = self.instance.all_instigator_state()[:1] or (None,)
            if state is None or self.instance.get_runs_count(open_runs):
                continue
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            if ticks and ticks[0].timestamp > since and ticks[0].status.value == "SKIPPED":
                said = ticks[0].skip_reason or ""
                if "not ended yet" not in said:  # a look that fell into a run that has ended since
                    return said
        raise RuntimeError(f"nothing settled within {_PATIENCE_S:.0f} s")

    def _kill_a_run(self, before: set[str]) -> str:
        """Kills the process of the recipe's run once it is at work; its id."""
        import dagster as dg

        chosen = dg.RunsFilter(job_name="recipe", statuses=[dg.DagsterRunStatus.STARTED])
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            time.sleep(1)
            for run in self.instance.get_runs(chosen):
                told = [_WORKER.search(e.user_message or "") for e in self.instance.all_logs(run.run_id)]
                pids = [int(found[1]) for found in told if found]
                if run.run_id not in before and pids:
                    os.kill(pids[0], signal.SIGKILL)
                    return f"{run.run_id[:8]} at pid {pids[0]}"
        raise RuntimeError("no run of a recipe was seen at work")

    def _switch_on(self) -> None:
        words = {
            "sensorName": "new_episodes",
            "repositoryName": "__repository__",
            "repositoryLocationName": "rlstir_assets.definitions",
        }
        query = "mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }"
        body = json.dumps({"query": query, "variables": {"s": words}}).encode()
        for _ in range(120):
            time.sleep(1)
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}/graphql", data=body, headers={"Content-Type": "application/json"}
            )
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=60) as answer:
                if json.load(answer)["data"]["startSensor"]["__typename"] == "Sensor":
                    return
        raise RuntimeError("the sensor could not be switched on")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
