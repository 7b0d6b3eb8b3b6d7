"""Found through PYTHONPATH: kills the process group just before a file whose path matches KILL_AT appears."""

import fnmatch
import os
import signal
import sys

pattern = os.environ.get("KILL_AT")


def kill(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename" and fnmatch.fnmatch(os.fspath(arguments[1]), pattern):
        os.killpg(0, signal.SIGKILL)


if pattern:
    sys.addaudithook(kill)
