"""Templates of a log: every line's shape with its parameters removed, and what kinds of values the parameters had.

A template's id is a hash of its text, so that equal logs give equal ids, whatever was read before. Lines are read
once and kept as numbers of their masked forms; forms are grouped at the end. Memory is bounded: once there are
FORMS masked forms, what was learned so far decides, and what it does not know gets a coarse template (its first two
tokens). What does not belong here: masking (template_mask), grouping (template_groups), texts, headers.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlstir_core.atomic import replacing
from rlstir_core.hostlogs.opening.lines import lines
from rlstir_core.hostlogs.opening.text import text_chunks
from rlstir_core.hostlogs.templates.groups import Lookup, group
from rlstir_core.hostlogs.templates.header import content_of, find_header, given_header
from rlstir_core.hostlogs.templates.keys import Key
from rlstir_core.hostlogs.templates.mask import MARK, UNTYPED, Masks
from rlstir_core.hostlogs.templates.shape import Shape, shape_of
from rlstir_core.hostlogs.templates.text import text_of
from rlstir_core.text import storable

LINE_CHARS = 4096  # what of a line becomes its template; the rest is a parameter
LINE_TOKENS = 256
FORMS = 20_000  # distinct masked lines, then known templates decide
COLUMNS = 300_000  # of all forms together
KNOWN = 50_000  # masked lines whose form is remembered
KIN = 4  # forms that differ in the types of their parameters alone; the next is taken for the first
COARSE = 2_000  # coarse templates of lines that no template covers
_SAMPLE = 2_000  # lines in which a header is looked for
_CHUNK = 1 << 20
_REST = MARK["text"]
_MOST = 5  # templates that a summary names
_EXAMPLE_CHARS = 120


@dataclass(frozen=True, slots=True)
class Templates:
    """`ids` has one template id a message; `texts` and `types` describe each id once.

    `types[id][k]` are the types seen at the k-th `<*>` of `texts[id]`, sorted.
    """

    ids: list[str]
    texts: dict[str, str]
    types: dict[str, list[list[str]]]


@dataclass(frozen=True, slots=True)
class TemplateSummary:
    """What `template_file` wrote."""

    n_lines: int
    n_templates: int
    header: str  # the pattern, empty where the lines have none
    header_found: bool  # by content, not given
    header_example: str  # as it stands before the first message
    most: tuple[tuple[str, int], ...]  # the most frequent templates, and their lines
    n_cut: int  # lines of which only the beginning made the template


def template_id(text: str) -> str:
    """The id of a template: 12 hex digits of its text's sha256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def templates(messages: Iterable[str]) -> Templates:
    """The templates of one log, given its messages without headers."""
    learner = _Learner()
    forms = [learner.add(message) for message in messages]
    texts, types = learner.finish()
    ids = [template_id(text) for text in texts]
    kinds: dict[str, list[list[str]]] = {}
    for identity, kind in zip(ids, types, strict=True):
        kinds[identity] = _union(kinds.get(identity), kind)
    return Templates([ids[form] for form in forms], dict(zip(ids, texts, strict=True)), kinds)


def _union(one: list[list[str]] | None, two: list[list[str]]) -> list[list[str]]:
    if one is None:
        return two
    return [sorted({*a, *b}) for a, b in zip(one, two, strict=True)]


@dataclass(slots=True)
class _Form:
    """A masked line: its shape, and the form or shape whose template it takes."""

    shape: Shape
    key: Key


