"""Public technique texts become one table; what cannot be used is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rlstir_core.errors import StoreError
from rlstir_core.importers.knowledge import import_knowledge

KNOWLEDGE = Path(__file__).parents[3] / "shared" / "knowledge"
ATOMIC = """
attack_technique: T1070.001
display_name: Clear logs
atomic_tests:
- name: Clear the log
  auto_generated_guid: x
  description: Clears a log.
  supported_platforms: [windows]
  input_arguments:
    log_name: {description: which, type: string, default: System}
  executor:
    command: |
      wevtutil cl #{log_name}
    cleanup_command: "echo #{unknown}"
    name: command_prompt
"""


def line(**changes: Any) -> bytes:
    record = {
        "source": "s",
        "id": "1",
        "platform": "windows",
        "techniques": ["T1562.001"],
        "kind": "command",
        "text": "x",
    }
    return json.dumps(record | changes).encode() + b"\n"


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def test_lines_and_yaml_become_one_table_with_ids_of_now(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "atomics" / "T1070.001").mkdir(parents=True)
    (folder / "atomics" / "T1070.001" / "T1070.001.yaml").write_text(ATOMIC)
    (folder / "atomics" / "other.yaml").write_text("a: 1")
    (folder / "k.jsonl.gz").write_bytes(
        gzip.compress(line() + line() + line(id="2", techniques=["T1557"], events=["sysmon|1"]))
    )
    made = import_knowledge([folder], tmp_path / "out.parquet")
    found = {(row["source"], row["id"]): row for row in rows(tmp_path / "out.parquet")}
    assert made.n_texts == len(found) == 5 and made.n_without_label == 1 and made.faults == ()
    assert made.per_source == {"atomic": 3, "s": 2}
    assert found["s", "1"]["labels"] == ["T1685"] and found["s", "2"]["labels"] == []
    assert found["s", "2"]["events"] == ["sysmon|1"]
    command = found["atomic", "T1685.005#0c"]
    assert (
        command["text"] == "wevtutil cl System"
        and command["labels"] == ["T1685.005"]
        and command["platform"] == "windows"
    )
    assert found["atomic", "T1685.005#0x"]["text"] == "echo #{unknown}"
    assert found["atomic", "T1685.005#0d"]["kind"] == "prose"


def test_what_cannot_be_used_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    bad = b"garbage\n" + line(techniques=["nonsense"]) + line(kind="song") + b'{"a": 1}\n\xff\n' + line()
    (tmp_path / "k.jsonl").write_bytes(bad)
    (tmp_path / "T1.yaml").write_text("a: &x [1]\nb: *x\n")
    (tmp_path / "T2.yaml").write_text("!!python/object/apply:os.system ['touch pwned']")
    made = import_knowledge([tmp_path], tmp_path / "out.parquet")
    assert made.n_texts == 1
    assert [fault.split(":")[0] for fault in made.faults] == [
        "T1.yaml",
        "T2.yaml",
        "k.jsonl line 1",
        "k.jsonl line 2",
        "k.jsonl line 3",
        "k.jsonl line 4",
        "k.jsonl line 5",
    ]
    assert not (tmp_path / "pwned").exists() and not Path("pwned").exists()


@pytest.mark.parametrize("raw", [b"", b"garbage"])
def test_nothing_to_read_is_refused_in_a_sentence(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "k.jsonl").write_bytes(raw)
    with pytest.raises(StoreError, match="no technique text in"):
        import_knowledge([tmp_path / "k.jsonl"], tmp_path / "out.parquet")
    with pytest.raises(StoreError, match="is not there"):
        import_knowledge([tmp_path / "none"], tmp_path / "out.parquet")
    (tmp_path / "k.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(StoreError, match="cannot be read"):
        import_knowledge([tmp_path / "k.jsonl.gz"], tmp_path / "out.parquet")


@pytest.mark.skipif(not KNOWLEDGE.is_dir(), reason="the public texts are not beside this checkout")
def test_the_public_texts_are_read_whole_and_twice_the_same(tmp_path: Path) -> None:
    made = import_knowledge([KNOWLEDGE], tmp_path / "a.parquet")
    assert made.faults == () and made.n_texts > 25_000
    assert {label for row in rows(tmp_path / "a.parquet") for label in row["labels"]} >= {"T1003.001", "T1685.005"}
    import_knowledge([KNOWLEDGE], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
