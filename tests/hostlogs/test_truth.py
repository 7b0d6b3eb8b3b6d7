"""The truth about tampering: spans of time and channel, spans that name rows, and what breaks the form."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rlstir_core.hostlogs.attack.truth import LogTruth, TamperSpan, read_truth
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder

T0 = 1_714_564_800
SPAN: dict[str, Any] = {
    "t_start_wall_ns": T0 * 10**9,
    "t_end_wall_ns": (T0 + 2) * 10**9,
    "channel": "auth",
    "kind": "jitter",
}


def read(*spans: dict[str, Any]) -> LogTruth:
    return read_truth(None, msgspec.json.encode(list(spans)))


def tags(truth: LogTruth) -> dict[tuple[str, int], str | None]:
    """The tag of every row of two logs of one episode, five rows each, whose times go against the order of the file."""
    builder = TableBuilder("web1", "e", 1000)
    auth = "".join(f"2024-05-01T12:00:{8 - 2 * k:02d}Z web1 sshd[{k}]: x {k}\n" for k in range(5)).encode()
    audit = "".join(f"type=LOGIN msg=audit({T0 + 8 - 2 * k}.000:{k + 5}): pid={k} uid=0\n" for k in range(5)).encode()
    for member, data in (("logs/auth.log", auth), ("logs/audit.log", audit)):
        spec = spec_of_member(member)
        assert spec is not None
        builder.add(member, spec.rows([data], LogContext()))
    found = builder.finish(truth).select(["member", "seq", "tamper_tag"]).to_pylist()
    return {(row["member"].removeprefix("logs/"), row["seq"]): row["tamper_tag"] for row in found}


def tagged(*spans: dict[str, Any]) -> dict[tuple[str, int], str | None]:
    truth = read(*spans)
    assert truth.n_bad == 0
    return {key: tag for key, tag in tags(truth).items() if tag is not None}


def test_a_span_without_rows_tags_its_channel_in_its_time() -> None:
    assert tagged(SPAN) == {("auth.log", 3): "jitter", ("auth.log", 4): "jitter"}
    assert tagged({**SPAN, "member": "logs/auth.log"}) == tagged(SPAN)
    assert tagged({**SPAN, "member": "logs/other.log"}) == {}


def test_a_span_with_rows_tags_these_and_no_others_whatever_its_time() -> None:
    assert tagged({**SPAN, "member": "logs/audit.log", "seqs": [0, 4]}) == {
        ("audit.log", 0): "jitter",
        ("audit.log", 4): "jitter",
    }
    assert tagged({**SPAN, "seqs": [1]}) == {("auth.log", 1): "jitter"}


@pytest.mark.parametrize(
    ("borders", "seqs"),
    [((1, 2), [1, 2]), ((-1, 0), [0]), ((4, -1), [4]), ((-1, -1), []), ((3, None), [3]), ((None, 3), [3])],
)
def test_a_gap_tags_the_rows_that_border_it(borders: tuple[int | None, int | None], seqs: list[int]) -> None:
    span = {**SPAN, "member": "logs/auth.log", "after_seq": borders[0], "before_seq": borders[1], "n_removed": 7}
    assert tagged(span) == {("auth.log", seq): "jitter" for seq in seqs}


def test_rows_that_are_not_there_are_no_error_and_the_first_span_counts() -> None:
    one = {**SPAN, "member": "logs/auth.log", "seqs": [1, 99, 2**63 - 1]}
    two = {**SPAN, "member": "logs/auth.log", "seqs": [1, 2], "kind": "clock_step"}
    assert tagged(one, two) == {("auth.log", 1): "jitter", ("auth.log", 2): "clock_step"}


@pytest.mark.parametrize(
    "more",
    [
        {"seqs": [-1]},
        {"seqs": [2**63]},
        {"seqs": [1.5]},
        {"seqs": "all"},
        {"seqs": 5},
        {"after_seq": -2},
        {"before_seq": "1"},
        {"before_seq": 2**64},
        {"member": 5},
        {"member": "x" * 256},
        {"member": "logs/a\nb"},
        {"channel": "a b"},
    ],
)
def test_what_breaks_the_form_is_dropped_and_counted(more: dict[str, Any]) -> None:
    truth = read({**SPAN, **more}, SPAN)
    assert truth.n_bad == 1 and len(truth.spans) == 1


def test_a_span_is_written_as_it_is_read_and_what_it_does_not_say_is_not_there() -> None:
    plain = TamperSpan(**SPAN)
    assert msgspec.json.decode(msgspec.json.encode(plain)) == SPAN
    full = TamperSpan(**SPAN, member="logs/auth.log", seqs=(1, 2), after_seq=-1, before_seq=4, n_removed=3)
    assert read(msgspec.to_builtins(full)).spans == (full,)
    assert full.places == (1, 2, 4) and plain.places is None
