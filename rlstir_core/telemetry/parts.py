"""Which Parquet file of a host holds which episode: files of bounded size, and few of them touched by a new episode.

Linear hashing (Litwin, VLDB 1980): the number of files follows the number of episodes one by one, and each step
splits one file only. Where an episode lies depends on the set of episodes alone, never on the order in which
they came. What does not belong here: what is in the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EPISODES_A_PART = 32  # a thousand columns make a file costly to open; more episodes a file make a new one dear


def parts(episodes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """{file name: its episodes by name}; a part that no episode falls into has no file."""
    names = sorted(episodes)
    n = -(-len(names) // EPISODES_A_PART)
    held: dict[int, list[str]] = {}
    for episode in names:
        held.setdefault(_part_of(episode, n), []).append(episode)
    return {f"part-{part:05d}.parquet": tuple(held[part]) for part in sorted(held)}


def _part_of(episode: str, n: int) -> int:
    """The part of `n` that an episode falls into: its hash modulo the power of two above n, or the one below it."""
    hashed = int.from_bytes(hashlib.sha256(episode.encode()).digest()[:8], "big")
    above = 1 << (n - 1).bit_length()
    part = hashed % above
    return part if part < n else part - above // 2
