"""What a log row says when it is seen alone: its words, those of its process and of three generations of its ancestors.

As a log store shows a row: with who ran it. Such a view does not change with what else was revealed, so it is read
once. What does not belong here: other rows, neighbours and the graph, which an investigator must ask for
(`reading/view.py` has them).
"""

# N log rows, U distinct texts, W words of all of them, S slots of a row
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.reading.hashing import WORDS, hashed
from rlstir_core.investigator.reading.slots import SLOTS, slots
from rlstir_core.investigator.reading.view import FEATURES, LogView

SLOTS_ALONE: Final = SLOTS.index("before")  # the row, its process, that process's parent …; no other row
_RULES: Final = len(FEATURES) - 1  # the last number of a row is what the tamper rules say of it, in log-odds


@dataclass(frozen=True, kw_only=True)
class WordsAlone:
    """The words of an episode's distinct texts, and which of them each row shows."""

    word_ptr: NDArray[np.int32]  # (U + 1,)
    word_W: NDArray[np.int32]
    text_NS: NDArray[np.int32]  # -1 where there is none
    rules_N: NDArray[np.float32]  # log-odds of tampering, as the rules say

    def __len__(self) -> int:
        return len(self.text_NS)

    @property
    def own(self) -> WordsAlone:
        """The rows without their processes: what they say themselves."""
        text_NS = self.text_NS.copy()
        text_NS[:, 1:] = -1
        return replace(self, text_NS=text_NS)

    @property
    def sparse(self) -> Any:
        """(U + 1, WORDS), as a sparse matrix of ones, with an empty row at the end for texts that are not there."""
        from scipy import sparse

        pointer = np.append(self.word_ptr, self.word_ptr[-1])
        ones = np.ones(len(self.word_W), np.float32)
        return sparse.csr_matrix((ones, self.word_W, pointer), shape=(len(pointer) - 1, WORDS))


def row_words(view: LogView) -> WordsAlone:
    """What each row of a view says alone."""
    found = hashed(view.texts)
    text_NS = slots(view.text_N, view.process_N, view.before_N, view.text_P, view.parent_P)
    return WordsAlone(
        word_ptr=found.indptr.astype(np.int32),
        word_W=found.indices.astype(np.int32),
        text_NS=text_NS[:, :SLOTS_ALONE],
        rules_N=view.features_NF[:, _RULES],
    )
