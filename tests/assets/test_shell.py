"""`dagster asset materialize` from a bare shell: what CI calls, without the driver."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from rlstir_assets.resources import Settings

pytestmark = pytest.mark.slow
MATERIALIZE = ("dagster", "asset", "materialize", "-m", "rlstir_assets.definitions", "--select")


def test_assets_are_made_from_a_bare_shell_in_their_order(
    shell: Any, make_home: Any, small_store: Any, tmp_path: Path
) -> None:
    home, store = make_home(tmp_path / "home"), small_store(tmp_path / "store", episodes=2)
    env = {"RLSTIR_STORE": str(store), "RLSTIR_DATA": str(tmp_path / "data")}
    early = shell(*MATERIALIZE, "key:checkpoint/gbt_realistic", "--partition", "host", home=home, env=env)
    assert early.returncode != 0
    wanted = (
        r"episode_index_v1\.json is missing; make it with: "
        + r"\S*rlstir materialize --store \S+ --data \S+ --select key:episode_index"
    )
    assert re.search(wanted, early.stdout + early.stderr)
    index = shell(*MATERIALIZE, "key:episode_index", home=home, env=env)
    assert index.returncode == 0, index.stderr
    assert (tmp_path / "data" / "processed" / "episode_index_v1.json").is_file()
    verdicts = shell(*MATERIALIZE, "key:validation", "--partition", "k-gamingcom", home=home, env=env)
    assert verdicts.returncode == 0, verdicts.stderr
    made = tmp_path / "data" / "processed" / "validation_v1.parquet"
    assert [path.name for path in made.iterdir()] == ["host=k-gamingcom"]


def test_a_checkpoint_is_trained_from_a_bare_shell(shell: Any, own_driven: Any) -> None:
    path = own_driven.layout.checkpoint("host", "gbt", "realistic")
    before = path.read_bytes()
    path.unlink()
    env = {"RLSTIR_STORE": str(own_driven.store), "RLSTIR_DATA": str(own_driven.data)}
    done = shell(*MATERIALIZE, "key:checkpoint/gbt_realistic", "--partition", "host", home=own_driven.home, env=env)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before


def test_a_partition_that_is_none_is_one_sentence_that_lists_those_there_are(shell: Any, driven: Any) -> None:
    env = {"RLSTIR_STORE": str(driven.store), "RLSTIR_DATA": str(driven.data)}
    done = shell(*MATERIALIZE, "key:validation", "--partition", "nobody", home=driven.home, env=env)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    for words in ("rlstir: --select 'key:validation' --partition 'nobody'", "elliott-thinkpad, k-gamingcom", "loho"):
        assert words in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--select", "key:validation or key:split", "--partition", "host"], "materialize --select 'key:validation or"),
        (
            ["--select", "key:validation"],
            "assets of hosts take one of elliott-thinkpad, k-gamingcom, assets of",
        ),
        (["--select=key:splitt", "--partition=host"], "--select 'key:splitt' names no asset; write for example"),
    ],
)
def test_a_selection_that_one_call_cannot_make_is_one_sentence(
    words: list[str], said: str, driven: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dagster._check import CheckError

    from rlstir_assets import shell as own

    codes: list[int] = []
    monkeypatch.setattr(own.os, "_exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["/x/dagster", "asset", "materialize", "-m", "rlstir_assets.definitions", *words])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(own, "Settings", lambda: Settings(store=str(driven.store), data=str(driven.data)))
    own.tell_refusals_plainly()
    error = CheckError("Failure condition: what Dagster says")
    if not codes:  # a selection that names nothing is refused before anything runs
        sys.excepthook(CheckError, error, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert codes == [2] and line.startswith("rlstir: ") and said in line
    sys.excepthook(ValueError, ValueError("a defect"), None)
    assert "ValueError: a defect" in capsys.readouterr().err and codes == [2]


def test_other_programs_keep_their_own_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlstir_assets import shell as own

    before = sys.excepthook
    monkeypatch.setattr(sys, "argv", ["/x/dagster", "dev"])
    own.tell_refusals_plainly()
    assert sys.excepthook is before
