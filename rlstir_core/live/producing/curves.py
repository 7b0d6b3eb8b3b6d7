"""The curve of a training, for the live view of its data folder, where one runs.

A training never waits for a live view, and never fails by one. What does not belong here: training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlstir_core.live.contract import MetricData
from rlstir_core.live.producing.timed import Sink, send
from rlstir_core.live.publisher import Publisher
from rlstir_core.progress import Follower, followed
from rlstir_core.results.lock import is_held

_LAST_S = 1.0


@contextmanager
def curve_published(data: Path, model: str, recipe: str) -> Iterator[None]:
    """Within it, each look of a training at its validation side is a point of a curve, one curve a member."""
    publisher = _publisher(data)
    if publisher is None:
        yield
        return
    try:
        with followed(curve_of(publisher, model, recipe)):
            yield
    finally:
        publisher.close(_LAST_S)


def curve_of(sink: Sink, model: str, recipe: str) -> Follower:
    """Publishes the points of the members, which are trained one after the other: each begins with an early step."""
    member, last = 1, 0.0

    def told(step: float, macro_f1: float) -> None:
        nonlocal member, last
        member, last = member + (step <= last), step
        point = MetricData(
            model=f"{model} {member}", metric="validation_macro_f1", value=macro_f1, step=step, recipe=recipe
        )
        send(sink, point, wait_s=0.0)

    return told


def _publisher(data: Path) -> Publisher | None:
    try:
        return Publisher.of(data, source="urn:rlstir:training") if is_held(data / "live" / ".lock") else None
    except (OSError, ValueError, KeyError, TypeError):  # the view ends, or what it wrote is somebody else's
        return None
