"""One text log on disk, packed or not; what is none is refused in a sentence."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.opening.text import text_chunks

TEXT = "".join(f"line {n} of some program\n" for n in range(900))


def zipped(*texts: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for n, text in enumerate(texts):
            archive.writestr(f"{n}.log", text)
    return made.getvalue()


@pytest.mark.parametrize(
    "data", [TEXT.encode(), TEXT.encode("utf-16"), gzip.compress(TEXT.encode("utf-8-sig")), zipped(TEXT)]
)
def test_a_text_is_the_same_whatever_it_is_packed_in_and_encoded_with(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert b"".join(text_chunks(tmp_path / "x")).decode() == TEXT


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (zipped("a\n", "b\n"), "holds 2 files, not one; unpack it"),
        (gzip.compress(TEXT.encode())[:-9], "cut short.*mend the file"),
        (bytes(range(256)) * 9, "is no text"),
        (gzip.compress(bytes(range(256)) * 9), "is no text"),
    ],
)
def test_what_is_no_single_whole_text_is_refused_with_a_remedy(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(StoreError, match=why):
        list(text_chunks(tmp_path / "x"))


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a file; name a text log"):
        next(text_chunks(tmp_path))
