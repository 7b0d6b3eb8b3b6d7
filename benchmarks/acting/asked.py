"""What a benchmark of policies is asked for, looked at before minutes are spent on it.

What does not belong here: what one benchmark alone is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from rlstir_core.errors import RlstirError


def check_asked(seeds: int, out: Path | None, reads: Iterable[Path] = ()) -> None:
    """RlstirError with one sentence where nothing could be measured, or its lines could not be written."""
    if seeds < 1:
        raise RlstirError(f"--seeds is {seeds}; give 1 or more")
    if out is None:
        return
    try:
        if out.is_dir():
            raise IsADirectoryError
        with tempfile.TemporaryFile(dir=out.absolute().parent):  # whoever may do anything may still not write in /proc
            pass
    except OSError:
        raise RlstirError(f"--out {out} cannot be written; give a file in a folder that exists and is yours") from None
    if out.exists() and any(path.exists() and out.samefile(path) for path in reads):
        raise RlstirError(f"--out {out} is read as well; give another file")
