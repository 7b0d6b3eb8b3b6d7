"""Signatures: what was recorded, in 64 numbers, so that near-duplicate recordings can be found.

What does not belong here: what happens to a duplicate (`datasets/`).
"""

from __future__ import annotations

import hashlib

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

# C channels, T bins
PERMUTATIONS = 64
_SCHEME = "affine32"  # hash values carry no trace of the permutations they came from
_MIN_SHINGLES = 10  # fewer distinct stretches (an idle or empty recording) identify nothing
_STEPS = 100  # stretches per episode, about


def signature(x_CT: NDArray[np.float32]) -> tuple[int, ...]:
    """MinHash of the episode's stretches of bins, to two decimals; empty where there is too little to tell."""
    width = max(1, x_CT.shape[1] // _STEPS)
    rounded_CT = np.round(np.nan_to_num(x_CT, nan=-1.0), 2)
    shingles = {
        hashlib.sha1(rounded_CT[:, t : t + width].tobytes(), usedforsecurity=False).digest()
        for t in range(0, x_CT.shape[1] - width + 1, width)
    }
    if len(shingles) < _MIN_SHINGLES:
        return ()
    minhash = MinHash(num_perm=PERMUTATIONS, seed=1, scheme=_SCHEME)
    minhash.update_batch(sorted(shingles))
    return tuple(int(value) for value in minhash.hashvalues)


def minhash_of(values: tuple[int, ...]) -> MinHash:
    """The MinHash that `signature` wrote down."""
    return MinHash(num_perm=PERMUTATIONS, seed=1, scheme=_SCHEME, hashvalues=np.array(values, np.uint64))
