"""What a person sees while a command works: a bar on a terminal, plain lines elsewhere, and lines that stay.

What does not belong here: what any command does.
"""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rlstir_core.text import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Console", "plain"]

_EVERY_S = 10.0  # what is being done, this often where there is no terminal: logs are kept
_NAME_COLUMNS = 32  # of a finished step, so that seconds stand below each other


class Console:
    """Says lines that stay, and shows what is being done now: how much of it, and how long that may take."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stdout.isatty() and not quiet
        self._bar: _Bar | None = None
        self._state = ""
        self._since = time.monotonic()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Console:
        if not self._live:
            self._thread = threading.Thread(target=self._tick, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        with self._lock:
            if self._bar is not None:
                self._bar.say(plain(text))
            else:
                print(plain(text), flush=True)  # noqa: T201

    def finished(self, step: str, seconds: float) -> None:
        """The line of a step that is done."""
        self.say(f"  {step:<{_NAME_COLUMNS}} {seconds:7.1f} s")

    def state(self, text: str) -> None:
        """What is being done now."""
        self.count(0, 0, text)

    def count(self, done: float, total: float, what: str, *, counted: bool = False) -> None:
        """What is being done now, and how much of it is done; a total of 0 is not known, `counted` words say it."""
        what = plain(what)
        line = f"{what} {done:g}/{total:g}" if total and not counted else what
        with self._lock:
            if line != self._state:
                self._state, self._since = line, time.monotonic()
            if self._live:
                self._bar = self._bar or _Bar()
                self._bar.show(what, done, total)

    def _tick(self) -> None:
        while not self._stop.wait(_EVERY_S):
            with self._lock:
                if not self._state or self._quiet:
                    continue
                seconds = time.monotonic() - self._since
                try:
                    print(f"  {self._state}" + (f" ({seconds:.0f} s)" if seconds >= 1 else ""), flush=True)  # noqa: T201
                except OSError:  # the reader of our output left
                    return


class _Bar:
    """One line at the bottom of the terminal, whole at 80 columns."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.table import Column

        words = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress: Progress = Progress(
            TextColumn("  {task.description}", table_column=words, markup=False),
            BarColumn(bar_width=10),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            transient=True,
            expand=True,
        )
        self._total: float = -1.0
        self._task: TaskID = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, what: str, done: float, total: float) -> None:
        if total != self._total or not total:
            if total or self._total:
                self._progress.reset(self._task, total=total or None)
            self._total = total
        self._progress.update(self._task, description=what, completed=done)

    def say(self, text: str) -> None:
        # the terminal folds what is longer than a line, so that a command can be copied
        self._progress.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()
