"""What a log row says when it is seen alone: its words, those of its process and of that process's parent.

Such a view does not change with what else was revealed, so it is read once. What does not belong here: older
ancestors, neighbours and the graph, which an investigator must ask for (`reading/view.py` has them).
"""

# N log rows, U distinct texts, W words of all of them, S slots of a row
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.reading.hashing import hashed
from rlstir_core.investigator.reading.view import FEATURES, LogView

BUCKETS: Final = 1 << 15
SLOTS_ALONE: Final = 3  # the row, its process, that process's parent
_MIX, _SHIFT = np.uint32(2_654_435_761), np.uint32(17)  # Knuth's multiplicative hash to 15 bits
_RULES: Final = len(FEATURES) - 1  # the last number of a row is what the tamper rules say of it, in log-odds


@dataclass(frozen=True, kw_only=True)
class WordsAlone:
    """The words of an episode's distinct texts, and which of them each row shows."""

    word_ptr: NDArray[np.int32]  # (U + 1,)
    word_W: NDArray[np.uint16]
    text_NS: NDArray[np.int32]  # -1 where there is none
    rules_N: NDArray[np.float32]  # log-odds of tampering, as the rules say

    def __len__(self) -> int:
        return len(self.text_NS)

    @property
    def sparse(self) -> Any:
        """(U + 1, B), as a sparse matrix of ones, with an empty row at the end for texts that are not there."""
        from scipy import sparse

        pointer = np.append(self.word_ptr, self.word_ptr[-1])
        ones = np.ones(len(self.word_W), np.float32)
        return sparse.csr_matrix((ones, self.word_W.astype(np.int32), pointer), shape=(len(pointer) - 1, BUCKETS))


def row_words(view: LogView) -> WordsAlone:
    """What each row of a view says alone."""
    found = hashed(view.texts)
    word_W = (found.indices.astype(np.uint32) * _MIX) >> _SHIFT
    text_P, parent_P = np.append(view.text_P, -1), np.append(view.parent_P, -1)
    parent_N = parent_P[view.process_N]
    return WordsAlone(
        word_ptr=found.indptr.astype(np.int32),
        word_W=word_W.astype(np.uint16),
        text_NS=np.stack([view.text_N, text_P[view.process_N], text_P[parent_N]], axis=1).astype(np.int32),
        rules_N=view.features_NF[:, _RULES],
    )