@dataclass(slots=True)
class _Learner:
    """Numbers masked forms as lines come, and names each form's template at the end."""

    n_cut: int = 0
    _masks: Masks = field(default_factory=Masks)
    _numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    _forms: list[_Form] = field(default_factory=list)
    _kin: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    _n_columns: int = 0
    _lookup: Lookup | None = None
    _of_cover: dict[Key, int] = field(default_factory=dict)
    _coarse: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, message: str) -> int:
        """The number of the line's masked form."""
        if len(message) > LINE_CHARS:
            tokens = message[:LINE_CHARS].split(None, LINE_TOKENS)[:LINE_TOKENS]
            return self._add_cut(tokens)
        tokens = message.split(None, LINE_TOKENS)
        if len(tokens) > LINE_TOKENS:
            return self._add_cut(tokens[:LINE_TOKENS])
        masked = tuple(map(self._masks.__getitem__, tokens))
        number = self._numbers.get(masked)
        return self._new(masked, message) if number is None else number

    def _add_cut(self, tokens: list[str]) -> int:
        self.n_cut += 1
        masked = (*map(self._masks.__getitem__, tokens[:-1]), _REST)
        number = self._numbers.get(masked)
        return self._new(masked, "") if number is None else number

    def _new(self, masked: tuple[str, ...], message: str) -> int:
        plain = tuple(token if token.isascii() else token.translate(UNTYPED) for token in masked)
        kin = self._kin.setdefault(plain, []) if len(self._kin) < KNOWN else self._kin.get(plain, [])
        number = kin[0] if len(kin) >= KIN else self._form_of(masked, message)
        if len(kin) < KIN:
            kin.append(number)
        if len(self._numbers) < KNOWN:
            self._numbers[masked] = number
        return number

    def _form_of(self, masked: tuple[str, ...], message: str) -> int:
        spaces = None
        if "  " in message or not message.isprintable():
            message = message.strip()
            spaces = re.findall(r"\s+", message)
            if len(spaces) != len(masked) - 1:
                spaces = None
        shape = shape_of(masked, spaces)
        key = tuple(piece.key for piece in shape.folded)
        if self._lookup is None and len(self._forms) < FORMS and self._n_columns < COLUMNS:
            self._n_columns += len(shape.pieces)
            return self._keep(_Form(shape, key))
        if self._lookup is None:
            covers = group([form.key for form in self._forms])
            self._lookup = Lookup(sorted(set(covers)))
            for number, cover in enumerate(covers):
                self._of_cover.setdefault(cover, number)
        known = self._lookup.find(key)
        if known is not None:
            return self._of_cover[known]
        coarse = (*masked[:2], _REST)
        if coarse not in self._coarse and len(self._coarse) >= COARSE:
            coarse = (_REST,)
        if coarse in self._coarse:
            return self._coarse[coarse]
        shape = shape_of(coarse, None)
        self._coarse[coarse] = self._keep(_Form(shape, tuple(piece.key for piece in shape.folded)))
        return self._coarse[coarse]

    def _keep(self, form: _Form) -> int:
        self._forms.append(form)
        return len(self._forms) - 1

    def finish(self) -> tuple[list[str], list[list[list[str]]]]:
        """For every form: its template's text, and the types at each parameter."""
        covers = group([form.key for form in self._forms])
        members: dict[Key, list[Shape]] = {}
        for form, cover in zip(self._forms, covers, strict=True):
            members.setdefault(cover, []).append(form.shape)
        made = {cover: text_of(shapes, cover) for cover, shapes in members.items()}
        return [made[cover][0] for cover in covers], [made[cover][1] for cover in covers]


def template_file(path: Path, out: Path, header: str | None = None) -> TemplateSummary:
    """Writes LineId,EventId,EventTemplate for every line of a text log. The file is read once for a header, once whole.

    Raises ConfigError for a header that is no pattern, StoreError where there is no text log to read.
    """
    pattern = given_header(header) if header else find_header(list(islice(_texts(path), _SAMPLE)))
    learner = _Learner()
    n_lines, example = 0, ""
    counts = np.zeros(0, np.int64)
    with tempfile.TemporaryFile() as spool:
        numbers = array("I")
        for line in _texts(path):
            content = content_of(line, pattern)
            example = example or line.removesuffix(content)
            numbers.append(learner.add(content))
            n_lines += 1
            if len(numbers) >= _CHUNK:
                numbers.tofile(spool)
                del numbers[:]
        numbers.tofile(spool)
        spool.seek(0)
        texts, _ = learner.finish()
        ends = [_csv_row(template_id(text), text) for text in texts]
        with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
            handle.write("LineId,EventId,EventTemplate\n")
            start = 1
            counts = np.zeros(len(ends), np.int64)
            while chunk := spool.read(_CHUNK * numbers.itemsize):
                part = array("I", chunk)
                counts += np.bincount(np.frombuffer(chunk, np.uintc), minlength=len(ends))
                handle.writelines(f"{i},{ends[number]}" for i, number in enumerate(part, start))
                start += len(part)
    return TemplateSummary(
        n_lines=n_lines,
        n_templates=len(set(ends)),
        header=pattern.pattern if pattern else "",
        header_found=pattern is not None and not header,
        header_example=storable(example.strip())[:_EXAMPLE_CHARS],
        most=_most(texts, counts),
        n_cut=learner.n_cut,
    )


def _most(texts: Sequence[str], counts: NDArray[np.int64]) -> tuple[tuple[str, int], ...]:
    per_text: Counter[str] = Counter()
    for text, n in zip(texts, counts.tolist(), strict=True):
        per_text[text] += n
    return tuple((storable(text), n) for text, n in per_text.most_common(_MOST))


def _csv_row(*cells: str) -> str:
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerow(cells)
    return held.getvalue()


def _texts(path: Path) -> Iterator[str]:
    """The lines of a file, a little longer than a template takes; bytes that are not UTF-8 become U+FFFD."""
    for line in lines(text_chunks(path), 4 * LINE_CHARS, keep_nuls=True):
        yield line.raw.strip(b"\0").decode("utf-8", "replace")
