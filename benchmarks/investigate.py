"""`rlstir investigate` on a folder of EVTX files: rows per second on one core, after texts and encoder are loaded.

From the files to the finished report, with and without an encoder of the smoke preset, whose weights are random: what
they say takes as long. No peer: the bar is the limit of the issue, 2,000 rows/s with an encoder. CPU time; the wall
stands beside it. Files and texts lie in ../shared; where they do not, nothing is measured.
Usage: python -m benchmarks.investigate [--quick]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from rlstir_core.atomic import file_sha256, write_bytes, write_json
from rlstir_core.contract.registry import default_registry
from rlstir_core.hostlogs.opening.containers import files
from rlstir_core.importers.knowledge import import_knowledge
from rlstir_core.investigator.checkpoint import EncoderFacts, write_encoder
from rlstir_core.investigator.first_look import FirstLook
from rlstir_core.investigator.inputs import WIDTHS
from rlstir_core.investigator.inquiry.gathering import gathered
from rlstir_core.investigator.inquiry.inquire import investigate
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.sizes import memory
from rlstir_core.investigator.pretraining.calibrated import AnswerCalibration
from rlstir_core.investigator.reading.hashing import WORDS
from rlstir_core.investigator.reading.names import names_in
from rlstir_core.investigator.reading.slots import SLOTS
from rlstir_core.investigator.reading.text import COLUMNS, record_text
from rlstir_core.investigator.reading.tokenizer import Tokenizer, TokenizerManifest, manifest_path, train_model
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.learning.presets import Investigator
from rlstir_core.results.layout import Layout

BAR_ROWS_PER_S = 2_000
_SHARED = Path(__file__).parents[2] / "shared"
_ARCHIVE = _SHARED / "real" / "evtx_mdecrevoisier.tar.xz"
_FILES, _QUICK_FILES = 200, 40
_RECIPE = "host"


def write_files(folder: Path, n: int) -> None:
    """The first EVTX files of the corpus, in one folder."""
    folder.mkdir()
    logs = (found for found in files(_ARCHIVE) if found.guess.log == "evtx")
    for k, found in zip(range(n), logs, strict=False):
        (folder / f"{k:03}.evtx").write_bytes(found.data)


def write_models(layout: Layout, folder: Path) -> None:
    """A tokenizer of the files' own texts, and an encoder that has learnt nothing."""
    numbers = Investigator()
    texts: list[str] = []
    with gathered([folder], registry=default_registry()) as found:
        for rows in found.logs():
            names = names_in(rows.table)
            texts += [record_text(row, names) for row in rows.table.select(list(COLUMNS)).to_pylist()]
    path = layout.tokenizer(_RECIPE)
    model = train_model(texts, numbers.vocabulary)
    write_bytes(path, model)
    sha256, pieces = file_sha256(path), Tokenizer(model).size
    manifest = TokenizerManifest(
        recipe=_RECIPE, input_sha256="", model_sha256=sha256, pieces=pieces, texts=len(texts), saw={}
    )
    write_json(manifest_path(layout, _RECIPE), manifest)
    torch.manual_seed(0)
    network = Investigating(numbers, pieces, torch.zeros(len(LABELS)), WIDTHS)
    weight_SW = np.random.default_rng(0).normal(0, 0.1, (len(SLOTS), WORDS)).astype(np.float32)
    network.start_from(FirstLook(weight_SW=weight_SW, bias=-2.0))
    write_encoder(
        layout,
        _RECIPE,
        network,
        preset="smoke",
        seed=0,
        numbers=msgspec.to_builtins(numbers),
        pieces=pieces,
        tokenizer_sha256=sha256,
        knowledge_sha256="",
        input_sha256="",
        calibration=AnswerCalibration(risk=(1.0, 0.5)),
        memory=memory(network, numbers, half=False, nodes=1, outputs=len(LABELS)),
        facts=EncoderFacts(
            epochs=1,
            best_epoch=1,
            loss=1.0,
            loss_before=1.0,
            n_train_episodes=1,
            n_validation_episodes=1,
            n_techniques=1,
            n_parameters=1,
        ),
    )


def measure(folder: Path, layout: Layout) -> dict[str, Any]:
    """One investigation; the clock starts with the first file that is read."""
    began: list[tuple[float, float]] = []

    def tell(done: int, total: int, what: str) -> None:
        if not began and "logs read" in what:
            began.append((time.process_time(), time.perf_counter()))

    found = investigate([folder], layout, registry=default_registry(), progress=tell)
    cpu_s, wall_s = time.process_time() - began[0][0], time.perf_counter() - began[0][1]
    return {
        "files": found.n_logs,
        "rows": found.n_rows,
        "encoder": bool(found.recipe),
        "rows_per_s": round(found.n_rows / cpu_s),
        "rows_per_s_of_wall": round(found.n_rows / wall_s),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="rows per second of rlstir investigate")
    parser.add_argument("--quick", action="store_true", help="a fifth of the files")
    args = parser.parse_args(argv)
    result: dict[str, Any] = {"benchmark": "investigate", "bars": {"rows_per_s": BAR_ROWS_PER_S}, "passed": True}
    if not _ARCHIVE.exists():
        result["left_out"] = f"{_ARCHIVE.name} is not there"
        print(json.dumps(result, indent=1))
        return result
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as private:
        folder, layout = Path(private) / "evtx", Layout(Path(private) / "data")
        write_files(folder, _QUICK_FILES if args.quick else _FILES)
        import_knowledge(sorted((_SHARED / "knowledge").glob("*.jsonl.gz")), layout.knowledge)
        result["texts_alone"] = measure(folder, layout)
        write_models(layout, folder)
        result["with_encoder"] = measure(folder, layout)
    result["passed"] = result["with_encoder"]["rows_per_s"] >= BAR_ROWS_PER_S
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
