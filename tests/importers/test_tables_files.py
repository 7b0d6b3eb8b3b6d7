"""Files of foreign tables: the same rows at any size, in any encoding and however gzip was written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Kit

import pytest
import zstandard

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.importers.table.files import read_tables
from rlstir_core.importers.table.mapping import parse_mapping
from rlstir_core.importers.table.streams import TextBytes


def cells(kit: Kit, tmp_path: Path, raw: bytes, more: str = "") -> list[list[str]]:
    (tmp_path / "t").write_bytes(raw)
    table = next(read_tables(tmp_path / "t", parse_mapping((more + kit.LAB).encode(), "m"))).table
    columns = [[cell.decode() for cell in column.to_pylist()] for column in table.columns]
    return [table.column_names, *map(list, zip(*columns, strict=True))]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("n", [3, 40_000])
def test_a_quoted_line_break_is_part_of_its_cell_at_any_size(kit: Kit, tmp_path: Path, n: int, end: str) -> None:
    note = f'"first line{end}second, with ""quotes"" and a comma"'
    text = end.join(["a,note,b", *(f"{i},{note},{i % 7}" for i in range(n))]) + end
    found = cells(kit, tmp_path, text.encode())
    assert len(found) == n + 1
    assert found[-1] == [str(n - 1), f'first line{end}second, with "quotes" and a comma', str((n - 1) % 7)]


def test_a_row_may_be_longer_than_a_block(kit: Kit, tmp_path: Path) -> None:
    long = "x" * (17 << 20)
    assert cells(kit, tmp_path, f'a,b\n1,"{long}"\n2,y\n'.encode())[1:] == [["1", long], ["2", "y"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_an_encoding_shows_in_the_bytes(kit: Kit, tmp_path: Path, encoding: str) -> None:
    text = "naïve\tb\r\n日本\t1\r\n🙂\t2\r\n"
    expected = [["naïve", "b"], ["日本", "1"], ["🙂", "2"]]
    if encoding in ("utf-16-le", "utf-16-be"):  # without a mark it takes ASCII to be sure
        text, expected = (
            text.replace("日本", "nihon").replace("🙂", ":)"),
            [["naïve", "b"], ["nihon", "1"], [":)", "2"]],
        )
    assert cells(kit, tmp_path, text.encode(encoding)) == expected
    assert cells(kit, tmp_path, gzip.compress(text.encode(encoding))) == expected


def test_another_encoding_is_named_in_the_mapping(kit: Kit, tmp_path: Path) -> None:
    raw = "run,host,when,state,größe\nr,é,1716494400,clean,1\n".encode("cp1252")
    with pytest.raises(StoreError, match="say its encoding in the mapping"):
        cells(kit, tmp_path, raw)
    assert cells(kit, tmp_path, raw, 'encoding = "cp1252"\n')[0][-1] == "größe"
    with pytest.raises(StoreError, match="column 'host' holds text that is not UTF-8"):
        kit.bring(tmp_path, raw.replace("größe".encode("cp1252"), b"load"))
    with pytest.raises(StoreError, match="is not utf-16-le all through"):
        cells(kit, tmp_path, b"\xff\xfea\x00\n\x00\x00\xd8b\x00\n\x00")
    with pytest.raises(ConfigError, match="none that Python knows"):
        cells(kit, tmp_path, raw, 'encoding = "klingon"\n')


def test_a_table_as_excel_writes_it_with_commas_for_decimals(kit: Kit, tmp_path: Path) -> None:
    rows = [f"r1;m1;{kit.T0 + i},5;clean;{i % 3},25" for i in range(3)]
    text = "\r\n".join(["sep=;", '"run";"host";"when";"state";"load, in %"', *rows, ""])
    kit.bring(tmp_path, text.encode("utf-8-sig"), 'decimal = ","\n' + kit.LAB)
    assert kit.column(tmp_path / "store", "load-in") == [0.25, 1.25, 2.25]
    assert kit.phases(tmp_path / "store") == [(0.0, "clean")]
    with pytest.raises(ConfigError, match="neither"):
        cells(kit, tmp_path, b"a\n1\n", 'decimal = "x"\n')
    with pytest.raises(ConfigError, match="not one character"):
        cells(kit, tmp_path, b"a\n1\n", 'delimiter = ", "\n')


def test_blank_lines_and_a_trailing_comma_make_no_rows_and_no_columns(kit: Kit, tmp_path: Path) -> None:
    assert cells(kit, tmp_path, b"\n\na,b,\n1,2,\n  \n\n3,4,\n") == [["a", "b"], ["1", "2"], ["3", "4"]]
    assert cells(kit, tmp_path, b",a,\n0,1,\n1,,\n") == [["", "a"], ["0", "1"], ["1", ""]]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'a,b\n1,"x\n2,3\n', "ends inside a quoted cell that begins b'x"),
        (b'a,b\n1,"x', "ends inside a quoted cell"),
        (b'a,b\n1,"' + b"y" * 70_000, "ends inside a quoted cell"),
        (b"a,b\n1,2\n3\n", "Row #3: Expected 2 columns, got 1"),
        (b"a,b\n1,2,3\n", "Row #2: Expected 2 columns, got 3"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,a\n1,2\n", "more than once"),
    ],
)
def test_a_csv_that_is_damaged_is_refused(kit: Kit, tmp_path: Path, raw: bytes, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        cells(kit, tmp_path, raw)


@pytest.mark.parametrize("last", ['"x"', '"x\ny"', '"""x"""', '5" disk', '"a""', '""', '""""\'', "x"])
def test_a_cell_that_is_closed_may_end_a_file(kit: Kit, tmp_path: Path, last: str) -> None:
    closed = last != '"a""'
    for end in ("", "\n", "\r\n"):
        raw = f"a,b\n1,{last}{end}".encode()
        if closed:
            assert len(cells(kit, tmp_path, raw)) == 2
        else:
            with pytest.raises(StoreError, match="ends inside a quoted cell"):
                cells(kit, tmp_path, raw)


