"""`.ts` files keep the rules that aeon and sktime write down, and break them with a sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rlstir_core.errors import StoreError
from rlstir_core.importers.table.ts import read_ts
from rlstir_core.importers.tables import import_table

HEADER = """@problemName Toy
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true walk run
@data
"""
SERIES = "1,2,3,4:5,6,7,8:walk\n1,?,3:5,nan,7:run\n"


@pytest.mark.parametrize(
    "text",
    [
        HEADER + SERIES,
        HEADER.replace("@data", "@DATA") + SERIES,
        HEADER.upper().replace("WALK RUN", "walk run") + SERIES,
        HEADER.lower() + SERIES,
        "\ufeff" + HEADER + SERIES,
        "# The lines after the @data tag hold one series each.\n# @classLabel true a\n" + HEADER + SERIES,
        "%a remark\n\n" + HEADER.replace("@data", "# in between\n\n@data  ") + SERIES,
        HEADER + SERIES.replace("\n1", "\n# a remark\n\n  % another: 1,2:walk\n1") + "# the end",
        (HEADER + SERIES).replace("\n", "\r\n"),
        HEADER.replace(" ", "\t") + SERIES,
        HEADER.replace("@dimensions", "@dimension") + SERIES,
        HEADER.replace("@dimensions 2\n", "") + SERIES,
        HEADER + SERIES.replace(":run", ": RUN "),
    ],
)
def test_tags_in_any_case_and_remarks_anywhere_change_nothing(tmp_path: Path, text: str) -> None:
    for raw in (text.encode(), gzip.compress(text.encode()), text.removeprefix("\ufeff").encode("utf-16")):
        (tmp_path / "A.ts").write_bytes(raw)
        made = import_table(tmp_path / "A.ts", "uea", tmp_path / "s")
        assert (made.n_episodes, made.n_rows, made.phases) == (2, 7, {"walk": 1, "run": 1})
        assert made.channels == ("series.dim_0", "series.dim_1")
    table = read_ts(tmp_path, text)
    assert table.column("dim_1").to_pylist() == [5, 6, 7, 8, 5, None, 7]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + SERIES.replace("run", "jump"), "A.ts series 2 .*has the class 'jump', .*lists walk, run"),
        (
            HEADER + SERIES.replace(":run", ""),
            r"series 2 \(line 10\) ends without its class; @classLabel lists walk, run",
        ),
        (HEADER + "1:2\n", "series 1 .*ends without its class"),
        (HEADER.replace("@dimensions 2\n", "") + SERIES.replace(":run", ""), "has the class '5,nan,7'"),
        (
            HEADER.replace("walk run", "1 2").replace("@dimensions 2\n", "") + "1:2:1\n3:2\n",
            "has 1 dimensions, those before",
        ),
        (HEADER + SERIES.replace("5,6,7,8:", ""), "series 1 .*has 1 dimensions, the header says 2"),
        (HEADER + SERIES.replace("5,6", "9:5,6"), "has 3 dimensions, the header says 2"),
        (HEADER.replace("false\n@dimensions 2", "true") + SERIES, "has 2 dimensions, the header says 1"),
        (HEADER.replace("@univariate false", "@univariate true") + SERIES, "@univariate true and @dimensions 2"),
        (HEADER.replace("@dimensions 2", "@dimensions two") + SERIES, "says @dimensions 'two', which is no number"),
        (HEADER.replace("@equalLength false", "@equalLength true") + SERIES, "series 2 .*has 3 steps in dimension 0"),
        (HEADER.replace("@equalLength false", "@seriesLength 4\n@equalLength true") + SERIES, "others have 4"),
        (HEADER.replace("@equalLength false", "@seriesLength 5\n@equalLength true") + SERIES, "series 1 .*has 4 steps"),
        (HEADER.replace("@classLabel true walk run", "@classLabel true") + SERIES, "lists no class"),
        (HEADER.replace("@classLabel true walk run", "@classLabel false") + SERIES, "has no class labels"),
        (HEADER.replace("@classLabel true walk run", "@targetLabel true") + SERIES, "numbers to predict"),
        (HEADER.replace("@timeStamps false", "@timeStamps true") + SERIES, "time stamps inside its series"),
        (HEADER.replace("@data\n", ""), "has no line @data"),
        (HEADER.replace("@data\n", "") + SERIES, "line 8 stands before @data"),
        (HEADER.replace("@data", "@data 1,2:3,4:walk") + SERIES, "has more than @data"),
        (HEADER + SERIES.replace("3,4", "3,four"), "series 1 .*four.*; mend the value"),
        (HEADER, "no rows"),
    ],
)
def test_a_file_that_breaks_its_own_header_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "A.ts").write_text(text)
    with pytest.raises(StoreError, match=words):
        import_table(tmp_path / "A.ts", "uea", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_classes_that_are_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "A.ts").write_text(
        "@problemName T\n@univariate true\n@classLabel true 1 -1\n@data\n1,2:1.0\n3,4:-1\n5,6:-1.0\n"
    )
    assert import_table(tmp_path / "A.ts", "uea", tmp_path / "s").phases == {"1": 1, "minus-1": 2}
