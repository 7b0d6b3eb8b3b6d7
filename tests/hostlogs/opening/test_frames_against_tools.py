"""Compressed files against the tools that everybody has: the same bytes, and a word wherever the tool complains."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import subprocess
from collections.abc import Callable
from typing import IO, cast

import pytest
import zstandard

from rlstir_core.hostlogs.opening.frames import Compression, Frames

pytestmark = pytest.mark.slow
N = 300
COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}
TOOLS: dict[Compression, list[str]] = {
    "gzip": ["gzip", "-dc"],
    "xz": ["xz", "-dc"],
    "bzip2": ["bzip2", "-dc"],
    "zstd": ["zstd", "-dcq"],
}


def mutated(dice: random.Random, kind: Compression) -> tuple[bytes, str]:
    """A file of one to four frames, and what was done to it."""
    parts = []
    for _ in range(dice.randint(1, 4)):
        line = f"May  1 10:00:00 web1 sshd[{dice.randint(1, 9999)}]: Invalid user {dice.random()}\n".encode()
        parts.append(COMPRESS[kind](line * dice.choice((0, 1, 50, 3000))))
        if kind == "zstd" and dice.random() < 0.3:
            parts.append(b"\x5a\x2a\x4d\x18\x05\0\0\0abcde")
    whole, how = b"".join(parts), dice.choice(("whole", "whole", "cut", "garbage", "flip"))
    if how == "cut":
        return whole[: dice.randint(min(8, len(whole)), len(whole))], how
    if how == "garbage":
        return whole + bytes(dice.randint(1, 255) for _ in range(dice.randint(1, 40))), how
    if how == "flip":
        at = dice.randint(8, len(whole) - 1)
        return whole[:at] + bytes([whole[at] ^ (1 << dice.randint(0, 7))]) + whole[at + 1 :], how
    return whole, how


@pytest.mark.parametrize("kind", TOOLS)
def test_the_bytes_of_the_tool_are_read_and_nothing_is_lost_without_a_word(kind: Compression) -> None:
    if shutil.which(TOOLS[kind][0]) is None:
        pytest.skip(f"{TOOLS[kind][0]} is not installed")
    dice = random.Random(f"frames {kind}")
    n_faults = n_same = 0
    for _ in range(N):
        data, how = mutated(dice, kind)
        tool = subprocess.run(TOOLS[kind], input=data, capture_output=True, check=False)
        frames = Frames(cast(IO[bytes], io.BytesIO(data)), kind)
        ours = frames.readall()
        assert ours is not None
        if tool.returncode == 0:
            assert ours == tool.stdout, how
            n_same += 1
        else:
            assert frames.fault, (how, tool.stderr[:200])
            n_faults += 1
            short, long = sorted((ours, tool.stdout), key=len)
            assert how == "flip" or long.startswith(short)
    assert n_faults > N // 10 and n_same > N // 3
