"""The knowledge model: public technique texts, none of them an event log, to scores over the label space.

ComplementNB (Rennie et al. 2003) over TF-IDF words. It can say techniques that no log was ever labelled with. What does
not belong here: importing the texts (`importers/knowledge.py`), and anything learnt from logs.
"""

# E episodes, V words, K techniques
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.errors import UpstreamMissing
from rlstir_core.investigator.reading.text import HiddenNames, cleaned
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.remedies import command
from rlstir_core.results.layout import Layout

NO_KNOWLEDGE = "public technique texts (rlstir import knowledge brings them)"
_ALPHA = 0.3
_BLOCK = 4_096
_WORD = re.compile(r"<[a-z]+>|[a-z][a-z0-9]+|[-/][a-z0-9]+", re.ASCII)
_KEYS_OUT = ("<num>", "<time>", "<hash>", "<guid>", "<sid>", "<hex>", "<ip>", "<mac>", "<id>", "<host>", "<blob>")
_NOBODY = HiddenNames()


def words(text: str) -> list[str]:
    """The words that texts of logs and of people share: split at `. _ -`, options told alike, no identifiers."""
    spaced = text.replace("_", " ").replace(".exe", " ")
    return [
        f"-{word[1:]}" if word[0] == "/" and len(word) <= 3 else word.lstrip("/-") if len(word) > 3 else word
        for word in _WORD.findall(spaced)
        if word not in _KEYS_OUT
    ]


@dataclass(frozen=True)
class Knowledge:
    """A fitted model of the texts."""

    vectoriser: Any
    model: Any
    columns: tuple[int, ...]  # of the label space, for each class of the model

    def scores(self, documents: Iterable[str]) -> Floats:
        """(E, K): the log-posteriors of documents, each document's standardised over the techniques.

        Normalised weights make them nearly flat, so that only their differences say something. A technique that no text
        speaks of gets what the least likely one has.
        """
        said_EC = self.model.predict_log_proba(self.vectoriser.transform(documents))
        spread_E1 = said_EC.std(axis=1, keepdims=True)
        said_EC = (said_EC - said_EC.mean(axis=1, keepdims=True)) / np.where(spread_E1 > 0, spread_E1, 1.0)
        found: Floats = np.repeat(said_EC.min(axis=1, keepdims=True), len(LABELS), axis=1)
        found[:, list(self.columns)] = said_EC
        return found


def fit_knowledge(layout: Layout) -> Knowledge | None:
    """The model of the imported texts; None where there are none, UpstreamMissing where their table is damaged."""
    if not layout.knowledge.exists():
        return None
    place = {label: k for k, label in enumerate(LABELS)}
    texts: list[str] = []
    classes: list[int] = []
    try:
        with pq.ParquetFile(layout.knowledge) as file:
            for batch in file.iter_batches(_BLOCK, columns=["text", "labels"], use_threads=False):
                for text, labels in zip(*(batch.column(name).to_pylist() for name in ("text", "labels")), strict=True):
                    own = [place[label] for label in labels if label in place]
                    texts += [cleaned(text.lower(), _NOBODY)] * len(own)  # a document of each of its techniques
                    classes += own
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise UpstreamMissing(
            f"{layout.knowledge} cannot be read ({str(error).splitlines()[0][:120]}); import the texts again with: "
            f"{command('import', 'knowledge', 'PATH')}"
        ) from None
    return _fitted(texts, classes)


def _fitted(texts: Sequence[str], classes: Sequence[int]) -> Knowledge | None:
    if len(set(classes)) < 2:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import ComplementNB

    vectoriser = TfidfVectorizer(analyzer=words, sublinear_tf=True)
    model = ComplementNB(alpha=_ALPHA, norm=True)
    model.fit(vectoriser.fit_transform(texts), np.asarray(classes))
    return Knowledge(vectoriser=vectoriser, model=model, columns=tuple(int(k) for k in model.classes_))
