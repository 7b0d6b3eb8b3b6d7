"""The tokenizer: what it saw, what it can never have seen, and that it is a function of the train side."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from logs_world import CANARY_HOST, LogsWorld

from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.investigator.reading.rows import _spread, episode_texts
from rlstir_core.investigator.reading.text import TYPED
from rlstir_core.investigator.reading.tokenizer import (
    ROW,
    Tokenizer,
    TokenizerRefused,
    build_tokenizer,
    load_tokenizer,
    manifest_path,
    train_model,
)
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.results.layout import Layout


def silent(_: str) -> None:
    return


@pytest.fixture
def own(world: LogsWorld, tmp_path: Path) -> InvestigatorStudy:
    """A study whose artifacts are its own."""
    shutil.copytree(world.layout.processed, tmp_path / "processed")
    return dataclasses.replace(world.study(), layout=Layout(tmp_path))


def test_the_manifest_names_the_train_side_and_nothing_else_and_a_second_run_keeps_it(own: InvestigatorStudy) -> None:
    manifest, is_new = build_tokenizer(own, silent)
    assert is_new and set(manifest.saw) == {info.episode_id for info in own.split.trained_on}
    assert not set(manifest.saw) & {info.episode_id for info in own.split.tested}
    assert set(manifest.saw.values()) == {info.content_sha256 for info in own.split.trained_on}
    model = own.layout.tokenizer("host").read_bytes()
    assert build_tokenizer(own, silent) == (manifest, False)
    own.layout.tokenizer("host").write_bytes(b"half")
    assert build_tokenizer(own, silent) == (manifest, True)
    assert own.layout.tokenizer("host").read_bytes() == model


def test_no_canary_of_raw_rows_reaches_a_piece_or_a_token(own: InvestigatorStudy) -> None:
    build_tokenizer(own, silent)
    tokenizer, _ = load_tokenizer(own)
    assert CANARY_HOST in own.train_hosts  # what could be learnt
    pieces = "".join(tokenizer.pieces)
    texts = [text for info in own.split.episodes for text in episode_texts(own.layout, info, 64, own.split.hosts)]
    decoded = [tokenizer.decode(row) for row in tokenizer.rows(texts, 64)]
    for said in (pieces, *texts, *decoded):
        assert "canary" not in said and "t1059" not in said and "tamper" not in said
    assert any("crontab" in text for text in texts) and any("<host>" in text for text in decoded)


def test_typed_pieces_are_one_token_and_rows_begin_with_their_own() -> None:
    tokenizer = Tokenizer(train_model([f"open <ip> word{k} <num> by <person>" for k in range(50)], 300))
    (row,) = tokenizer.rows(["<ip> <num>"], 8)
    assert row[0] == ROW and [tokenizer.pieces[token] for token in row[1:]].count("<ip>") == 1
    assert set(TYPED) <= set(tokenizer.pieces)
    assert [len(row) for row in tokenizer.rows(["open word1 " * 20], 8)] == [8]


def test_some_of_every_kind_of_row_is_kept_in_the_order_of_the_log() -> None:
    rows = [("a", f"a{k}") for k in range(100)] + [("b", "b0"), ("b", "b0"), ("c", "a1"), ("c", "c1")]
    assert _spread(rows, 4) == ["a0", "a1", "b0", "c1"]
    assert _spread(rows, 1_000) == [f"a{k}" for k in range(100)] + ["b0", "c1"]


def test_what_cannot_be_used_is_refused_in_one_sentence(own: InvestigatorStudy) -> None:
    with pytest.raises(UpstreamMissing, match=r"tokenizer.json is missing; make it with: .* --recipe host --select"):
        load_tokenizer(own)
    build_tokenizer(own, silent)
    other = dataclasses.replace(own, numbers=dataclasses.replace(own.numbers, investigator=_wider(own)))
    with pytest.raises(UpstreamMissing, match="was trained on other rows, another split or other numbers"):
        load_tokenizer(other)
    own.layout.tokenizer("host").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="not the file its checkpoint was written with"):
        load_tokenizer(own)
    manifest_path(own.layout, "host").write_text("[")
    with pytest.raises(CheckpointError, match="no manifest of a tokenizer"):
        load_tokenizer(own)
    with pytest.raises(CheckpointError, match="the tokenizer is damaged"):
        Tokenizer(b"half")
    with pytest.raises(TokenizerRefused, match="no tokenizer can be made of these log rows"):
        train_model([], 300)
    info = own.train[0]
    (own.layout.log_events(info.host) / f"{info.own_id}.parquet").write_bytes(b"half")
    with pytest.raises(UpstreamMissing, match=r"cannot be read .* make it again with: .*log_events"):
        episode_texts(own.layout, info, 8, ())


def _wider(own: InvestigatorStudy) -> object:
    return dataclasses.replace(own.numbers.investigator, vocabulary=500)
