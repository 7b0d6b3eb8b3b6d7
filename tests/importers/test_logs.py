"""Logs of others become episodes: found by content, the bytes as they are, labels from a table."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import write_episode
from rlstir_core.episodes.validation.validate import validate_host, validate_store
from rlstir_core.errors import ConfigError, InvalidId, StoreError
from rlstir_core.hostlogs.store import build_log_events, host_counts, parse_tarball
from rlstir_core.hostlogs.times.evidence import evidence_of, zones_given
from rlstir_core.importers.logs import import_logs
from rlstir_core.results.layout import Layout

REAL = Path(__file__).parents[3] / "shared" / "real"
DAY = 86_400
NEW_YEAR = 1_704_067_200  # 2024-01-01


def audit(serial: int, at: float) -> str:
    fields = f'arch=c000003e syscall=59 success=yes exit=0 pid={serial} comm="x"'
    return f"type=SYSCALL msg=audit({at:.3f}:{serial}): {fields}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / "a").mkdir(parents=True)
    (made / "a" / "x.log").write_text("".join(audit(k, NEW_YEAR + k) for k in range(1, 5)))
    (made / "b.log").write_text("Dec 31 23:59:59 Box.lab.local sshd[1]: Invalid user q from 192.0.2.1\n")
    os.utime(made / "b.log", (NEW_YEAR + 60, NEW_YEAR + 60))
    (made / "notes.txt").write_text("nothing\n")
    return made


def episodes(store: Path) -> dict[str, Any]:
    return {entry.episode_id: entry for entry in read_index(store).entries}


def rows_of(store: Path, data: Path) -> dict[str, int]:
    layout, index, n = Layout(data), read_index(store), dict[str, int]()
    for host in index.hosts:
        found = validate_host(store, layout, host, registry=load_registry(store), index=index)
        assert all(row.usable for row in found.rows), [(row.reason, row.detail) for row in found.rows if not row.usable]
        for channel, rows in build_log_events(store, layout, host).rows.items():
            n[channel] = n.get(channel, 0) + rows
    return n


def test_every_log_becomes_an_episode_and_every_event_a_row(folder: Path, tmp_path: Path) -> None:
    made = import_logs([folder], tmp_path / "store")
    assert (made.n_files, made.n_episodes, made.n_rows) == (2, 2, 5)
    assert made.not_logs == ["notes.txt"] and made.faults == []
    assert {entry.host_id for entry in episodes(tmp_path / "store").values()} == {"imported", "box"}
    assert rows_of(tmp_path / "store", tmp_path / "data") == {"auditd": 4, "auth": 1}
    verdicts = [
        verdict for _, verdict in validate_store(tmp_path / "store", registry=load_registry(tmp_path / "store"))
    ]
    assert {verdict.verdict for verdict in verdicts} == {"degraded"}


def test_a_line_without_a_year_was_written_before_its_file_was_last_changed(folder: Path, tmp_path: Path) -> None:
    import_logs([folder / "b.log"], tmp_path / "store")
    layout, index = Layout(tmp_path / "data"), read_index(tmp_path / "store")
    (row,) = validate_host(
        tmp_path / "store", layout, "box", registry=load_registry(tmp_path / "store"), index=index
    ).rows
    assert row.t_start_wall_ns == (NEW_YEAR - 1) * 10**9


def test_labels_become_the_truth_of_the_whole_episode(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,technique,tactic\na/x.log,T1562.001|T1557,\nother.log,T1003,\n")
    made = import_logs([folder], tmp_path / "store", labels=table)
    assert made.labelled_files == 1 and made.unused_labels == 1 and made.unseen_techniques == {"T1557": 1}
    path = next(e.path for e in episodes(tmp_path / "store").values() if e.host_id == "imported")
    import zstandard

    raw = zstandard.ZstdDecompressor().decompress((tmp_path / "store" / path).read_bytes())
    (tmp_path / "e.tar").write_bytes(raw)
    with tarfile.open(tmp_path / "e.tar") as archive:
        member = archive.extractfile("gt_ttp_sequence.json")
        assert member is not None
        truth = json.loads(member.read())
        log = archive.extractfile("logs/audit.log")
        assert log is not None and log.read() == (folder / "a" / "x.log").read_bytes()
    assert [(span["technique"], span["tactic"]) for span in truth] == [("T1685", "defense-impairment"), ("T1557", "")]


@pytest.mark.parametrize(
    ("label", "truth"),
    [
        ("T1053.005,Persistence", [("T1053.005", "persistence")]),  # the table's first is another
        (
            "T1053.005|T1003,persistence|credential-access",
            [("T1053.005", "persistence"), ("T1003", "credential-access")],
        ),
        ("T1053.005,Impact", [("T1053.005", "impact")]),  # none of its own: somebody must know why
        ("T1557,collection", [("T1557", "collection")]),
        (",Defense Evasion", [("", "stealth"), ("", "defense-impairment")]),
    ],
)
def test_the_tactic_of_a_label_stays_beside_its_techniques_or_alone(
    label: str, truth: list[tuple[str, str]], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text(f"file,technique,tactic\na/x.log,{label}\n")
    made = import_logs([folder], tmp_path / "store", labels=tmp_path / "labels.csv")
    path = next(e.path for e in episodes(tmp_path / "store").values() if e.host_id == "imported")
    said = parse_tarball(tmp_path / "store" / path, "imported", "e", None).truth
    assert made.labelled_files == 1 and said.n_bad == 0
    assert [(span.technique, span.tactic) for span in said.techniques] == truth
    assert set(said.tactics) == {tactic for _, tactic in truth}


def test_names_and_order_tell_nothing_and_the_same_files_give_the_same_store(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        import_logs([folder], tmp_path / name)
    one, two = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    )
    assert one == two
    assert all(name.startswith("log-") and len(name) == 20 for name in episodes(tmp_path / "one"))


def test_equal_files_in_two_places_are_two_episodes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "x.log").write_text(audit(1, NEW_YEAR))
    assert import_logs([tmp_path / "in"], tmp_path / "store").n_episodes == 2
    assert len(episodes(tmp_path / "store")) == 2


def test_a_log_longer_than_an_episode_is_placed_where_most_of_it_is_and_loses_nothing(tmp_path: Path) -> None:
    times = [NEW_YEAR, *(NEW_YEAR + 400 * DAY + k for k in range(5)), NEW_YEAR + 900 * DAY]
    (tmp_path / "x.log").write_text("".join(audit(k, at) for k, at in enumerate(times, 1)))
    made = import_logs([tmp_path / "x.log"], tmp_path / "store")
    assert made.n_rows == 7
    assert rows_of(tmp_path / "store", tmp_path / "data") == {"auditd": 7}
    layout, index = Layout(tmp_path / "data"), read_index(tmp_path / "store")
    (row,) = validate_host(
        tmp_path / "store", layout, "imported", registry=load_registry(tmp_path / "store"), index=index
    ).rows
    assert row.t_start_wall_ns == (NEW_YEAR + 400 * DAY) * 10**9


def test_a_log_without_any_time_is_kept_too(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"EventID": 1, "Channel": "System"}\n{"EventID": 2, "Channel": "System"}\n')
    assert import_logs([tmp_path / "x.jsonl"], tmp_path / "store").n_rows == 2
    assert sum(rows_of(tmp_path / "store", tmp_path / "data").values()) == 2


FAILED = "{at} web1 sshd[{n}]: Failed password for root from 192.0.2.9 port 4000{n} ssh2\n"


def test_a_label_reaches_every_row_of_a_log_of_several_days(tmp_path: Path) -> None:
    days = [("2024-05-01", 4), ("2024-05-02", 6), ("2024-05-03", 4)]
    text = "".join(FAILED.format(at=f"{day}T10:0{n}:00+00:00", n=n) for day, k in days for n in range(k))
    (tmp_path / "x.log").write_text(text)
    (tmp_path / "labels.csv").write_text("file,technique\nx.log,T1110.001\n")
    import_logs([tmp_path / "x.log"], tmp_path / "store", labels=tmp_path / "labels.csv")
    rows_of(tmp_path / "store", tmp_path / "data")
    (counts,) = host_counts(Layout(tmp_path / "data"), "web1").values()
    assert counts.techniques == {"T1110.001": 14}


def test_a_log_of_which_nothing_can_be_read_is_no_import(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.evtx").write_bytes(b"ElfFile\0" + bytes(70_000))
    with pytest.raises(StoreError, match=r"a\.evtx: none of its 1 rows could be read"):
        import_logs([tmp_path / "in"], tmp_path / "store")
    (tmp_path / "in" / "x.log").write_text(audit(1, NEW_YEAR))
    made = import_logs([tmp_path / "in"], tmp_path / "store")
    assert (made.n_files, made.n_episodes, len(made.faults)) == (1, 1, 1)
    assert len(read_index(tmp_path / "store").entries) == 1


def test_in_an_archive_the_longest_name_of_the_table_is_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "d" / "d").mkdir(parents=True)
    for name, n in (("x.log", 1), ("d/x.log", 2)):
        (tmp_path / "d" / name).write_text(FAILED.format(at="2024-05-01T10:00:00+00:00", n=n))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "d" / "x.log", "x.log")
        archive.add(tmp_path / "d" / "d" / "x.log", "d/x.log")
    (tmp_path / "labels.csv").write_text("file,technique\nx.log,T1110\nd/x.log,T1078\n")
    for source in (tmp_path / "a.tar", tmp_path / "d"):
        made = import_logs([source], tmp_path / source.name.replace(".", "-"), labels=tmp_path / "labels.csv")
        assert (made.labelled_files, made.unused_labels) == (2, 0)


def test_an_import_that_is_cut_off_leaves_an_index_line_for_every_episode_that_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for k in range(4):
        (tmp_path / "in" / f"{k}.log").write_text(audit(k, NEW_YEAR + k))
    written = []

    def write(*arguments: Any) -> Any:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(1)
        return write_episode(*arguments)

    monkeypatch.setattr("rlstir_core.importers.logs.write_episode", write)
    with pytest.raises(KeyboardInterrupt):
        import_logs([tmp_path / "in"], tmp_path / "store")
    assert len(episodes(tmp_path / "store")) == 3


def test_every_row_and_fault_is_counted_where_the_summary_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    lines = [FAILED.format(at=f"2024-05-01T10:00:0{n}+00:00", n=n) for n in range(5)]
    (folder / "a.log").write_text("".join([*lines, "\x01\x02 what is this\n"]))
    (folder / "b.log.gz").write_bytes(gzip.compress("".join(lines).encode()) + b"rubbish")
    (folder / "link").symlink_to(folder / "a.log")
    made = import_logs([folder], tmp_path / "store")
    tally = made.formats["syslog"]
    assert (tally.files, tally.rows, tally.unparsed, tally.untimed, tally.bare) == (2, 11, 1, 0, 0)
    assert tally.hosts == {"web1": 10} and made.new_hosts == ["web1"]
    assert (tally.first_ns, tally.last_ns) == (1_714_557_600 * 10**9, 1_714_557_604 * 10**9)
    assert made.passed == ["link (a link)"] and made.n_losses == 2
    assert [warning.split(":")[0] for warning in made.warnings()] == ["syslog", "not read"]
    assert "7 bytes were not read" in made.faults[0]
    again = import_logs([folder / "a.log"], tmp_path / "store")
    assert again.new_hosts == []


def test_a_file_that_was_named_and_is_no_log_is_a_loss_and_one_that_lay_beside_logs_is_none(
    folder: Path, tmp_path: Path
) -> None:
    assert import_logs([folder], tmp_path / "one").n_losses == 0
    made = import_logs([folder / "a" / "x.log", folder / "notes.txt"], tmp_path / "two")
    assert made.left_out == ["notes.txt"] and made.n_losses == 1


def test_a_time_that_no_file_can_have_is_no_evidence() -> None:
    for seconds in (0, 1, 315_532_800, 499_162_500, 4_000_000_000):
        assert evidence_of(seconds * 10**9).modified_ns is None
    assert evidence_of(NEW_YEAR * 10**9).modified_ns == NEW_YEAR * 10**9
    assert evidence_of(None).modified_ns is None


def test_zones_are_given_for_all_hosts_and_for_one() -> None:
    assert zones_given(("Europe/Berlin", "WEB1.lab=+08:00")) == ("Europe/Berlin", {"web1": "+08:00"})
    for wrong in (("Nowhere/Land",), ("../etc/passwd",), ("=UTC",), ("UTC", "Europe/Berlin"), ("+99:00",)):
        with pytest.raises(ConfigError):
            zones_given(wrong)


def test_a_second_import_adds_to_the_store(folder: Path, tmp_path: Path) -> None:
    import_logs([folder / "a"], tmp_path / "store")
    import_logs([folder / "b.log"], tmp_path / "store")
    assert len(episodes(tmp_path / "store")) == 2


def test_nothing_that_is_a_log_and_an_unsafe_host_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no log in"):
        import_logs([folder / "notes.txt"], tmp_path / "store")
    with pytest.raises(StoreError, match="is not there"):
        import_logs([folder / "none"], tmp_path / "store")
    with pytest.raises(InvalidId, match="not a safe identifier"):
        import_logs([folder], tmp_path / "store", host="../x")
    assert not (tmp_path / "store").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "labels", "n_files", "n_rows", "n_unparsed"),
    [
        ("evtx_mdecrevoisier.tar.xz", "evtx_mdecrevoisier.labels.csv", 281, 10_015, 0),
        ("splunk_attack_data/T1047", "", 1, 8_220, 0),
        ("loghub", "", 1, 2_000, 0),
        ("linux_audit_golibaudit", "", 7, 75, 1),
    ],
)
def test_real_logs_lose_no_event(
    tmp_path: Path, name: str, labels: str, n_files: int, n_rows: int, n_unparsed: int
) -> None:
    made = import_logs([REAL / name], tmp_path / "store", labels=REAL / labels if labels else None)
    assert (made.n_files, made.n_rows, sum(made.unparsed.values())) == (n_files, n_rows, n_unparsed)
    assert sum(rows_of(tmp_path / "store", tmp_path / "data").values()) == n_rows
    assert made.unused_labels == 0 and made.faults == []


def interpreted(serial: int, text: str) -> str:
    return f"type=SYSCALL msg=audit({text}.000:{serial}) : arch=x86_64 syscall=execve success=yes pid={serial} comm=x\n"


def test_a_log_without_a_zone_has_that_of_the_raw_log_of_the_same_events(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    days = range(1, 6)
    (folder / "b-raw.log").write_text("".join(audit(k, NEW_YEAR + k * DAY) for k in days))
    (folder / "a-read.log").write_text("".join(interpreted(k, f"01/{k + 1:02}/2024 08:00:00") for k in days))
    made = import_logs([folder], tmp_path / "store")
    assert made.zones_learnt == {"a-read.log": "+08:00"} and made.formats["audit"].zone_assumed == 0
    assert made.formats["audit"].first_ns == (NEW_YEAR + DAY) * 10**9
    alone = import_logs([folder / "a-read.log"], tmp_path / "alone")
    assert alone.zones_learnt == {} and alone.formats["audit"].zone_assumed == 5
    told = import_logs([folder / "a-read.log"], tmp_path / "told", zone="Asia/Tokyo")
    assert told.formats["audit"].first_ns == (NEW_YEAR + DAY - 3600) * 10**9
