"""A recorded episode as it would have been watched: telemetry, the truth and every detector's predictions, second by
second.

Causal: an event stands at the second from which on it could have been known, a bin's values at the bin's end, a
prediction at its window's end. What a detector says of a window does not change when later rows are cut off, so all
windows are scored first and told one by one. What does not belong here: what detectors say
(`rlstir_core/evaluation/detectors/scoring.py`), and logs (`asked.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlstir_core.contract.registry import Registry, one_sided
from rlstir_core.detectors.single import IndexClaim
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Label, Verdict
from rlstir_core.evaluation.detectors.saying.records import EpisodeSpoken, attack_probability
from rlstir_core.evaluation.report.pictures.episode_figures import telling
from rlstir_core.live.contract import (
    EpisodeData,
    PhaseData,
    PredictionData,
    ShownChannel,
    ShownModel,
    TelemetryData,
)
from rlstir_core.live.producing.timed import Timed
from rlstir_core.telemetry.schema import FeatureSchema

# C channels, T bins, N windows, K phases
_NS = 1_000_000_000
_CHUNK_S = 0.25  # of telemetry in one event
_MOST_VALUES = 2_000  # of one event, which stays far below what a live view takes


def true_phases(path: Path, claims: IndexClaim, registry: Registry) -> tuple[Label, ...]:
    """The phases that the recording says it went through; none where it does not say, or is not to be trusted."""
    read = read_episode(
        path,
        registry=registry,
        host_id=claims.host_id,
        episode_id=claims.episode_id,
        sha256=claims.sha256,
        n_bytes=claims.n_bytes,
    )
    return read.episode.labels if read.episode is not None else ()


def replayed(spoken: EpisodeSpoken, schema: FeatureSchema, labels: Sequence[Label], run: str) -> Iterator[Timed]:
    """The events of one episode in the order of their seconds; `run` tells this replay from another."""
    yield Timed(at_s=0.0, data=_begun(spoken, schema, run))
    streams = (_telemetry(spoken, schema, run), _truth(spoken, labels, run), _predictions(spoken, schema, run))
    yield from merge(*streams, key=lambda event: event.at_s)
    seconds = duration_s(spoken)
    yield Timed(at_s=seconds, data=EpisodeData(**_who(spoken, run), state="ended", duration_s=seconds))


def _who(spoken: EpisodeSpoken, run: str) -> dict[str, Any]:
    meta = spoken.single.decoded.meta
    return {"host": str(meta.host_id), "episode": str(meta.episode_id), "run": run}


def run_of() -> str:
    """A name for one replay, which no other has."""
    return secrets.token_hex(4)


def duration_s(spoken: EpisodeSpoken) -> float:
    """How long the recording is."""
    meta = spoken.single.decoded.meta
    return (meta.t_end_wall_ns - meta.t_start_wall_ns) / _NS


def _begun(spoken: EpisodeSpoken, schema: FeatureSchema, run: str) -> EpisodeData:
    single = spoken.single
    shown = set(telling(schema, single.x_CT))
    return EpisodeData(
        **_who(spoken, run),
        duration_s=duration_s(spoken),
        phases=schema.phases,
        attack_phases=schema.attack_phases,
        onset_phase=schema.onset_phase,
        models=tuple(
            ShownModel(
                name=name,
                threshold=says.threshold,
                threshold_from=says.threshold_from[:2_000],
                chosen=says.chosen,
                same_as=says.same_as,
            )
            for name, says in spoken.says.items()
        ),
        channels=tuple(
            ShownChannel(name=channel.name, unit=channel.unit, scale=channel.scale, shown=at in shown)
            for at, channel in enumerate(schema.channels)
            if single.recording.known_C[at]
        ),
        note=""
        if single.verdict.verdict == "ok"
        else f"the recording is {single.verdict.verdict}: {single.verdict.detail}",
    )


def _note(verdict: Verdict) -> str:
    return "" if verdict.verdict == "ok" else f"the recording is {verdict.verdict}: {verdict.detail}"


def _telemetry(spoken: EpisodeSpoken, schema: FeatureSchema, run: str) -> Iterator[Timed]:
    """Every channel that was recorded, some bins at a time."""
    x_CT, who, hz = _in_units(spoken.single.x_CT, schema), _who(spoken, run), schema.windowing.bin_hz
    known = [at for at, has in enumerate(spoken.single.recording.known_C.tolist()) if has]
    n_bins, seconds = x_CT.shape[1], duration_s(spoken)
    step = max(1, min(round(_CHUNK_S * hz), 1_000))
    for begin in range(0, n_bins, step):
        end = min(begin + step, n_bins)
        at_s = min(end / hz, seconds)  # the last bin may reach beyond the recording
        for part in _parts(known, max(1, _MOST_VALUES // step)):
            values = {schema.channel_names[at]: _plain(x_CT[at, begin:end]) for at in part}
            yield Timed(at_s=at_s, data=TelemetryData(**who, t_s=begin / hz, step_s=1 / hz, values=values))


def _in_units(x_CT: NDArray[np.float32], schema: FeatureSchema) -> NDArray[np.float64]:
    """The channels in their units: detectors see the asinh of most."""
    plain_CT = x_CT.astype(np.float64)
    log_C = np.array([channel.scale == "log" for channel in schema.channels])
    plain_CT[log_C] = np.sinh(plain_CT[log_C])
    return plain_CT


def _parts(places: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(places), most):
        yield places[at : at + most]


def _plain(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    """Six digits of each number, as many as a plot shows; None where missing."""
    return tuple(float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist())


def _truth(spoken: EpisodeSpoken, labels: Sequence[Label], run: str) -> Iterator[Timed]:
    start = spoken.single.decoded.meta.t_start_wall_ns
    for label in sorted(labels, key=lambda label: label.t_wall_ns):
        at_s = max(0.0, (label.t_wall_ns - start) / _NS)
        yield Timed(at_s=at_s, data=PhaseData(**_who(spoken, run), t_s=at_s, phase=label.phase))


def _predictions(spoken: EpisodeSpoken, schema: FeatureSchema, run: str) -> Iterator[Timed]:
    """What every detector says of a window, when the window has ended."""
    phases, who, hz = schema.phases, _who(spoken, run), schema.windowing.bin_hz
    untold = bool(one_sided(phases, schema.attack_phases))
    attack = {name: attack_probability(p_NK, phases, schema.attack_phases) for name, p_NK in spoken.proba.items()}
    starts_s = (spoken.single.recording.grid.start_W / hz).tolist()
    for n, (start_s, end_s) in enumerate(zip(starts_s, spoken.single.seconds_W.tolist(), strict=True)):
        for name, p_NK in spoken.proba.items():
            data = PredictionData(
                **who,
                model=name,
                start_s=start_s,
                end_s=end_s,
                phase=phases[int(p_NK[n].argmax())],
                p_attack=None if untold else _share(attack[name][n]),
                probabilities={phase: round(_share(p), 4) for phase, p in zip(phases, p_NK[n].tolist(), strict=True)},
            )
            yield Timed(at_s=end_s, data=data)


def _share(p: float) -> float:
    """A sum of probabilities may exceed 1 by a rounding."""
    return min(1.0, max(0.0, float(p)))
