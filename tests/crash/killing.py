"""Killing the core inside one asset's function, in a process forked from a server with everything loaded.

Asset bodies call one function of the core each; a start of Dagster a kill would cost twenty times as much.
"""

from __future__ import annotations

import fnmatch
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rlstir_assets.resources import Settings
from rlstir_core.datasets.store import build_split
from rlstir_core.detectors.beside.fitted import fit_baselines
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.evaluation.detectors.detector_eval import evaluate_recipe
from rlstir_core.evaluation.investigation.encoder_eval import evaluate_encoder
from rlstir_core.evaluation.report.comparison import write_comparison
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.investigator.pretraining.training import train_encoder
from rlstir_core.investigator.reading.tokenizer import build_tokenizer
from rlstir_core.lab.leakage.gates import gates
from rlstir_core.provenance.store import build_graphs
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_features, build_tensors

RECIPE = "host"
# Installed modules only: the fork server does not get this process's `sys.path`, and skips what it cannot find.
_LOADED = [name for name in sys.modules if name.startswith(("rlstir_core.", "rlstir_assets.", "torch", "xgboost"))]
_LOADED.append("torch._dynamo")  # an optimizer loads it, for longer than the trainings here take


def run(asset: str, store: Path, data: Path, killed_at: str = "") -> bool:
    """Makes one asset, of every host; whether that ended by a kill, when a file like `killed_at` would appear."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    process = context.Process(target=_run, args=(asset, str(store), str(data), killed_at))
    process.start()
    process.join(timeout=120)
    assert process.exitcode in (0, -signal.SIGKILL), f"{asset} ended with {process.exitcode}"
    return process.exitcode != 0


def _run(asset: str, store: str, data: str, killed_at: str) -> None:
    def kill(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and fnmatch.fnmatch(os.fspath(arguments[1]), killed_at):  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGKILL)

    if killed_at:
        sys.addaudithook(kill)
    settings = Settings(store=store, data=data)
    if asset.startswith("checkpoint/"):
        model, _, mode = asset.removeprefix("checkpoint/").partition("_")
        train_checkpoint(settings.layout, settings.options(RECIPE), model, mode, _quiet)
    else:
        _ASSETS[asset](settings)


def _quiet(*_: object) -> None:
    return


def _validate(settings: Settings) -> None:
    opened = settings.opened()
    for host in opened.index.hosts:
        validate_host(opened.store, opened.layout, host, registry=opened.registry, index=opened.index)


def _by_host(build: Callable[..., object]) -> Callable[[Settings], None]:
    def made(settings: Settings) -> None:
        opened = settings.opened()
        for host in opened.index.hosts:
            build(opened.layout, host, opened.registry)

    return made


def _log_events(settings: Settings) -> None:
    opened = settings.opened()
    for host in opened.index.hosts:
        build_log_events(opened.store, opened.layout, host)


def _graphs(settings: Settings) -> None:
    opened = settings.opened()
    for host in opened.index.hosts:
        build_graphs(opened.layout, host)


def _lab_checks(settings: Settings) -> None:
    opened = settings.opened()
    gates(opened.store, opened.layout, opened.index.hosts)


def _evaluate(settings: Settings) -> None:
    opened = settings.opened()
    evaluate_recipe(opened.layout, settings.options(RECIPE), opened.index.hosts, opened.registry, _quiet)


_ASSETS: dict[str, Callable[[Settings], object]] = {
    "episode_index": lambda s: refresh_index(s.store_path, s.layout),
    "feature_schema": lambda s: write_schema(s.layout.feature_schema, make_schema(s.registry(), s.normalise)),
    "validation": _validate,
    "window_tensors": _by_host(build_tensors),
    "window_features": _by_host(build_features),
    "log_events": _log_events,
    "provenance_graphs": _graphs,
    "lab_checks": _lab_checks,
    "split": lambda s: build_split(s.layout, RECIPE, s.validated_hosts(), s.split_settings()),
    "baselines": lambda s: fit_baselines(s.layout, s.options(RECIPE), _quiet),
    "detector_eval": _evaluate,
    "tokenizer": lambda s: build_tokenizer(s.investigator(RECIPE), _quiet),
    "encoder": lambda s: train_encoder(s.investigator(RECIPE), _quiet),
    "encoder_eval": lambda s: evaluate_encoder(s.investigator(RECIPE), _quiet),
    "comparison_v2": lambda s: write_comparison(s.layout, RECIPE, _quiet),
}
