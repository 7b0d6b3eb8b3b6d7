"""`meta.json` and `labels.jsonl`: parsed once into safe types, or refused.

What does not belong here: comparing them with the index, and rows of telemetry.
"""

from __future__ import annotations

from typing import Any, NoReturn

from rlstir_core.contract.reasons import EpisodeRejected, ReasonCode
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.jsonl import LineSplitter
from rlstir_core.episodes.reading.strict import parse_line, parse_object
from rlstir_core.episodes.schema import Label, Meta
from rlstir_core.errors import InvalidId
from rlstir_core.ids import episode_id, host_id, safe_name
from rlstir_core.text import printable, shown

# 2000-01-01 and 2100-01-01: anything outside is seconds, milliseconds or a broken clock
EARLIEST_NS = 946_684_800 * 10**9
LATEST_NS = 4_102_444_800 * 10**9
_ORIGIN_CHARS = 200


def parse_meta(raw: bytes, limits: Limits) -> Meta:
    """The meta in `raw`; EpisodeRejected with a `meta.*` or `time.*` reason otherwise."""
    record = parse_object(raw, limits.nesting)
    if isinstance(record, str):
        _reject(ReasonCode.META_JSON, f"meta.json: {record}; send one strict JSON object")
    version = record.get("schema_version")
    if type(version) is not int or version != 1:
        _reject(ReasonCode.META_SCHEMA_VERSION, f"meta.json has schema_version {shown(version)}; this reader knows 1")
    try:
        host, episode = host_id(record.get("host_id")), episode_id(record.get("episode_id"))
        profile = safe_name(record.get("profile"), "profile")
        sample = safe_name(record.get("sample_name"), "sample_name")
        corpus = "" if record.get("corpus") is None else safe_name(record["corpus"], "corpus")
    except InvalidId as error:
        raise EpisodeRejected(ReasonCode.META_ID, f"meta.json: {error}") from None
    benign = record.get("benign")
    if type(benign) is not bool:
        _reject(ReasonCode.META_BENIGN, f"meta.json has benign {shown(benign)}; write true or false")
    start, end = _time(record, "t_start_wall_ns"), _time(record, "t_end_wall_ns")
    if start >= end:
        _reject(ReasonCode.TIME_ORDER, f"meta.json ends at {end}, not after its start {start}; send the times in order")
    if end - start > limits.span_ns:
        _reject(
            ReasonCode.TIME_SPAN,
            f"meta.json spans {(end - start) // 10**9} s, over {limits.span_ns // 10**9} s; split it",
        )
    origin = record.get("origin")
    return Meta(
        episode_id=episode,
        host_id=host,
        profile=profile,
        sample_name=sample,
        benign=benign,
        t_start_wall_ns=start,
        t_end_wall_ns=end,
        sources=_sources(record.get("sources")),
        synthetic=record.get("synthetic") is True,
        origin=printable(origin)[:_ORIGIN_CHARS] if isinstance(origin, str) else "",
        corpus=corpus,
    )


class LabelReader:
    """Collects the lines of `labels.jsonl`; `labels` checks them once the meta is known."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._splitter = LineSplitter(limits.line_bytes)
        self._records: list[dict[str, Any]] = []
        self._n_lines = 0

    def feed(self, chunk: bytes) -> None:
        self._read(self._splitter.feed(chunk))

    def finish(self) -> None:
        self._read(self._splitter.finish())
        if self._splitter.n_too_long:
            _reject(
                ReasonCode.LABEL_JSON,
                f"labels.jsonl has a line over {self._limits.line_bytes} bytes; send labels only",
            )

    def labels(self, meta: Meta, registry: Registry) -> tuple[Label, ...]:
        """The labels in order, every one of a known phase and inside the episode."""
        found: list[Label] = []
        for number, record in enumerate(self._records, 1):
            t, phase = record.get("t_wall_ns"), record.get("phase")
            if type(t) is not int or not isinstance(phase, str):
                _reject(
                    ReasonCode.LABEL_FORM,
                    f"label {number} needs an integer t_wall_ns and a text phase; mend labels.jsonl",
                )
            if phase not in registry.phases:
                known = ", ".join(registry.phases)[:300]
                _reject(
                    ReasonCode.LABEL_UNKNOWN_PHASE, f"label {number} names phase {shown(phase)}; known phases: {known}"
                )
            if not meta.t_start_wall_ns <= t <= meta.t_end_wall_ns:
                _reject(
                    ReasonCode.LABEL_OUTSIDE,
                    f"label {number} at {t} lies outside the episode; write t_wall_ns within it",
                )
            if found and t <= found[-1].t_wall_ns:
                _reject(
                    ReasonCode.LABEL_ORDER,
                    f"label {number} at {t} does not come after the one before; sort labels.jsonl",
                )
            found.append(Label(t, phase))
        return tuple(found)

    def _read(self, lines: bytes) -> None:
        for raw in lines.split(b"\n"):
            if not raw.strip():
                continue
            self._n_lines += 1
            line = parse_line(raw, self._limits.nesting, self._limits.labels)
            if line.fault:
                _reject(ReasonCode.LABEL_JSON, f"labels.jsonl line {self._n_lines}: {line.fault}; send strict JSON")
            self._records += line.objects
            if len(self._records) > self._limits.labels:
                _reject(ReasonCode.LABEL_TOO_MANY, f"labels.jsonl holds over {self._limits.labels} labels; send fewer")


def _time(record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if type(value) is not int:
        _reject(ReasonCode.META_TIME, f"meta.json has {key} {shown(value)}; write an integer of nanoseconds")
    if not EARLIEST_NS <= value <= LATEST_NS:
        _reject(
            ReasonCode.TIME_UNIT, f"meta.json has {key} {value}, outside 2000 to 2100; write nanoseconds since 1970"
        )
    return value


def _sources(value: object) -> dict[str, int | None]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _reject(ReasonCode.META_SOURCES, f"meta.json has sources {shown(value)}; write an object of row counts")
    for name, count in value.items():
        if count is not None and (type(count) is not int or count < 0):
            _reject(
                ReasonCode.META_SOURCES,
                f"meta.json counts {shown(count)} rows of {shown(name)}; write a number or null",
            )
    return dict(value)


def _reject(reason: ReasonCode, detail: str) -> NoReturn:
    raise EpisodeRejected(reason, detail)
