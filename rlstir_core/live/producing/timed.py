"""Events with the moment at which they may be published, and the clock that they are played by.

What does not belong here: what the events say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from rlstir_core.live.contract import (
    EmbeddingData,
    EpisodeData,
    MetricData,
    PerfData,
    PhaseData,
    PredictionData,
    StepData,
    TelemetryData,
)

LiveData = EpisodeData | TelemetryData | PhaseData | PredictionData | EmbeddingData | MetricData | PerfData | StepData
_TYPES: dict[type[LiveData], str] = {
    EpisodeData: "episode",
    TelemetryData: "telemetry",
    PhaseData: "phase",
    PredictionData: "prediction",
    EmbeddingData: "embedding",
    MetricData: "model_metric",
    PerfData: "model_perf",
    StepData: "investigation_step",
}
_ROOM_S = 30.0  # a replay waits so long for a live view that takes less than is published


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is known from second `at_s` of the recording on."""

    at_s: float
    data: LiveData


class Sink(Protocol):
    """Where events go: a `Publisher`."""

    def publish(self, type: str, data: dict[str, object], *, subject: str = "", wait_s: float = 0.0) -> bool: ...


def send(sink: Sink, data: LiveData, *, wait_s: float = _ROOM_S) -> bool:
    """Publishes one event; whether it waits to be sent."""
    subject = "" if isinstance(data, MetricData | PerfData) else f"{data.host}/{data.episode}"
    return sink.publish(_TYPES[type(data)], msgspec.to_builtins(data), subject=subject, wait_s=wait_s)


def play(
    events: Iterable[Timed],
    sink: Sink,
    *,
    speed: float,
    tell: Callable[[float], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Publishes events in their order, each at its second of the recording over `speed` (0: at once); how many."""
    began, n = clock(), 0
    for n, event in enumerate(events, 1):  # noqa: B007 - the last one is the count
        if speed > 0 and (left := began + event.at_s / speed - clock()) > 0:
            sleep(left)
        tell(event.at_s)
        send(sink, event.data)
    return n
