"""Why a detector is trained: what changed since its checkpoint was made, in words for whoever waits.

What does not belong here: whether it must be trained (`training.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rlstir_core.datasets.split import Split
from rlstir_core.detectors.checkpoint import Checkpoint, read_checkpoint
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout

_HOSTS_NAMED = 4


def why_trained(
    layout: Layout, options: StudyOptions, split: Split, schema_sha256: str, stale: Iterable[tuple[str, str]]
) -> dict[str, int]:
    """{reason: how many of the `stale` (model, mode) it speaks of}, the most frequent first."""
    reasons = Counter(
        _reason(layout.checkpoint(options.recipe, model, mode), options, split, schema_sha256) for model, mode in stale
    )
    return dict(reasons.most_common())


def _reason(path: Path, options: StudyOptions, split: Split, schema_sha256: str) -> str:
    try:
        checkpoint = read_checkpoint(path)
    except UpstreamMissing:
        return "not trained yet"
    except CheckpointError:
        return "the checkpoint is damaged"
    changed = [
        *_settings(checkpoint, options),
        *(["the feature schema changed"] if checkpoint.input_schema.feature_schema_sha256 != schema_sha256 else []),
        *_episodes(checkpoint, split),
    ]
    if not changed and checkpoint.train_sha256 != split.train_sha256:
        changed = ["the episodes of the train side, or their folds, changed"]
    return "; ".join(changed) or "numbers of the preset, the way of training or a file of the checkpoint changed"


def _settings(checkpoint: Checkpoint, options: StudyOptions) -> list[str]:
    pairs = (("preset", checkpoint.preset, options.preset), ("seed", checkpoint.seed, options.split.seed))
    return [f"{name} {now} instead of {before}" for name, before, now in pairs if before != now]


def _episodes(checkpoint: Checkpoint, split: Split) -> list[str]:
    """What came to the train side and what left it; a member's fold is what the other members were trained on."""
    before = {name for member in checkpoint.members for name in member.validation_episodes}
    now = {name for each in split.rounds for name in each.train}
    came, left = split.select(sorted(now - before)), before - now
    hosts_before = {split.by_name[name].host for name in now & before}
    new_hosts = Counter(info.host for info in came if info.host not in hosts_before)
    more = Counter(info.host for info in came if info.host in hosts_before)
    said = []
    if new_hosts:
        named = _named([f"{host} ({n} episodes)" for host, n in sorted(new_hosts.items())])
        said.append(f"{named} {'is' if len(new_hosts) == 1 else 'are'} new on the train side")
    if more:
        said.append(f"new episodes on the train side: {_named([f'{n} of {host}' for host, n in sorted(more.items())])}")
    if left:
        said.append(f"{len(left)} {'episode' if len(left) == 1 else 'episodes'} left the train side")
    return said


def _named(words: list[str]) -> str:
    more = f" and {len(words) - _HOSTS_NAMED} more" if len(words) > _HOSTS_NAMED else ""
    return ", ".join(words[:_HOSTS_NAMED]) + more
