"""Times of foreign tables: the unit is checked before anything is multiplied, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Kit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlstir_core.errors import StoreError
from rlstir_core.importers.table.mapping import Mapping, parse_mapping
from rlstir_core.importers.table.times import time_column

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# some in every year: a product that wraps lands in a plausible year for about one time in eight
MOMENTS = (946_684_800, 1_262_304_000, 1_577_836_800, 1_716_494_400, 1_719_000_000, 1_735_689_600, 4_000_000_000)


def times(kit: Kit, values: pa.Array | list[object], unit: str, since: str = "epoch") -> list[int]:
    text = kit.LAB.replace('unit = "s"', f'unit = "{unit}", since = "{since}"')
    rules: Mapping = parse_mapping(text.encode(), "m")
    made = time_column(pa.table({"when": values}), rules)
    assert made is not None
    return made.tolist()


@pytest.mark.parametrize("kind", ["int", "float", "text", "decimal"])
@pytest.mark.parametrize("said", UNITS)
@pytest.mark.parametrize("held", UNITS)
def test_a_unit_that_is_not_the_columns_is_refused_with_the_one_that_is(
    kit: Kit, said: str, held: str, kind: str
) -> None:
    for moment in MOMENTS:
        numbers = [(moment + i) * UNITS[held] for i in range(3)]
        column = {
            "int": pa.array(numbers),
            "float": pa.array([float(n) for n in numbers]),
            "text": pa.array([str(n) for n in numbers]),
            "decimal": pa.array(numbers).cast(pa.decimal128(20, 0)),
        }[kind]
        if said == held:
            assert [t // 10**9 for t in times(kit, column, said)] == [moment, moment + 1, moment + 2]
        else:
            with pytest.raises(StoreError, match=f"holds {NAMES[held]} since 1970 .*set unit = '{held}'"):
                times(kit, column, said)


@pytest.mark.parametrize(
    ("values", "unit", "since", "words"),
    [
        ([2**63 - 1], "s", "epoch", "not 2000 to 2100"),
        ([-(2**63)], "ns", "epoch", "not 2000 to 2100"),
        ([2**64 - 1], "ns", "epoch", "not 2000 to 2100"),
        ([0, 1, 2], "s", "epoch", "since = 'start'"),
        ([1_716_494_400, 17], "s", "epoch", "not 2000 to 2100"),
        ([1_716_494_400_000_000], "ms", "start", "microseconds since 1970, so set unit = 'us'"),
        ([2**62], "s", "start", "over 200 years"),
        ([float("nan")], "s", "epoch", "no finite number"),
        (["1e400"], "s", "start", "no finite number"),
        (["2024-05-01"], "s", "epoch", "set unit = 'iso'"),
        (["1716494400"], "iso", "epoch", "seconds since 1970, so set unit = 's'"),
        (["1716494400000"], "iso", "epoch", "milliseconds since 1970, so set unit = 'ms'"),
        (["1999-12-31T23:59:59Z"], "iso", "epoch", "not 2000 to 2100"),
        (["2024-05-01 10:00 Uhr"], "iso", "epoch", "no ISO date"),
        ([True], "s", "epoch", "set unit = 'iso'"),
    ],
)
def test_a_time_that_cannot_be_is_refused_and_never_wraps(
    kit: Kit, values: list[object], unit: str, since: str, words: str
) -> None:
    if values == [2**64 - 1]:
        values = pa.array(values, pa.uint64())
    with pytest.raises(StoreError, match=words):
        times(kit, values, unit, since)


def test_fractions_of_a_second_are_kept(kit: Kit) -> None:
    assert times(kit, ["1716494400.25", " 1716494401 "], "s") == [1_716_494_400_250_000_000, 1_716_494_401_000_000_000]
    assert times(kit, [0.001, 1.5], "s", "start") == [1_000_000, 1_500_000_000]
    assert times(kit, ["2024-05-01T10:00:00.123456789+02:00"], "iso") == [1_714_550_400_123_456_789]
    assert times(kit, pa.array([1_716_494_400_000], pa.timestamp("ms")), "s") == [1_716_494_400_000_000_000]


@pytest.mark.parametrize(("since", "words"), [("epoch", "mend its times"), ("start", "in 'ms' it would take 11.1 h")])
def test_a_recording_of_years_is_refused(kit: Kit, tmp_path: Path, since: str, words: str) -> None:
    mapping = kit.LAB.replace('unit = "s"', f'unit = "s", since = "{since}"')
    zero, step = (kit.T0, 20_000_000) if since == "epoch" else (0, 2_000_000)
    text = kit.table(["r1", "m1", zero + i * step, "clean", i % 3] for i in range(3 if since == "epoch" else 21))
    with pytest.raises(StoreError, match=words):
        kit.bring(tmp_path, text, mapping)


def test_an_episode_that_validation_will_reject_is_named(kit: Kit, tmp_path: Path) -> None:
    made = kit.bring(tmp_path, kit.table(["r1", "m1", kit.T0 + i * 900, "clean", i % 3] for i in range(160)))
    assert (made.n_too_long, made.longest_h) == (1, 40.0)
    assert "take over 24 h (up to 40.0 h), which validation rejects" in made.losses[0]


def test_dates_without_a_zone_are_utc_and_the_summary_says_so(kit: Kit, tmp_path: Path) -> None:
    iso = kit.LAB.replace('unit = "s"', 'unit = "iso"')
    dates = [f"2024-05-01T10:00:0{i}" for i in range(3)]
    made = kit.bring(tmp_path, kit.table(["r1", "m1", date, "clean", 1] for date in dates), iso)
    assert made.zone_assumed
    zoned = kit.bring(tmp_path, kit.table(["r1", "m1", f"{d}Z", "clean", 1] for d in dates), iso, store="other")
    assert not zoned.zone_assumed
    for zone, assumed in ((None, True), ("UTC", False)):
        when = pa.array(range(3), pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("ns", zone))
        shifted = pa.array([v.value + kit.T0 * 10**9 for v in when], pa.timestamp("ns", zone))
        columns = {"run": ["r"] * 3, "host": ["m"] * 3, "when": shifted, "state": ["bad"] * 3, "load": [3, 1, 2]}
        pq.write_table(pa.table(columns), tmp_path / "p")
        made = kit.bring(tmp_path, (tmp_path / "p").read_bytes(), store=f"zone-{zone}")
        assert made.zone_assumed is assumed


def test_a_table_of_a_slightly_other_step_extends_the_store(kit: Kit, tmp_path: Path) -> None:
    loose = kit.LAB.replace("bin_hz = 1.0, ", "")
    kit.bring(tmp_path, kit.table(kit.rows(range(9))), loose)
    later = kit.table(["r2", "m1", f"{kit.T0 + i * 1.003:.3f}", "bad", i % 3] for i in range(9))
    assert kit.bring(tmp_path, later, loose, name="u.csv").n_episodes == 1
    assert set(kit.read_back(tmp_path / "store")) == {"r1", "r2"}
