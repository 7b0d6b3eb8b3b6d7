"""The events of the live view: CloudEvents 1.0 in JSON, of eight types, and the JSON Schema of them all.

`docs/live.md` says the same for people. What does not belong here: how events travel (`publisher.py`, `serving/`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

PREFIX: Final = "io.rlstir."
SCHEMA_ID: Final = "https://rlstir.io/live/v1"  # a name; nobody fetches it

ShortText = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=2_000)]
SecondsIn = Annotated[float, Meta(ge=0, le=1e9)]
Probability = Annotated[float, Meta(ge=0, le=1)]
WholeNumber = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class _Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an event says; a field that is not known is refused, since it is a slip of the pen."""


class _OfEpisode(_Data, frozen=True, kw_only=True):
    host: ShortText
    episode: ShortText
    run: Annotated[str, Meta(max_length=64)] = ""  # another one begins the episode anew


class ShownModel(_Data, frozen=True, kw_only=True):
    """A detector that will speak of the episode."""

    name: ShortText
    threshold: Probability | None = None  # of P(attack), from validation
    threshold_from: LongText = ""
    chosen: bool = False  # by validation, to be the one to speak of
    same_as: Annotated[str, Meta(max_length=200)] = ""  # says the same


class ShownChannel(_Data, frozen=True, kw_only=True):
    """A numeric series of the episode."""

    name: ShortText
    unit: Annotated[str, Meta(max_length=64)] = ""
    scale: Literal["linear", "log"] = "linear"  # of the plot
    shown: bool = True  # at first


class EpisodeData(_OfEpisode, frozen=True, kw_only=True):
    """An episode begins, or has ended; what belongs to it need not be known from the first."""

    state: Literal["began", "ended"] = "began"
    duration_s: SecondsIn | None = None
    phases: Annotated[tuple[ShortText, ...], Meta(max_length=64)] = ()  # in their order: it gives the colours
    attack_phases: Annotated[tuple[ShortText, ...], Meta(max_length=64)] = ()
    onset_phase: Annotated[str, Meta(max_length=200)] = ""  # whose beginning is that of the infection
    models: Annotated[tuple[ShownModel, ...], Meta(max_length=64)] = ()
    channels: Annotated[tuple[ShownChannel, ...], Meta(max_length=512)] = ()
    note: LongText = ""


class TelemetryData(_OfEpisode, frozen=True, kw_only=True):
    """Values of channels in bins of equal length from `t_s` on; null where missing."""

    t_s: SecondsIn
    step_s: Annotated[float, Meta(gt=0, le=86_400)]
    values: Annotated[
        dict[ShortText, Annotated[tuple[float | None, ...], Meta(max_length=1_000)]], Meta(min_length=1, max_length=512)
    ]


class PhaseData(_OfEpisode, frozen=True, kw_only=True):
    """The truth: a phase that begins."""

    t_s: SecondsIn
    phase: ShortText


class PredictionData(_OfEpisode, frozen=True, kw_only=True):
    """What a model says of a window; it may be published once the window has ended."""

    model: ShortText
    start_s: SecondsIn
    end_s: SecondsIn
    phase: ShortText  # the most probable
    p_attack: Probability | None = None
    probabilities: Annotated[dict[ShortText, Probability], Meta(max_length=64)] = {}


class EmbeddingData(_OfEpisode, frozen=True, kw_only=True):
    """Where a model puts a moment; of the vector the page draws the first two numbers."""

    model: ShortText
    t_s: SecondsIn
    vector: Annotated[tuple[float, ...], Meta(min_length=2, max_length=64)]


class MetricData(_Data, frozen=True, kw_only=True):
    """A figure of a model, with its interval where there is one; `step` makes it a point of a curve."""

    model: ShortText
    metric: ShortText
    value: float | None
    lo: float | None = None
    hi: float | None = None
    group: Literal["all", "profile", "host", "phase"] = "all"
    of: Annotated[str, Meta(max_length=200)] = ""  # which profile, host or phase
    n_test: WholeNumber | None = None  # episodes
    recipe: Annotated[str, Meta(max_length=64)] = ""
    step: Annotated[float, Meta(ge=0, le=1e15)] | None = None
    note: LongText = ""


