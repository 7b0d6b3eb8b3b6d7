"""What the environment must allow before any step is started."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from rlstir_assets.environment import check_room_for_sockets
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
