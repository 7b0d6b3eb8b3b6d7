"""The label space, its aliases, and label tables of other people's logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.labels import read_labels
from rlstir_core.hostlogs.attack.techniques import aliases, current_id, in_space, tactics_of, techniques

REAL = Path(__file__).parents[3] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not beside this checkout")


def test_the_label_space_has_eighty_techniques_in_the_order_of_their_ids() -> None:
    assert len(techniques()) == 80 and list(techniques()) == sorted(techniques())
    assert all(each.name and each.tactics and each.id == key for key, each in techniques().items())


def test_no_technique_of_the_space_is_one_that_has_another_name_now() -> None:
    assert not set(techniques()) & set(aliases())
    assert not set(aliases()) & set(aliases().values())


@pytest.mark.parametrize(
    ("before", "now"),
    [("T1070.001", "T1685.005"), (" t1562.001 ", "T1685"), ("T1562.004", "T1686"), ("T1059.001", "T1059.001")],
)
def test_an_id_of_before_becomes_the_one_of_now(before: str, now: str) -> None:
    assert current_id(before) == now


@pytest.mark.parametrize("text", ["", "1059", "T105", "T1059.1", "T1059.001.002", "TA0005", "T1059\n;"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no technique id"):
        current_id(text)


def test_a_technique_outside_the_space_rolls_up_to_its_parent_or_is_unseen() -> None:
    assert in_space("T1059.001") == "T1059.001"
    assert in_space("T1059.005") == "T1059"
    assert in_space("T1557.001") is None


def test_tactics_are_understood_by_id_and_by_name_of_before_and_now() -> None:
    assert tactics_of("TA0002") == tactics_of("Execution") == ("execution",)
    assert tactics_of("Defense Evasion") == tactics_of("TA0005") == ("stealth", "defense-impairment")
    assert tactics_of("stealth") == ("stealth",) and tactics_of("Antivirus") == ()
    assert all(tactics_of(tactic) == (tactic,) for each in techniques().values() for tactic in each.tactics)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(
        "file,tactic,technique\n"
        "a/one.evtx,TA0005,T1070.001|T1557\n"
        'b\\two.json,Execution,"T1059.005, nonsense"\n'
        "c/one.evtx,,\n"
    )
    return path


def test_labels_are_read_by_file_and_what_is_outside_the_space_is_reported(table: Path) -> None:
    labels = read_labels(table)
    one, two = labels.files["a/one.evtx"], labels.files["b/two.json"]
    assert one.techniques == ("T1685.005", "T1557") and one.labels == ("T1685.005",)
    assert one.tactics == ("stealth", "defense-impairment")
    assert two.labels == ("T1059",)
    assert labels.unseen == {"T1557": 1}
    assert len(labels.unreadable) == 1 and labels.unreadable[0].startswith("line 3: 'nonsense'")


def test_a_file_is_found_by_its_name_where_only_one_has_it(table: Path) -> None:
    labels = read_labels(table)
    assert labels.of("two.json") == labels.of("/data/b/two.json") == labels.files["b/two.json"]
    assert labels.of("one.evtx") is None  # two have it
    assert labels.of("a\\one.evtx") == labels.files["a/one.evtx"]


def test_an_archive_or_folder_labels_what_it_holds_at_any_depth_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("file,technique\na.tar,T1110\na.tar/d/y.log,T1078\ne/,T1021\n")
    labels = read_labels(tmp_path / "l.csv")
    assert labels.name_above("a.tar/d/x.log") == labels.name_above("o.tar/a.tar/x.log") == "a.tar"
    assert labels.name_above("a.tar/d/y.log") == "a.tar/d/y.log"
    assert labels.name_above("e/x.log") == "e" and labels.name_above("x.log") is None


def test_a_whole_path_labels_that_file_and_not_another_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("file,technique\n/in/d/x.log,T1078\n")
    labels = read_labels(tmp_path / "l.csv")
    assert labels.name_above("d/x.log", "/in") == "/in/d/x.log" and labels.name_above("x.log", "/in") is None
    assert labels.name_above("x.log", "/copied/elsewhere") == "/in/d/x.log"


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbfFile;Technique\r\nd\\x.log;T1110\r\n",
        b"file\ttechnique\nd/x.log\tT1110\n",
        b'"file", "technique"\n"./d/x.log", T1110\n',
        "file,technique\nd/x.log,T1110\n".encode("utf-16"),
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "l.csv").write_bytes(raw)
    assert {name: label.techniques for name, label in read_labels(tmp_path / "l.csv").files.items()} == {
        "d/x.log": ("T1110",)
    }


@pytest.mark.parametrize("raw", [b"", b"a,b\n1,2\n", b"file\nx\n", b"\xff\xfe", b'"'])
def test_a_table_that_is_none_is_refused_in_a_sentence(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(raw)
    with pytest.raises((ConfigError, StoreError)):
        read_labels(path)
    with pytest.raises(StoreError, match="cannot be read"):
        read_labels(tmp_path / "none.csv")


@needs_real
@pytest.mark.parametrize(
    ("name", "n_files", "n_unseen"), [("evtx_mdecrevoisier.labels.csv", 281, 9), ("mordor/labels.csv", 68, 5)]
)
def test_the_label_tables_of_the_real_logs_are_read_whole(name: str, n_files: int, n_unseen: int) -> None:
    labels = read_labels(REAL / name)
    assert len(labels.files) == n_files and labels.unreadable == ()
    assert len(labels.unseen) == n_unseen
