"""What a person sees while a command works: a live line on a terminal, plain lines elsewhere.

What does not belong here: what any command does.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType

from rlstir_core.text import plain

__all__ = ["Console", "plain"]

_EVERY_S = 1.9  # something new, or the same with its seconds, at least this often


class Console:
    """Says lines that stay, and keeps one line of what is being done now up to date."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stdout.isatty() and not quiet
        self._state = ""
        self._since = time.monotonic()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Console:
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._clear()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        with self._lock:
            self._clear()
            print(plain(text), flush=True)  # noqa: T201

    def state(self, text: str) -> None:
        """What is being done now."""
        text = plain(text)
        with self._lock:
            if text != self._state:
                self._state, self._since = text, time.monotonic()

    def count(self, done: int, total: int, what: str) -> None:
        """What is being done now, counted."""
        self.state(f"{what} {done}/{total}" if total else what)

    def _tick(self) -> None:
        wait = 0.2 if self._live else _EVERY_S
        while not self._stop.wait(wait):
            with self._lock:
                if not self._state or self._quiet:
                    continue
                seconds = time.monotonic() - self._since
                line = f"  {self._state}" + (f" ({seconds:.0f} s)" if seconds >= 1 else "")
                try:
                    self._show(line)
                except OSError:  # the reader of our output left
                    return

    def _show(self, line: str) -> None:
        if self._live:
            width = shutil.get_terminal_size((110, 24)).columns - 1  # a line that wraps cannot be taken back
            sys.stdout.write(f"\r\x1b[2K{line[: max(20, width)]}")
            sys.stdout.flush()
        else:
            print(line, flush=True)  # noqa: T201

    def _clear(self) -> None:
        if self._live:
            sys.stdout.write("\r\x1b[2K")
            sys.stdout.flush()
