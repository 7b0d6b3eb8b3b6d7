"""Words and pairs of words of texts by their hash: a vocabulary that nobody has to learn, so none can leak.

What does not belong here: pieces of words (`tokenizer.py`).
"""

# U texts, W words
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

WORDS: Final = 1 << 17


def hashed(texts: Sequence[str]) -> Any:
    """(U, W), sparse, of ones."""
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    if not texts:  # which the vectoriser refuses
        return sparse.csr_matrix((0, WORDS), dtype=np.float32)
    vectoriser = HashingVectorizer(
        token_pattern=r"[^\s\\/=|,;\"'()]+",  # noqa: S106 - no secret
        n_features=WORDS,
        ngram_range=(1, 2),
        alternate_sign=False,
        norm=None,
        binary=True,
        dtype=np.float32,
    )
    return vectoriser.transform(texts)