TEXT = "a,b\n" + "".join(f"{i},{i * 7919 % 1000}\n" for i in range(30_000))


def test_every_member_of_a_gzip_file_is_read_and_what_follows_is_counted(kit: Kit, tmp_path: Path) -> None:
    raw = TEXT.encode()
    whole = cells(kit, tmp_path, raw)
    cut = raw.index(b"\n17000,") + 1
    members = gzip.compress(raw[:cut]) + gzip.compress(b"") + gzip.compress(raw[cut:])
    for tail, n_unread in ((b"", 0), (bytes(600), 0), (b"garbage!", 8), (bytes(5) + b"\x1f" + bytes(300_000), 300_001)):
        assert cells(kit, tmp_path, members + tail) == whole
        (file,) = read_tables(tmp_path / "t", parse_mapping(kit.LAB.encode(), "m"))
        assert file.n_unread == n_unread
    made = kit.bring(tmp_path, gzip.compress(kit.table(kit.rows(range(9))).encode()) + b"rest")
    assert (made.n_rows, made.n_unread_bytes) == (9, 4)
    assert made.losses == ("4 bytes after the end of the packed data were not read",)


def test_a_gzip_file_that_is_cut_or_damaged_is_refused(kit: Kit, tmp_path: Path) -> None:
    packed = gzip.compress(TEXT.encode())
    for bad in (packed[:-9], packed[: len(packed) // 2], packed[:-6] + b"xxxx" + packed[-2:]):
        with pytest.raises(StoreError, match="cannot be read"):
            cells(kit, tmp_path, bad)


def test_a_stream_gives_everything_whatever_is_asked_for(tmp_path: Path) -> None:
    raw = TEXT.encode()
    (tmp_path / "t").write_bytes(gzip.compress(raw[:77_777]) + gzip.compress(raw[77_777:]))
    for size in (1, 1000, 1 << 20):
        with TextBytes(tmp_path / "t") as stream:
            first = stream.read(size)
            assert first + (stream.readall() or b"") == raw
            assert stream.tail == raw[-(1 << 16) :]


def zipped(raw: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("t.csv", raw)
    return made.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, lzma.compress, bz2.compress])
def test_every_compression_gives_the_same_cells(kit: Kit, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    raw = TEXT.encode()
    assert cells(kit, tmp_path, pack(raw[:50_000]) + pack(raw[50_000:])) == cells(kit, tmp_path, raw)
    with pytest.raises(StoreError, match="cannot be read"):
        cells(kit, tmp_path, pack(raw)[:-7])


def test_an_archive_is_named(kit: Kit, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is packed with zip; unpack it"):
        cells(kit, tmp_path, zipped(b"a,b\n1,2\n"))


def test_a_table_without_a_channel_is_refused_with_the_cell_that_is_no_number(kit: Kit, tmp_path: Path) -> None:
    text = kit.table(kit.rows(range(9)))
    with pytest.raises(StoreError, match="in 'load' 1 of 10 cells are no numbers, such as 'load'"):
        kit.bring(tmp_path, text + text.replace("when", str(kit.T0 + 9)).splitlines()[0] + "\n")
