"""The contract: golden events mean today what they meant yesterday, and the schema that ships says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rlstir_core.live
from rlstir_core.live.contract import TYPES, EventRefused, EventTooLarge, encoded, parse, schema

GOLDEN = (Path(__file__).parent / "golden_events.jsonl").read_bytes().splitlines()
SHIPPED = Path(rlstir_core.live.__file__).with_name("live.schema.json")
BOUNDS: dict[str, Any] = {"most": 100, "event_bytes": 10_000}


@pytest.mark.parametrize("line", GOLDEN, ids=range(1, len(GOLDEN) + 1))
def test_a_golden_event_is_kept_byte_for_byte(line: bytes) -> None:
    (event,) = parse(line, **BOUNDS)
    assert encoded(event) == line


def test_there_is_a_golden_event_of_every_type() -> None:
    assert {json.loads(line)["type"] for line in GOLDEN} == set(TYPES)


def test_the_schema_that_ships_is_that_of_the_code(request: pytest.FixtureRequest) -> None:
    text = json.dumps(schema(), indent=1, sort_keys=True) + "\n"
    if request.config.getoption("--write-golden"):
        SHIPPED.write_text(text)
    assert SHIPPED.read_text() == text, "the contract changed: say so in docs/live.md, and run with --write-golden"


def test_the_schema_has_every_type_and_every_field_of_the_golden_events() -> None:
    parts = schema()["$defs"]
    by_type = {each["properties"]["type"]["enum"][0]: each for each in parts.values() if "type" in each["properties"]}
    assert set(by_type) == set(TYPES)
    for line in GOLDEN:
        event = json.loads(line)
        envelope = by_type[event["type"]]
        assert set(event) <= set(envelope["properties"]) and set(envelope["required"]) <= set(event)
        data = parts[envelope["properties"]["data"]["$ref"].rpartition("/")[2]]
        assert set(event["data"]) <= set(data["properties"]) and set(data["required"]) <= set(event["data"])
        assert data["additionalProperties"] is False


def test_one_event_and_an_array_of_them_are_read_alike() -> None:
    assert parse(GOLDEN[2], **BOUNDS) == parse(b" [ " + GOLDEN[2] + b" ] ", **BOUNDS)
    assert parse(b"[]", **BOUNDS) == []


def test_extension_attributes_of_cloudevents_are_let_through_and_not_kept() -> None:
    (event,) = parse(GOLDEN[2].replace(b'"id":"3"', b'"id":"3","traceparent":"00-1"'), **BOUNDS)
    assert encoded(event) == GOLDEN[2]


def test_a_slip_in_a_field_is_told_with_its_place() -> None:
    with pytest.raises(EventRefused, match=r"event 1 breaks the contract: .*p_atack"):
        parse(b"[" + GOLDEN[2] + b"," + GOLDEN[3].replace(b"p_attack", b"p_atack") + b"]", **BOUNDS)


def test_what_is_told_of_a_bad_event_is_short_and_printable() -> None:
    hostile = GOLDEN[2].replace(b'"t_s"', b'"\\u202e\\u0007<script>\\ud83d\\ude00' + b"x" * 900 + b'"')
    with pytest.raises(EventRefused) as refused:
        parse(hostile, **BOUNDS)
    assert len(str(refused.value)) < 400 and str(refused.value).isascii() and str(refused.value).isprintable()


def test_events_over_the_bounds_are_too_large_not_wrong() -> None:
    with pytest.raises(EventTooLarge, match="2 events in one request; send at most 1"):
        parse(b"[" + GOLDEN[2] + b"," + GOLDEN[2] + b"]", most=1, event_bytes=10_000)
    with pytest.raises(EventTooLarge, match="event 0 has"):
        parse(GOLDEN[0], most=1, event_bytes=100)


def test_an_event_never_holds_a_line_break_when_it_is_kept() -> None:
    (event,) = parse(GOLDEN[2].replace(b'"phase":"infecting"', b'"phase":"a\\nb\\r\\u2028c"'), **BOUNDS)
    assert b"\n" not in encoded(event) and b"\r" not in encoded(event)


def test_every_producer_speaks_the_contract() -> None:
    from rlstir_core.live.producing.timed import _TYPES

    assert {f"io.rlstir.{name}.v1" for name in _TYPES.values()} == set(TYPES)