class PerfData(_Data, frozen=True, kw_only=True):
    """How fast a model is, as it was measured just now."""

    model: ShortText
    windows_per_s: Annotated[float, Meta(ge=0, le=1e12)]
    p50_ms: Annotated[float, Meta(ge=0, le=1e12)]
    p95_ms: Annotated[float, Meta(ge=0, le=1e12)]
    n: WholeNumber  # timed calls
    device: Annotated[str, Meta(max_length=64)] = ""


class StepData(_OfEpisode, frozen=True, kw_only=True):
    """One step of an investigation: the alert, a query with what it revealed, or the verdict."""

    policy: ShortText
    step: WholeNumber
    kind: Literal["alert", "query", "verdict"]
    query: Annotated[str, Meta(max_length=200)] = ""
    sentence: LongText = ""
    entity: Annotated[str, Meta(max_length=400)] = ""
    cost: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    spent: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    p_attack: Probability | None = None
    p_tampered: Probability | None = None
    techniques: Annotated[dict[ShortText, Probability], Meta(max_length=16)] = {}
    n_rows: WholeNumber = 0  # that it revealed
    rows: Annotated[tuple[Annotated[str, Meta(max_length=400)], ...], Meta(max_length=8)] = ()


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """The envelope of CloudEvents 1.0; extension attributes are let through and not kept."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=128)]  # with `source`, of one event alone
    source: Annotated[str, Meta(min_length=1, max_length=200)]
    subject: Annotated[str, Meta(max_length=410)] = ""
    time: Annotated[
        str, Meta(max_length=40, pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?$")
    ] = ""
    datacontenttype: Literal["application/json"] = "application/json"


class EpisodeEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.episode.v1"):
    data: EpisodeData


class TelemetryEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.telemetry.v1"):
    data: TelemetryData


class PhaseEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.phase.v1"):
    data: PhaseData


class PredictionEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.prediction.v1"):
    data: PredictionData


class EmbeddingEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.embedding.v1"):
    data: EmbeddingData


class MetricEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.model_metric.v1"):
    data: MetricData


class PerfEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.model_perf.v1"):
    data: PerfData


class StepEvent(_Event, frozen=True, kw_only=True, tag="io.rlstir.investigation_step.v1"):
    data: StepData


LiveEvent = (
    EpisodeEvent | TelemetryEvent | PhaseEvent | PredictionEvent | EmbeddingEvent | MetricEvent | PerfEvent | StepEvent
)
TYPES: Final[tuple[str, ...]] = tuple(each.__struct_config__.tag for each in LiveEvent.__args__)
_ONE = msgspec.json.Decoder(LiveEvent)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


class EventRefused(ValueError):
    """An event that breaks the contract, in one sentence."""


def parse(body: bytes, *, most: int, event_bytes: int) -> list[LiveEvent]:
    """The events of a body: one object, or an array of them.

    EventRefused where one breaks the contract, EventTooLarge where there are more than `most` or one is too long.
    """
    try:
        raws = [bytes(raw) for raw in _RAWS.decode(body)] if body.lstrip()[:1] == b"[" else [body]
    except (msgspec.DecodeError, RecursionError) as error:
        raise EventRefused(f"the body is not JSON that can be read ({_told(error)})") from None
    if len(raws) > most:
        raise EventTooLarge(f"{len(raws)} events in one request; send at most {most}")
    found = []
    for at, raw in enumerate(raws):
        if len(raw) > event_bytes:
            raise EventTooLarge(f"event {at} has {len(raw)} bytes; an event has at most {event_bytes}")
        try:
            found.append(_ONE.decode(raw))
        except (msgspec.DecodeError, RecursionError) as error:
            raise EventRefused(f"event {at} breaks the contract: {_told(error)}") from None
    return found


class EventTooLarge(ValueError):
    """More than a request or an event may hold, in one sentence."""


def encoded(event: LiveEvent) -> bytes:
    """The event as it is kept and handed on: JSON on one line."""
    return _ENCODER.encode(event)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an event of any type; each has its own under `$defs`."""
    (one,), parts = msgspec.json.schema_components([LiveEvent], ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **one, "$defs": parts}


def _told(error: Exception) -> str:
    """What is wrong, in printable ASCII."""
    text = " ".join(str(error).split()) if str(error) else type(error).__name__
    return ascii(text[:300])[1:-1]
