"""What the environment must allow before any step is started."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from rlstir_assets.environment import check_room_for_sockets, seconds_between_looks
from rlstir_core.errors import ConfigError


def test_a_folder_of_temporary_files_whose_path_leaves_no_room_for_sockets_is_refused_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("slurm-job-" * 12)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(ConfigError, match=r"AF_UNIX path too long.*set TMPDIR"):
        check_room_for_sockets()
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    check_room_for_sockets()


@pytest.mark.parametrize(("text", "seconds"), [("", 20), ("5", 5), ("86400", 86_400)])
def test_the_sensor_waits_as_long_as_is_asked_for(text: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLSTIR_LOOK_EVERY_S", text)
    assert seconds_between_looks() == seconds


@pytest.mark.parametrize("text", ["0", "-1", "5s", "1e3", "86401", "9" * 40, "٣"])
def test_what_is_no_number_of_seconds_is_refused_by_the_name_of_its_variable(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLSTIR_LOOK_EVERY_S", text)
    with pytest.raises(ConfigError, match="RLSTIR_LOOK_EVERY_S"):
        seconds_between_looks()
