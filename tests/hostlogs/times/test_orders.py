"""One log, one order of day and month; what decides it, and that it is assumed where nothing does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rlstir_core.hostlogs.times.orders import DateOrders


def decided(*texts: str, written: str = "") -> tuple[str, bool]:
    orders = DateOrders()
    for text in texts:
        orders.see(text)
    modified = int(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()) * 10**9 if written else None
    return orders.decided(modified)


@pytest.mark.parametrize(
    ("texts", "written", "expected"),
    [
        ([], "", ("", False)),
        (["2024-05-01 10:00:00", "2024/05/01 10:00:00"], "", ("", False)),
        (["5/1/2024 10:00:00 AM"], "", ("mdy", True)),
        (["01/05/2024 10:00:00"], "", ("dmy", True)),
        (["01.05.2024 10:00:00"], "", ("dmy", False)),
        (["01/05/2024 10:00:00", "31/05/2024 10:00:00"], "", ("dmy", False)),
        (["05/01/2024 10:00:00", "05/31/2024 10:00:00"], "", ("mdy", False)),
        (["13/05/2024 10:00:00", "05/31/2024 10:00:00"], "", ("", True)),
        (["05/06/2024 10:00:00"], "2024-05-08", ("mdy", False)),
        (["05/06/2024 10:00:00"], "2024-05-01", ("dmy", True)),
        (["12/04/2024 10:00:00", "03/05/2024 10:00:00", "04/06/2024 10:00:00"], "", ("dmy", False)),
        (["04/06/2024 10:00:00", "03/05/2024 10:00:00", "12/04/2024 10:00:00"], "", ("dmy", False)),
        (["05/01/2024 10:00:00", "05/02/2024 10:00:00", "04/03/2025 10:00:00"], "", ("dmy", True)),
    ],
)
def test_an_order_is_decided_by_evidence_and_assumed_without(
    texts: list[str], written: str, expected: tuple[str, bool]
) -> None:
    assert decided(*texts, written=written) == expected


@pytest.mark.parametrize(("other", "order"), [("2024-05-06T08:00:02Z", "mdy"), ("2024-06-05 23:00:00Z", "dmy")])
def test_another_time_of_the_same_event_decides(other: str, order: str) -> None:
    orders = DateOrders()
    orders.see("05/06/2024 10:00:00", ["05/06/2024 10:00:01", None, other])
    assert orders.decided() == (order, False)


def test_what_is_no_text_tells_nothing() -> None:
    orders = DateOrders()
    for value in (None, 5, [], "10:00:00", "5/1/24 10:00"):
        orders.see(value)
    assert orders.decided() == ("", False)
