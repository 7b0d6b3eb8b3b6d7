"""Near-duplicates: two recordings of the same thing must not stand on both sides of a split.

What does not belong here: the signatures (`telemetry/signature.py`) and what happens to a duplicate (`recipes.py`).
"""

from __future__ import annotations

from datasketch import MinHashLSH

from rlstir_core.telemetry.signature import PERMUTATIONS, minhash_of

_THRESHOLD = 0.8  # Jaccard similarity of the sets of recorded bins


def near_duplicates(
    train: dict[str, tuple[str, tuple[int, ...]]], test: dict[str, tuple[str, tuple[int, ...]]]
) -> set[str]:
    """Train episodes that repeat a test episode. {episode: (content hash, signature)} for each side."""
    known = {content for content, _ in test.values()}
    found = {episode for episode, (content, _) in train.items() if content in known}
    hashes = {episode: minhash_of(values) for episode, (_, values) in test.items() if values}
    if not hashes:
        return found
    lsh = MinHashLSH(threshold=_THRESHOLD, num_perm=PERMUTATIONS)
    for episode, minhash in hashes.items():
        lsh.insert(episode, minhash)
    for episode, (_, values) in train.items():
        if values:
            mine = minhash_of(values)
            if any(hashes[other].jaccard(mine) >= _THRESHOLD for other in lsh.query(mine)):
                found.add(episode)
    return found
