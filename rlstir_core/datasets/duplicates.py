"""Near-duplicates: two recordings of the same thing must not stand on both sides of a split.

What does not belong here: the signatures (`telemetry/signature.py`) and what happens to a duplicate (`split.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from datasketch import MinHashLSH

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.telemetry.signature import PERMUTATIONS, minhash_of

_THRESHOLD = 0.8  # Jaccard similarity of the sets of recorded bins

Twins = dict[str, frozenset[int]]  # {episode: rounds that test a recording which repeats it}


def tested_twins(tests: Sequence[Sequence[EpisodeInfo]], others: Sequence[EpisodeInfo]) -> Twins:
    """For every episode, the rounds in which a near-duplicate of it is tested. `tests` are the test sides by round.

    One search serves all rounds: equal contents and equal signatures are looked up once.
    """
    contents: dict[str, set[int]] = defaultdict(set)
    signatures: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for place, side in enumerate(tests):
        for episode in side:
            if episode.content_sha256:
                contents[episode.content_sha256].add(place)
            if episode.signature:
                signatures[episode.signature].add(place)
    hashes = {signature: minhash_of(signature) for signature in signatures}
    lsh = MinHashLSH(threshold=_THRESHOLD, num_perm=PERMUTATIONS)
    for signature, minhash in hashes.items():
        lsh.insert(signature, minhash)
    like: dict[tuple[int, ...], set[int]] = {}
    found: Twins = {}
    for episode in (*others, *(episode for side in tests for episode in side)):
        if episode.episode_id in found:
            continue
        rounds = set(contents.get(episode.content_sha256, ()))
        if episode.signature and hashes:
            if episode.signature not in like:
                mine = hashes.get(episode.signature) or minhash_of(episode.signature)
                like[episode.signature] = {
                    place
                    for other in lsh.query(mine)
                    if hashes[other].jaccard(mine) >= _THRESHOLD
                    for place in signatures[other]
                }
            rounds |= like[episode.signature]
        found[episode.episode_id] = frozenset(rounds)
    return {episode: rounds for episode, rounds in found.items() if rounds}
