"""The ground truth of one episode, straight from its tarball.

What does not belong here: the form of the truth (`truth.py`), and rows.
"""

from __future__ import annotations

from pathlib import Path

from rlstir_core.contract.members import TAMPER_SPANS, TECHNIQUES
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.archive import members
from rlstir_core.episodes.reading.frames import FrameReader
from rlstir_core.episodes.reading.read import open_plain
from rlstir_core.hostlogs.attack.truth import MAX_BYTES, LogTruth, read_truth


def truth_in(tarball: Path) -> LogTruth:
    """What the episode says of itself; EpisodeRejected where the tarball is none."""
    found: dict[str, bytes] = {}
    with open_plain(tarball) as handle:
        for name, size, chunks in members(FrameReader(handle, Limits()), Limits()):
            if name in (TECHNIQUES, TAMPER_SPANS) and size <= MAX_BYTES:
                found[name] = b"".join(chunks)
    return read_truth(found.get(TECHNIQUES), found.get(TAMPER_SPANS))
