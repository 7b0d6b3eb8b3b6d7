"""Made-up episodes, their split, and what its checks say, for the tests of splits.

What does not belong here: any expectation.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from rlstir_core.datasets.checks import check_split
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import SplitCheck, SplitSettings
from rlstir_core.datasets.split import Split, make_split

H = 3_600 * 10**9
HONEST = ["host", "loho", "sample", "time", "corpus"]
ALL = [*HONEST, "random"]
ONE_ROUND = [recipe for recipe in ALL if recipe != "loho"]


def episode(name: str, **known: Any) -> EpisodeInfo:
    number = int("".join(c for c in name if c.isdigit()) or 0)
    given_ = {
        "episode_id": name,
        "host": "host-a",
        "profile": "worm",
        "sample": f"sample-{number}",
        "benign": False,
        "complete": True,
        "t_start_wall_ns": number * H,
        "t_end_wall_ns": number * H + H // 2,
        "content_sha256": f"content-{name}",
        "windows": {"calm": 3, "attack": 2},
    }
    return EpisodeInfo(**{**given_, **known})


def world(hosts: int = 3, per_host: int = 12, corpora: int = 2) -> list[EpisodeInfo]:
    """Two profiles with benign twins, four samples each, shared by every host."""
    out = []
    for h in range(hosts):
        for k in range(per_host):
            profile, benign, sample = ("worm", "bot")[k % 2], bool(k // 2 % 2), k // 4 % 4
            out.append(
                episode(
                    f"ep-{h}{k:02d}",
                    host=f"host-{h}",
                    corpus=f"corpus-{h % corpora}",
                    profile=profile,
                    benign=benign,
                    sample=f"{profile}-{'twin' if benign else 'real'}-{sample}",
                )
            )
    return out


def ids(episodes: list[EpisodeInfo]) -> set[str]:
    return {e.episode_id for e in episodes}


def divided(recipe: str, episodes: list[EpisodeInfo], **settings: Any) -> Split:
    return make_split(recipe, episodes, SplitSettings(**settings))[0]


def sides_of(split: Split) -> list[str]:
    """Names on a side of any round, once for each side."""
    return [*ids(split.trained_on), *(e.episode_id for e in split.tested)]


def checks_of(split: Split, twins: Any = None) -> dict[str, SplitCheck]:
    return {check.name: check for check in check_split(split, twins or {})}


def failing(split: Split, twins: Any = None) -> set[str]:
    return {name for name, check in checks_of(split, twins).items() if not check.holds}


def in_round(split: Split, **changes: Any) -> Split:
    """The split with another first round."""
    first, *rest = split.rounds
    return msgspec.structs.replace(split, rounds=(msgspec.structs.replace(first, **changes), *rest))


def recording(seed: int, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x_CT = rng.normal(5, 2, (6, 400)).astype(np.float32)
    where = np.random.default_rng(seed + 1000).random(400) < noise
    x_CT[:, where] += 1
    return x_CT
