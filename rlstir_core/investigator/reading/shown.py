"""Rows of an episode as models take them: tokens and hashed words of every distinct text, and what stands around rows.

Made once and kept as bytes, since every epoch asks for it again. What does not belong here: which rows are shown
(`investigator/inputs.py`), and batches (`batches.py`).
"""

# X rows that are shown, P processes, U distinct texts, W words, F features, S slots
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.network.sage import Edges
from rlstir_core.investigator.reading.hashing import WORDS, hashed
from rlstir_core.investigator.reading.slots import slots
from rlstir_core.investigator.reading.surroundings import FILE_KINDS, SOCKET_KINDS, Surroundings
from rlstir_core.investigator.reading.tokenizer import Tokenizer
from rlstir_core.investigator.reading.view import LogView

Rows = list[bytes]  # each the tokens of a text, as int32
_ITEM = 4  # bytes of a token


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one episode; arrays are bytes of int32 unless said otherwise."""

    tokens: Rows  # U
    word_ptr: bytes  # the hashed words of each text, compressed rows
    word_ids: bytes
    text: bytes  # X
    process: bytes  # X, -1 for none
    before: bytes  # X, -1 for none
    text_p: bytes  # P
    parent: bytes  # P, -1 for none
    counts: tuple[int, int, int]  # of processes, files, sockets
    edges: dict[str, tuple[bytes, bytes]]  # int64
    files: bytes  # float32
    sockets: bytes  # float32
    features: bytes  # (X, F) float16
    n_features: int
    prior: bytes  # float32: what is known of the techniques of the episode beforehand

    @property
    def n_rows(self) -> int:
        return len(self.text) // _ITEM

    @property
    def n_tokens(self) -> int:
        return sum(map(len, self.tokens)) // _ITEM

    @property
    def text_X(self) -> NDArray[np.int32]:
        return np.frombuffer(self.text, np.int32)

    @property
    def process_X(self) -> NDArray[np.int32]:
        return np.frombuffer(self.process, np.int32)

    @property
    def before_X(self) -> NDArray[np.int32]:
        return np.frombuffer(self.before, np.int32)

    @property
    def text_P(self) -> NDArray[np.int32]:
        return np.frombuffer(self.text_p, np.int32)

    @property
    def parent_P(self) -> NDArray[np.int32]:
        return np.frombuffer(self.parent, np.int32)

    @property
    def features_XF(self) -> NDArray[np.float32]:
        return np.frombuffer(self.features, np.float16).reshape(-1, self.n_features).astype(np.float32)

    @property
    def prior_K(self) -> NDArray[np.float32]:
        return np.frombuffer(self.prior, np.float32)

    @property
    def slots_XS(self) -> NDArray[np.int32]:
        return slots(self.text_X, self.process_X, self.before_X, self.text_P, self.parent_P)

    @property
    def words_UW(self) -> Any:
        """(U, W), sparse, of ones."""
        from scipy import sparse

        ids = np.frombuffer(self.word_ids, np.int32)
        ptr = np.frombuffer(self.word_ptr, np.int32)
        return sparse.csr_matrix((np.ones(len(ids), np.float32), ids, ptr), shape=(len(ptr) - 1, WORDS))

    @property
    def around(self) -> Surroundings:
        of = {
            etype: (np.frombuffer(source, np.int64), np.frombuffer(target, np.int64))
            for etype, (source, target) in self.edges.items()
        }
        return Surroundings(
            edges=Edges(self.counts, of),
            file_FC=np.frombuffer(self.files, np.float32).reshape(-1, len(FILE_KINDS)),
            socket_SC=np.frombuffer(self.sockets, np.float32).reshape(-1, len(SOCKET_KINDS)),
        )


def shown(view: LogView, tokenizer: Tokenizer, most_tokens: int, prior_K: NDArray[np.float32]) -> Shown:
    """All rows of a view."""
    words_UW = hashed(view.texts)
    edges = view.around.edges
    return Shown(
        tokens=packed(tokenizer.rows(view.texts, most_tokens)),
        word_ptr=words_UW.indptr.astype(np.int32).tobytes(),
        word_ids=words_UW.indices.astype(np.int32).tobytes(),
        text=view.text_N.tobytes(),
        process=view.process_N.tobytes(),
        before=view.before_N.tobytes(),
        text_p=view.text_P.tobytes(),
        parent=view.parent_P.tobytes(),
        counts=edges.counts,
        edges={etype: (source.tobytes(), target.tobytes()) for etype, (source, target) in edges.of.items()},
        files=view.around.file_FC.tobytes(),
        sockets=view.around.socket_SC.tobytes(),
        features=view.features_NF.astype(np.float16).tobytes(),
        n_features=view.features_NF.shape[1],
        prior=prior_K.astype(np.float32).tobytes(),
    )


def packed(tokens: list[list[int]]) -> Rows:
    """Rows of tokens as they are kept."""
    return [np.asarray(row, np.int32).tobytes() for row in tokens]
