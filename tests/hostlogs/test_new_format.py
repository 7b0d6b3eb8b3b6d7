"""A new log format by docs/adding_a_parser.md: its one file and its one line are all that is needed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rlstir_core import hostlogs
from rlstir_core.contract import members
from rlstir_core.contract.members import LogMember, is_known
from rlstir_core.contract.registry import default_registry, load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import jsonl_bytes, write_episode, write_index
from rlstir_core.episodes.validation.current import decode_sha256
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.opening.recognise import recognise
from rlstir_core.hostlogs.parsers import spec_of, specs
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.importers.logs import import_logs
from rlstir_core.lab.tamper.formats.forms import form_of
from rlstir_core.results.layout import Layout

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_parser.md"
T0 = 1_714_564_800  # 2024-05-01 12:00:00 UTC
REQUEST = '198.51.100.7 - anna [01/May/2024:12:00:0{k} +0000] "GET /x{k} HTTP/1.1" 200 512 "-" "curl/8.5"\n'
LOG = "".join(REQUEST.format(k=k) for k in range(3)).encode() + b"half a li\n"


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogMember]:
    """The page's file and its line, where they belong."""
    file, line = re.findall(r"(?ms)^```python\n(.*?)^```", PAGE.read_text())
    folder = tmp_path / "added"
    folder.mkdir()
    (folder / "web_access.py").write_text(file)
    monkeypatch.setattr(hostlogs, "__path__", [*hostlogs.__path__, str(folder)])
    (member,) = eval(line, {"LogMember": LogMember})
    monkeypatch.setattr(members, "LOGS", (*members.LOGS, member))
    yield member
    sys.modules.pop("rlstir_core.hostlogs.web_access", None)
    vars(hostlogs).pop("web_access", None)


def store_of(folder: Path) -> Path:
    """One episode that has all that the registry asks for, and the log."""
    clock = [k * 10**9 for k in range(10)]
    sources = {}
    for name, source in default_registry().sources.items():
        columns: dict[str, Any] = {"t_wall_ns": [T0 * 10**9 + t for t in clock], "t_mono_ns": clock}
        columns |= {
            field: [float(k) if f.type == "float" else k for k in range(10)] for field, f in source.fields.items()
        }
        sources[name] = jsonl_bytes(columns)
    meta = {"episode_id": "ep-1", "host_id": "web1", "profile": "io-walk", "sample_name": "s", "benign": True}
    meta |= {"t_start_wall_ns": T0 * 10**9, "t_end_wall_ns": (T0 + 10) * 10**9}
    extra = {"logs/access.log": LOG}
    write_index(folder, [write_episode(folder, meta, [(T0 * 10**9, "clean")], sources, extra)])
    return folder


def test_without_the_line_the_member_is_unknown_and_the_episode_degraded(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store")
    found = validate_host(
        store, Layout(tmp_path / "data"), "web1", registry=load_registry(store), index=read_index(store)
    )
    assert [(row.verdict, row.reasons) for row in found.rows] == [("degraded", ("archive.unknown_member",))]
    assert recognise(LOG).log is None


def test_with_it_the_episode_is_ok_and_its_log_becomes_rows(web: LogMember, tmp_path: Path) -> None:
    store, layout = store_of(tmp_path / "store"), Layout(tmp_path / "data")
    found = validate_host(store, layout, "web1", registry=load_registry(store), index=read_index(store))
    assert [(row.verdict, row.reasons) for row in found.rows] == [("ok", ())]
    made = build_log_events(store, layout, "web1")
    assert made.rows == {"web": 4} and made.unparsed == {"web": 1}
    rows = pq.ParquetFile(layout.log_events("web1") / "ep-1.parquet").read().to_pylist()
    assert [row["ts_ns"] // 10**9 - T0 for row in rows] == [0, 1, 2, 2]
    assert [row["parsed"] for row in rows] == [True, True, True, False]
    assert {row["user"] for row in rows[:3]} == {"anna"} and {row["host"] for row in rows} == {"web1"}
    assert len({row["template_id"] for row in rows[:3]}) == 1


def test_with_it_such_files_are_recognised_and_imported(web: LogMember, tmp_path: Path) -> None:
    assert recognise(LOG).log == "web_access" and recognise(b"\xef\xbb\xbf" + LOG).log == "web_access"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "anything.txt").write_bytes(LOG)
    store, layout = tmp_path / "store", Layout(tmp_path / "data")
    made = import_logs([tmp_path / "in"], store)
    assert (made.rows, made.unparsed) == ({"web_access": 4}, {"web_access": 1})
    (host,) = read_index(store).hosts
    found = validate_host(store, layout, host, registry=load_registry(store), index=read_index(store))
    assert all(row.usable and "archive.unknown_member" not in row.reasons for row in found.rows)
    assert build_log_events(store, layout, host).rows == {"web": 4}


def test_a_verdict_that_was_reached_without_the_format_is_reached_again(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store, layout = store_of(tmp_path / "store"), Layout(tmp_path / "data")
    before = decode_sha256(load_registry(store))
    assert validate_host(store, layout, "web1", registry=load_registry(store), index=read_index(store)).count("ok") == 0
    request.getfixturevalue("web")
    assert decode_sha256(load_registry(store)) != before
    assert validate_host(store, layout, "web1", registry=load_registry(store), index=read_index(store)).count("ok") == 1


def test_what_the_format_does_not_have_is_left_alone_in_one_sentence(web: LogMember) -> None:
    with pytest.raises(ConfigError, match="no log whose records can be changed"):
        form_of("logs/access.log", LOG)


def test_every_line_of_the_contract_has_a_reader_that_keeps_to_its_channels() -> None:
    assert [spec.format for spec in specs()] == [log.format for log in members.LOGS]
    for spec in specs():
        assert is_known(spec.member.import_name)
        found = {row.channel for row in spec.read([b"\x00nothing\n"], LogContext())}
        assert found and found <= set(spec.member.channels)
    with pytest.raises(KeyError):
        spec_of("web_access")
