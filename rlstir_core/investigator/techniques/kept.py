"""The documents of many episodes in little room: eight bytes a word, where a document by itself takes a hundred.

What does not belong here: what a document says (`documents.py`), and what its words tell (`knowledge.py`).
"""

# E documents, V words
from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, overload

import numpy as np

from rlstir_core.investigator.techniques.documents import Document


class KeptDocuments(Sequence[Document]):
    """Documents that were read one after the other; `beside` has some whose columns these share."""

    def __init__(self, documents: Iterable[Document], beside: KeptDocuments | None = None) -> None:
        self._place: dict[str, int] = {} if beside is None else beside._place
        self._words: list[str] = [] if beside is None else beside._words
        column, said, end = array("i"), array("f"), array("q", [0])
        for document in documents:
            for word in sorted(document):  # what a process hashes first must not decide in which order sums are made
                place = self._place.setdefault(word, len(self._words))
                if place == len(self._words):
                    self._words.append(word)
                column.append(place)
                said.append(document[word])
            end.append(len(column))
        self._column = np.frombuffer(column, np.int32)
        self._said = np.frombuffer(said, np.float32)
        self._end = np.frombuffer(end, np.int64)

    def __len__(self) -> int:
        return len(self._end) - 1

    @overload
    def __getitem__(self, place: int) -> Document: ...
    @overload
    def __getitem__(self, place: slice) -> list[Document]: ...
    def __getitem__(self, place: int | slice) -> Document | list[Document]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        own = slice(self._end[place], self._end[place + 1])
        words = (self._words[column] for column in self._column[own].tolist())
        return dict(zip(words, self._said[own].tolist(), strict=True))

    def among(self, places: Sequence[int]) -> KeptDocuments:
        """Some of them, over the same words."""
        counts_EV, found = self.counts_EV[list(places)], copy(self)
        found._column, found._said, found._end = counts_EV.indices, counts_EV.data, counts_EV.indptr
        return found

    @property
    def counts_EV(self) -> Any:  # noqa: N802 - names of arrays carry their shapes
        """(E, V) sparse; V are the words that were met so far, here or beside."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self._said, self._column, self._end), shape=(len(self), len(self._words)), copy=False)
