"""Over a real S3 server on loopback, started here, where moto and s3fs are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install 'rlstir[sync]')")
pytest.importorskip("moto", reason="moto is not installed (pip install 'moto[server]')")
pytestmark = pytest.mark.slow

# in a process of its own, for what these libraries leave open and warn of is no concern of ours
PROGRAM = """
import sys
from pathlib import Path
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
import os
os.environ["AWS_ENDPOINT_URL"] = "http://%s:%s" % server.get_host_and_port()
import s3fs
source, store = map(Path, sys.argv[1:])
fs = s3fs.S3FileSystem()
fs.mkdir("bucket")
fs.put(str(source), "bucket/lab", recursive=True)
from rlstir_core.sync.run import sync_episodes
from rlstir_core.sync.sources import source_of
made = sync_episodes(source_of("s3://bucket/lab"), store)
assert (made.fetched, made.exit_code) == (5, 0), made
fs.pipe("bucket/lab/episodes/web1/ep-001.tar.zst", b"changed")
fs.rm("bucket/lab/episodes/web1/ep-002.tar.zst")
for k in (1, 2):
    (store / f"episodes/web1/ep-00{k}.tar.zst").unlink()
fs.invalidate_cache()
made = sync_episodes(source_of("s3://bucket/lab"), store, sleep=lambda _: None)
assert (made.fetched, made.there_already, made.left.n, made.exit_code) == (0, 3, 2, 1), made
assert "7 came" in made.left.first[0] and "is not there" in made.left.first[1], made
server.stop()
"""


def test_episodes_come_from_a_bucket_and_what_changed_in_it_is_noticed(
    fill: Callable[..., Path], tmp_path: Path
) -> None:
    source, store = fill(tmp_path / "source", n=5), tmp_path / "store"
    of_aws = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    found = os.environ.get("PYTHONPATH", "")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, source, store],
        env={**os.environ, **of_aws, "PYTHONPATH": f"{Path.cwd()}:{found}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (store / "index.jsonl").read_bytes() == (source / "index.jsonl").read_bytes()
