"""Killing the core inside one function, in a process that is forked from a server with everything loaded."""

from __future__ import annotations

import fnmatch
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from rlstir_core.detectors.study import StudyOptions
from rlstir_core.detectors.training import train_checkpoint
from rlstir_core.results.layout import Layout


def killed_in_training(data: Path, options: StudyOptions, model: str, mode: str, pattern: str) -> bool:
    """Trains one detector until a file whose path matches `pattern` is about to appear; whether that was the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_train, args=(str(data), options, model, mode, pattern))
    process.start()
    process.join(timeout=120)
    return process.exitcode == -signal.SIGKILL


def _train(data: str, options: StudyOptions, model: str, mode: str, pattern: str) -> None:
    def kill(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and fnmatch.fnmatch(os.fspath(arguments[1]), pattern):  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    train_checkpoint(Layout(Path(data)), options, model, mode, lambda _: None)
