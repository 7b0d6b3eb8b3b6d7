"""Pictures of one episode: telemetry with phases, what the chosen detector said, the log's timeline, process trees.

Drawn from what the pipeline made of it, on the truth's colours: orange where a technique ran, red where a log was
tampered with. What does not belong here: the drawing of trees (`provenance/picture.py`), of phases beside predictions
(`phases.py`) and of the report (`plots.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.contract.registry import one_sided
from rlstir_core.drawing import FAINT, GRID, INK, canvas, png
from rlstir_core.episodes.schema import Episode
from rlstir_core.episodes.validation.rows import read_rows
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.detectors.recorded import chosen_said
from rlstir_core.evaluation.report.pictures.phases import PhaseTrack, Stretch, draw_phases, phase_colour
from rlstir_core.provenance.picture import tree_picture
from rlstir_core.provenance.store import read_graph
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import FeatureSchema, read_schema
from rlstir_core.telemetry.store import read_tensor
from rlstir_core.text import drawable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# T bins, N log rows

_NS = 1_000_000_000
_MOST_CHANNELS = 5
_ATTACK, _TAMPER, _PLAIN = "#c8611a", "#c2334d", "#5b7a99"
# One of each kind of cost, in the order in which they are looked for.
_TELLING = ("utime", "write_bytes", "tx_bytes", "bytes", "exec", "cache_misses", "rss")


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """The pictures by name, PNG bytes at most 700 px wide, and what they show in numbers."""

    pictures: dict[str, bytes]
    rows: dict[str, int]  # by log channel
    phases: tuple[str, ...]
    techniques: tuple[str, ...]
    tampered: dict[str, int]  # rows by kind of tampering
    predicted: str = ""  # whose predictions stand beside the truth


def portrait(layout: Layout, host: str, episode: str) -> Portrait:
    """The portrait of one episode; it leaves out what the episode does not have.

    UpstreamMissing where nothing was made of it yet.
    """
    path = layout.rows(host, episode)
    if not path.exists():
        raise UpstreamMissing(
            f"no rows of episode {episode!r} on host {host!r}; look at the id, or make them with: "
            f"{how_to_make('validation')}"
        )
    known = read_rows(path)
    logs = _logs(layout, host, episode)
    schema = _schema(layout)
    phases = schema.phases if schema else ()
    pictures = {"telemetry": _telemetry(layout, host, known, schema) if schema else b""}
    track = _track(layout, host, known, schema) if schema else None
    pictures["predictions"] = draw_phases(track) if track is not None else b""
    if logs is not None and len(logs):
        marked = np.flatnonzero(_filled(logs, "label_ttp")).tolist()
        pictures["timeline"] = _timeline(known, logs, phases)
        pictures["processes"] = tree_picture(read_graph(layout, host, episode), marked_rows=marked)
    return Portrait(
        pictures={name: png for name, png in pictures.items() if png},
        rows={} if logs is None else _counted(logs, "channel"),
        phases=tuple(label.phase for label in known.labels),
        techniques=tuple(sorted(_spans_of(logs, "label_ttp"))) if logs is not None else (),
        tampered=_counted(logs, "tamper_tag") if logs is not None else {},
        predicted=track.title if track is not None else "",
    )


def _logs(layout: Layout, host: str, episode: str) -> pa.Table | None:
    path = layout.log_events(host) / f"{episode}.parquet"
    if not path.exists():
        return None
    return pq.ParquetFile(path).read(columns=["ts_ns", "channel", "label_ttp", "tamper_tag"], use_threads=False)


def _schema(layout: Layout) -> FeatureSchema | None:
    try:
        return read_schema(layout.feature_schema)
    except UpstreamMissing:
        return None


def _track(layout: Layout, host: str, known: Episode, schema: FeatureSchema) -> PhaseTrack | None:
    """The true phases and what the chosen detector said of them; None where no evaluation knows the episode."""
    duration_s = (known.meta.t_end_wall_ns - known.meta.t_start_wall_ns) / _NS
    said = chosen_said(layout, schema, host, known.meta.episode_id, duration_s)
    if said is None:
        return None
    return PhaseTrack(
        title=said.title,
        duration_s=duration_s,
        phases=schema.phases,
        true=_stretches(known),
        predicted=tuple(Stretch(phase=run.phase, start_s=run.start_s, end_s=run.end_s) for run in said.runs),
        seconds=tuple(said.seconds_N.tolist()),
        attack=() if one_sided(schema.phases, schema.attack_phases) else tuple(said.attack_N.tolist()),
        threshold=said.threshold,
    )


def _stretches(known: Episode) -> tuple[Stretch, ...]:
    """The phases as the labels say them."""
    start, end = known.meta.t_start_wall_ns, known.meta.t_end_wall_ns
    begins = [*((label.t_wall_ns - start) / _NS for label in known.labels), (end - start) / _NS]
    return tuple(
        Stretch(phase=label.phase, start_s=since, end_s=until)
        for label, since, until in zip(known.labels, begins, begins[1:], strict=False)
    )


def _telemetry(layout: Layout, host: str, known: Episode, schema: FeatureSchema) -> bytes:
    """The telling channels over time, on the colours of the phases."""
    try:
        x_CT = read_tensor(layout, host, known.meta.episode_id).x_CT
    except UpstreamMissing:
        return b""
    chosen = telling(schema, x_CT)
    if not chosen:
        return b""
    figure = canvas(0.5 + 0.82 * len(chosen))
    seconds_T = np.arange(x_CT.shape[1]) / schema.windowing.bin_hz
    for at, place in enumerate(chosen):
        axes = figure.add_axes(
            (0.17, 1 - (0.12 + 0.82 * (at + 1)) / figure.get_figheight(), 0.81, 0.68 / _tall(figure))
        )
        _phases(axes, known, schema.phases, named=at == 0)
        axes.plot(seconds_T, x_CT[place], color=INK, linewidth=0.7)
        axes.set_xlim(0, seconds_T[-1])
        axes.set_ylabel(drawable(schema.channel_names[place], 24), rotation=0, ha="right", va="center", fontsize=7)
        _bare(axes, last=at == len(chosen) - 1)
    return png(figure)


def telling(schema: FeatureSchema, x_CT: NDArray[np.float32]) -> list[int]:
    """Channels that were recorded: first those that tell most to the eye, each source once, then any."""
    seen = [at for at in range(len(schema.channel_names)) if np.isfinite(x_CT[at]).any()]
    names = schema.channel_names
    telling = [next((at for at in seen if word in names[at]), -1) for word in _TELLING]
    sources: set[str] = set()
    found: list[int] = []
    for at in [*telling, *seen]:
        if at >= 0 and at not in found and (names[at].partition(".")[0] not in sources or at in telling):
            sources.add(names[at].partition(".")[0])
            found.append(at)
    return sorted(found[:_MOST_CHANNELS])


def _timeline(known: Episode, logs: pa.Table, phases: tuple[str, ...]) -> bytes:
    """A dot per row in the lane of its log channel; above them when each technique ran, red where rows are tampered."""
    start, end = known.meta.t_start_wall_ns, known.meta.t_end_wall_ns
    seconds_N = (logs["ts_ns"].to_numpy() - start) / _NS
    channel_N = np.array(logs["channel"].to_pylist(), dtype=object)
    attack_N, tamper_N = _filled(logs, "label_ttp"), _filled(logs, "tamper_tag")
    lanes = sorted(set(channel_N.tolist()))
    bars = _spans_of(logs, "label_ttp")
    figure = canvas(0.9 + 0.17 * len(bars) + 0.62 * len(lanes))
    tall = _tall(figure)
    axes = figure.add_axes((0.17, 0.42 / tall, 0.81, 1 - 0.68 / tall))
    _phases(axes, known, phases, named=True)
    spread_N = np.random.default_rng(0).uniform(-0.32, 0.32, len(seconds_N))
    for lane, name in enumerate(lanes):
        here_N = channel_N == name
        for mask_N, colour, size in (
            (here_N & ~attack_N & ~tamper_N, _PLAIN, 1.2),
            (here_N & attack_N & ~tamper_N, _ATTACK, 4.0),
            (here_N & tamper_N, _TAMPER, 7.0),
        ):
            axes.scatter(seconds_N[mask_N], -lane + spread_N[mask_N], s=size, color=colour, linewidths=0, zorder=3)
        for since, until, kind in _tampered(seconds_N, logs, here_N):
            axes.axvspan(since, until, *_share(lane, len(lanes), len(bars)), color=_TAMPER, alpha=0.13, linewidth=0)
            axes.text(since, -lane + 0.36, drawable(kind, 24), color=_TAMPER, fontsize=6.5, zorder=4)
    for at, (technique, (first, last)) in enumerate(sorted(bars.items(), key=lambda item: item[1])):
        y = 0.62 + 0.28 * at
        axes.plot(
            [seconds_N[first], max(seconds_N[last], seconds_N[first] + 0.3)], [y, y], color=_ATTACK, linewidth=2.4
        )
        axes.text(seconds_N[last] + 0.8, y, drawable(technique, 12), color=_ATTACK, fontsize=6.5, va="center")
    axes.set_ylim(*_limits(len(lanes), len(bars)))
    axes.set_xlim(0, (end - start) / _NS)
    _bare(axes, last=True)
    axes.set_yticks([-lane for lane in range(len(lanes))], [drawable(lane, 20) for lane in lanes])
    return png(figure)


def _limits(lanes: int, bars: int) -> tuple[float, float]:
    return -lanes + 0.45, 0.62 + 0.28 * bars


def _share(lane: int, lanes: int, bars: int) -> tuple[float, float]:
    """The stretch of the axes, 0 to 1, that a lane takes."""
    low, high = _limits(lanes, bars)
    return (-lane - 0.42 - low) / (high - low), (-lane + 0.42 - low) / (high - low)


def _tampered(
    seconds_N: NDArray[np.float64], logs: pa.Table, here_N: NDArray[np.bool_]
) -> list[tuple[float, float, str]]:
    """(first, last second, kind) of the tampered rows of one channel, kind by kind."""
    tags = np.array([tag or "" for tag in logs["tamper_tag"].to_pylist()], dtype=object)
    found = []
    for kind in sorted(set(tags[here_N].tolist()) - {""}):
        its_N = seconds_N[here_N & (tags == kind)]
        found.append((float(its_N.min()) - 0.2, float(its_N.max()) + 0.2, str(kind)))
    return found


def _spans_of(logs: pa.Table, column: str) -> dict[str, tuple[int, int]]:
    """{label: (first row, last row)}."""
    found: dict[str, tuple[int, int]] = {}
    for at, labels in enumerate(logs[column].to_pylist()):
        for label in labels or ():
            found[label] = (found.get(label, (at, at))[0], at)
    return found


def _filled(logs: pa.Table, column: str) -> NDArray[np.bool_]:
    return np.array([bool(value) for value in logs[column].to_pylist()], dtype=bool)


def _counted(logs: pa.Table, column: str) -> dict[str, int]:
    values = [value for value in logs[column].to_pylist() if value]
    return {str(name): values.count(name) for name in sorted(set(values))}


def _phases(axes: Any, known: Episode, phases: tuple[str, ...], *, named: bool) -> None:
    """Bands in the colours of the phases."""
    stretches = _stretches(known)
    for each in stretches:
        axes.axvspan(each.start_s, each.end_s, color=phase_colour(each.phase, phases), linewidth=0, zorder=0)
        if named and each.end_s - each.start_s > 0.07 * stretches[-1].end_s:
            place = {"transform": axes.get_xaxis_transform(), "fontsize": 6.5, "color": FAINT, "ha": "center"}
            axes.text((each.start_s + each.end_s) / 2, 1.03, drawable(each.phase, 18), **place)


def _bare(axes: Any, *, last: bool) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, labelsize=7, colors=INK)
    axes.set_yticks([])
    if last:
        axes.set_xlabel("seconds of the recording", fontsize=7, color=INK)
    else:
        axes.set_xticklabels([])


def _tall(figure: Figure) -> float:
    return float(figure.get_figheight())
