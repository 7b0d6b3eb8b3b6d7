"""`gbt` on nested shares of the train episodes: what more episodes would give; predictions only, labels unread.

One member a round, the one that leaves the first fold out, so the full share is a member of the checkpoint and costs
nothing. What does not belong here: the figures made of it (`evaluation/`).
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.detectors.checkpoint import Members
from rlstir_core.detectors.episode_set import Recording
from rlstir_core.detectors.models import MODELS
from rlstir_core.detectors.scenes import BASELINE, TEST, Scored
from rlstir_core.detectors.study import Study
from rlstir_core.detectors.training import member_sides, training_blocks, validation_blocks
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout

MODEL = "gbt"
PARTS = (8, 4, 2)  # one in so many
FOLD = 0  # the one that is left out


class LearntFrom(msgspec.Struct, frozen=True, kw_only=True):
    """One share: how many episodes a round's member had, the fold it was stopped on among them, and its predictions."""

    part: int
    n_episodes: int
    sha256: str = ""


def share_name(part: int) -> str:
    """The name that predictions of one in `part` episodes go by."""
    return f"{MODEL}-one-in-{part}"


def fit_shares(study: Study, layout: Layout, tell: Tell) -> Iterator[tuple[LearntFrom, Scored]]:
    """A predictor for each share, shown the test scene alone."""
    inputs = study.input_schema(MODELS[MODEL].kind, PRIMARY_MODE)
    views = study.training_views(MODEL)
    n_phases = len(inputs.phases)
    for part in PARTS:
        tell(f"fitting {MODEL} on one in {part} train episodes")
        members, sizes = [], []
        for place in range(len(study.split.rounds)):
            train, held = (share_of(side, part) for side in member_sides(study, place, FOLD))
            detector = MODELS[MODEL].build()
            blocks = training_blocks(study, train, inputs, views)
            detector.fit(blocks, validation_blocks(study, held, inputs), n_phases, study.numbers, lambda _: None)
            members.append((place, FOLD, detector))
            sizes.append(len(train) + len(held))
        path = layout.predictions(study.options.recipe, share_name(part), BASELINE)
        scored = Scored(path=path, inputs=inputs, predictor=Members(members), shown=(TEST,))
        yield LearntFrom(part=part, n_episodes=round(sum(sizes) / len(sizes))), scored


def share_of(recordings: Sequence[Recording], part: int) -> list[Recording]:
    """One in `part` of these episodes, at least one; a smaller share is contained in every larger one."""
    of = {recording.info.episode_id: recording for recording in recordings}
    order = nested_order([recording.info for recording in recordings])
    return [of[name] for name in order[: math.ceil(len(order) / part)]]


def nested_order(infos: Sequence[EpisodeInfo]) -> list[str]:
    """Episodes in an order of which every beginning is spread over hosts, profiles and benign twins as the whole is."""
    strata: dict[tuple[str, str, bool], list[tuple[bytes, str]]] = defaultdict(list)
    for info in infos:
        key = hashlib.sha256(f"share/{info.episode_id}".encode()).digest()
        strata[info.host, info.profile, info.benign].append((key, info.episode_id))
    placed = []
    for members in strata.values():
        members.sort()
        placed += [((rank + 0.5) / len(members), key, name) for rank, (key, name) in enumerate(members)]
    return [name for *_, name in sorted(placed)]
