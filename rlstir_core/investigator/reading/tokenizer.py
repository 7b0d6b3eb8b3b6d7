"""The tokenizer: SentencePiece (BPE) on texts of the train side alone, with a manifest of what it saw.

BPE trains 18 times faster than a unigram model here, at equal use. Typed pieces are pieces of their own. What does not
belong here: the texts (`rows.py`) and what is learnt from tokens (`pretraining/`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import sentencepiece as spm

from rlstir_core.atomic import sweep, write_bytes, write_json
from rlstir_core.errors import CheckpointError, RlstirError, UpstreamMissing
from rlstir_core.investigator.reading.rows import episode_texts
from rlstir_core.investigator.reading.text import TYPED
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.learning.container import MAX_JSON_BYTES, opened, verified_sidecar
from rlstir_core.progress import Tell
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding

PAD, UNKNOWN, ROW = 0, 1, 2
_FORMAT = "rlstir-tokenizer-1"
_ROW_PIECE = "<row>"  # begins every row: what stands there is what is known of the row
_LINE_BYTES = 4_096


class TokenizerManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `tokenizer.json` beside the model."""

    format: str = _FORMAT
    recipe: str
    input_sha256: str  # of everything that decided it
    model_sha256: str
    pieces: int
    texts: int
    saw: dict[str, str]  # {episode: the hash of its content}: the train side's, and no other


class Tokenizer:
    """Texts to numbers; equal texts give equal numbers."""

    def __init__(self, model: bytes) -> None:
        try:
            self._model = spm.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise CheckpointError(f"the tokenizer is damaged ({str(error).splitlines()[0][:120]})") from None

    @property
    def size(self) -> int:
        return int(self._model.vocab_size())

    @property
    def pieces(self) -> list[str]:
        return [self._model.id_to_piece(number) for number in range(self.size)]

    def rows(self, texts: Sequence[str], most: int) -> list[list[int]]:
        """The tokens of every text, at most `most` of each, the first of which only says that a row begins."""
        return [[ROW, *tokens[: most - 1]] for tokens in self._model.encode(list(texts), num_threads=1)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of a row's tokens, as far as the vocabulary has it."""
        return str(self._model.decode(list(tokens)))


def train_model(texts: Iterable[str], vocabulary: int) -> bytes:
    """A SentencePiece model of at most `vocabulary` pieces, a function of the texts and their order."""
    out = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=out,
            model_type="bpe",
            vocab_size=vocabulary,
            hard_vocab_limit=False,  # a small corpus has fewer pieces
            character_coverage=0.9995,
            normalization_rule_name="identity",  # texts are in lower case already, and nothing else may change them
            user_defined_symbols=list(TYPED),
            control_symbols=[],
            pad_id=PAD,
            unk_id=UNKNOWN,
            bos_id=ROW,
            bos_piece=_ROW_PIECE,
            eos_id=-1,
            max_sentence_length=_LINE_BYTES,
            shuffle_input_sentence=False,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise TokenizerRefused(
            f"no tokenizer can be made of these log rows ({str(error).splitlines()[-1][:160]}); they need some hundred "
            "different characters and words: record or import more logs"
        ) from None
    return out.getvalue()


class TokenizerRefused(RlstirError):
    """Texts that give no vocabulary."""


def build_tokenizer(study: InvestigatorStudy, tell: Tell) -> tuple[TokenizerManifest, bool]:
    """Trains the recipe's tokenizer and writes it; the last value is False where nothing had changed since."""
    recipe = study.options.recipe
    with holding(study.layout.lock("tokenizer", recipe), waiting=tell):
        kept = kept_tokenizer(study)
        if kept is not None:
            return kept, False
        path = study.layout.tokenizer(recipe)
        sweep(path.parent, "tokenizer.")
        counted = _Counted(_texts_of(study, tell))
        model = train_model(counted, study.numbers.investigator.vocabulary)
        manifest_path(study.layout, recipe).unlink(missing_ok=True)  # the manifest comes last: it makes the model whole
        write_bytes(path, model)
        manifest = TokenizerManifest(
            recipe=recipe,
            input_sha256=study.tokenizer_sha256,
            model_sha256=study.sha256_of(path),
            pieces=Tokenizer(model).size,
            texts=counted.n,
            saw={info.episode_id: info.content_sha256 for info in study.train},
        )
        write_json(manifest_path(study.layout, recipe), manifest)
        return manifest, True


def kept_tokenizer(study: InvestigatorStudy) -> TokenizerManifest | None:
    """The manifest on disk where it is what training now would give, and its model is whole."""
    try:
        manifest = read_manifest(study.layout, study.options.recipe)
        _model_path(study.layout, manifest)
    except (UpstreamMissing, CheckpointError):
        return None
    return manifest if manifest.input_sha256 == study.tokenizer_sha256 else None


def load_tokenizer(study: InvestigatorStudy) -> tuple[Tokenizer, TokenizerManifest]:
    """The recipe's tokenizer; UpstreamMissing where none of this split and these numbers is there."""
    manifest = read_manifest(study.layout, study.options.recipe)
    if manifest.input_sha256 != study.tokenizer_sha256:
        raise UpstreamMissing(
            f"{study.layout.tokenizer(manifest.recipe)} was trained on other rows, another split or other numbers than "
            f"today's; make it again with: {how_to_make('tokenizer', manifest.recipe)}"
        )
    return open_tokenizer(study.layout, manifest), manifest


def open_tokenizer(layout: Layout, manifest: TokenizerManifest) -> Tokenizer:
    """The tokenizer of a manifest, whatever it was trained on."""
    with opened(_model_path(layout, manifest), MAX_JSON_BYTES) as handle:
        return Tokenizer(handle.read())


def read_manifest(layout: Layout, recipe: str) -> TokenizerManifest:
    """What `tokenizer.json` says; CheckpointError or UpstreamMissing in one sentence otherwise."""
    path = manifest_path(layout, recipe)
    try:
        with opened(path, MAX_JSON_BYTES) as handle:
            manifest = msgspec.json.decode(handle.read(), type=TokenizerManifest)
    except FileNotFoundError:
        raise UpstreamMissing(f"{path} is missing; make it with: {how_to_make('tokenizer', recipe)}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CheckpointError(f"{path} is no manifest of a tokenizer ({error}); make the tokenizer again") from None
    if manifest.format != _FORMAT or manifest.recipe != recipe:
        raise CheckpointError(f"{path} is of another format or of another recipe than its folder; make it again")
    return manifest


def manifest_path(layout: Layout, recipe: str) -> Path:
    return layout.tokenizer(recipe).with_suffix(".json")


def _model_path(layout: Layout, manifest: TokenizerManifest) -> Path:
    path = layout.tokenizer(manifest.recipe)
    return verified_sidecar(path.parent, path.name, manifest.model_sha256)


class _Counted:
    """Counts texts as they pass by."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts, self.n = texts, 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.n += 1
            yield text


def _texts_of(study: InvestigatorStudy, tell: Tell) -> Iterator[str]:
    """Texts of the train side, evenly over its episodes."""
    numbers, episodes = study.numbers.investigator, study.train
    quota = max(1, min(numbers.rows, numbers.tokenizer_texts // max(1, len(episodes))))
    for done, info in enumerate(episodes, 1):
        yield from episode_texts(study.layout, info, quota, study.train_hosts)
        if done % 50 == 0:
            tell(f"texts of episode {done}/{len(episodes)}")
