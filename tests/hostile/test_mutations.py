"""Good tarballs with damaged bytes: no error, one of three verdicts, and what is usable still makes sense.

Damage before compressing gets deep into the parsers; damage after it mostly meets the frame. Every mutation
is seeded by its number, so a failure names the number that repeats it: `--mutations N` makes more of them.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hostile_corpus.archive import tars
from hostile_corpus.case import END, Good

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.schema import Reading

GOOD = Good("host-a", "ep-1")
Damage = Callable[[random.Random, bytearray], None]


@functools.cache
def good_tar() -> bytes:
    extra = tars.pax((b"mtime", b"1750000000.5")) + tars.member(b"logs/auth.log", b"one line\n" * 99)
    return GOOD.body(guest=GOOD.rows("guest", 300)) + extra + END


@functools.cache
def good_file() -> bytes:
    return zstandard.ZstdCompressor(write_checksum=False).compress(good_tar())


def read(folder: Path, data: bytes) -> Reading:
    path = folder / "e.tar.zst"
    path.write_bytes(data)
    return read_episode(path, registry=default_registry(), host_id="host-a", episode_id="ep-1")


def check(reading: Reading) -> None:
    """What holds of every reading, whatever was read."""
    verdict, episode = reading.verdict, reading.episode
    assert verdict.verdict in ("ok", "degraded", "reject")
    assert (verdict.verdict == "ok") == (verdict.reason == "") == (verdict.reasons == ())
    assert verdict.detail.isascii()
    assert (episode is None) == (verdict.verdict == "reject")
    if episode is None:
        return
    assert (episode.meta.host_id, episode.meta.episode_id) == ("host-a", "ep-1")
    assert episode.meta.t_start_wall_ns < episode.meta.t_end_wall_ns
    times = [label.t_wall_ns for label in episode.labels]
    assert times == sorted(set(times))
    assert {label.phase for label in episode.labels} <= set(default_registry().phases)
    for name, rows in episode.sources.items():
        spec = default_registry().sources[name].fields
        assert set(rows.columns) == {"t_wall_ns", "t_mono_ns", *spec}
        assert {len(column) for column in rows.columns.values()} == {rows.n_rows}
        assert (np.diff(rows.columns["t_wall_ns"]) >= 0).all()
        assert min(rows.n_bad, rows.n_torn, rows.n_outside, rows.n_unsorted) >= 0
        assert len(rows.faults) <= 9
        for field, column in rows.columns.items():
            if column.dtype == np.int64:
                assert (column >= -1).all()
                assert field in spec or (column >= 0).all()
            else:
                assert not np.isinf(column).any()
        assert ("json.bad_rows" in verdict.reasons) or not rows.n_bad
        assert ("time.outside" in verdict.reasons) or not rows.n_outside


def one_percent(rng: random.Random, data: bytearray) -> None:
    for _ in range(max(1, len(data) // 100)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def few_bytes(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def flip_bits(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def splice(rng: random.Random, data: bytearray) -> None:
    at, start, n = rng.randrange(len(data)), rng.randrange(len(data)), rng.choice((1, 7, 100, 512, 1024, 5000))
    data[at : at + rng.choice((0, n))] = data[start : start + n]


def cut_out(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 10, 512, 5000))]


def truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def repeat(rng: random.Random, data: bytearray) -> None:
    at, n = rng.randrange(len(data)), rng.choice((1, 2, 50, 512))
    data[at:at] = data[at : at + n] * rng.choice((1, 2, 300))


COMPRESSED: tuple[Damage, ...] = (flip_bits, few_bytes, splice, cut_out, truncate, repeat)


def seal(data: bytearray, at: int) -> None:
    """Makes the checksum of the header at `at` true again, so that what follows is looked at."""
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


def headers(data: bytes) -> list[int]:
    return [match.start() - 257 for match in re.finditer(rb"ustar\x0000", data) if match.start() >= 257]


def one_percent_behind_true_headers(rng: random.Random, data: bytearray) -> None:
    kept = {at: data[at : at + 512] for at in headers(data)}
    one_percent(rng, data)
    for at, header in kept.items():
        data[at : at + 512] = header
    data[-len(END) :] = END


def swap_header_fields(rng: random.Random, data: bytearray) -> None:
    one, other = rng.choice(headers(data)), rng.choice(headers(data))
    start, end = rng.choice(((0, 100), (100, 148), (124, 136), (156, 157), (157, 257), (257, 265), (345, 500)))
    data[one + start : one + end], data[other + start : other + end] = (
        data[other + start : other + end],
        data[one + start : one + end],
    )
    seal(data, one)
    seal(data, other)


def spoil_a_sealed_header(rng: random.Random, data: bytearray) -> None:
    at = rng.choice(headers(data))
    for _ in range(rng.randint(1, 3)):
        data[at + rng.randrange(512)] = rng.choice((0, 32, 47, 48, 55, 76, 120, 128, rng.randrange(256)))
    seal(data, at)


def change_digits(rng: random.Random, data: bytearray) -> None:
    places = [match.start() for match in re.finditer(rb"(?<=[0-9:])[0-9]", data)]
    for at in rng.sample(places, rng.randint(1, 30)):
        data[at] = rng.choice(b"0123456789-.eE")


def change_json(rng: random.Random, data: bytearray) -> None:
    places = [match.start() for match in re.finditer(rb'[{}\[\]":,\n]', data)]
    for at in rng.sample(places, rng.randint(1, 10)):
        data[at] = rng.choice(b'{}[]":,\n\\ \0\xff')


def swap_blocks(rng: random.Random, data: bytearray) -> None:
    one, other = (512 * rng.randrange(len(data) // 512) for _ in range(2))
    data[one : one + 512], data[other : other + 512] = data[other : other + 512], data[one : one + 512]


def drop_a_byte_and_fill_up(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) - 1024)
    del data[at]
    data.insert(-(-at // 512) * 512, 0)


TAR: tuple[Damage, ...] = (
    few_bytes,
    splice,
    cut_out,
    truncate,
    swap_header_fields,
    spoil_a_sealed_header,
    change_digits,
    change_json,
    swap_blocks,
    drop_a_byte_and_fill_up,
)


def damaged(seed: int, where: str) -> bytes:
    """The mutation of that number: half of them damage one byte in a hundred, the others are aimed."""
    rng = random.Random(f"{where}-{seed}")
    in_tar = where == "tar"
    data = bytearray(good_tar() if in_tar else good_file())
    everywhere = (one_percent, one_percent_behind_true_headers) if in_tar else (one_percent,)
    damage = rng.choice(everywhere if seed % 2 else TAR if in_tar else COMPRESSED)
    damage(rng, data)
    return zstandard.ZstdCompressor().compress(bytes(data)) if in_tar else bytes(data)


@pytest.mark.parametrize("where", ["file", "tar"])
def test_damage_never_raises_and_what_is_usable_makes_sense(where, tmp_path, n_mutations):
    check(read(tmp_path, good_file()))
    for seed in range(n_mutations // 2):
        data = damaged(seed, where)
        try:
            check(read(tmp_path, data))
        except Exception as error:
            raise AssertionError(f"damaged({seed}, {where!r}): {type(error).__name__}: {error}") from error


def member(rng: random.Random, name: str) -> bytes:
    """One member of the good episode, one byte in a hundred or a few places damaged, its header true."""
    data = bytearray(GOOD.members()[name])
    rng.choice((one_percent, few_bytes, change_digits, change_json, splice))(rng, data)
    return bytes(data)


@pytest.mark.parametrize("name", ["meta.json", "labels.jsonl", "proc.jsonl", "netflow.jsonl", "guest.jsonl"])
def test_damage_inside_one_member_stays_there(name, tmp_path, n_mutations):
    """Damaged rows lose only rows of their own source; a damaged meta or damaged labels may cost the episode."""
    good = read(tmp_path, good_file()).episode
    for seed in range(n_mutations // 20):
        changed = {name.removesuffix(".jsonl").removesuffix(".json"): member(random.Random(f"{name}{seed}"), name)}
        reading = read(tmp_path, GOOD.packed(**changed))
        check(reading)
        if name in ("meta.json", "labels.jsonl"):
            continue
        assert reading.verdict.usable, (seed, reading.verdict)
        for source, rows in reading.episode.sources.items():
            if f"{source}.jsonl" != name and source != "guest":
                assert all((rows.columns[field] == good.sources[source].columns[field]).all() for field in rows.columns)
