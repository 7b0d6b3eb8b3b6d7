"""Training by several processes on one machine, one a device: what torchrun starts, and how it is started.

What does not belong here: what such a process does (`training.py`), and how they share a step (`world.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import torch
import torch.distributed

from rlstir_core.errors import RlstirError
from rlstir_core.investigator.pretraining.world import world
from rlstir_core.investigator.study import InvestigatorStudy, open_investigator
from rlstir_core.learning.devices import device
from rlstir_core.learning.options import StudyOptions
from rlstir_core.progress import Tell
from rlstir_core.results.layout import Layout

_SAYS, _REFUSES = "says: ", "refuses: "
_LAST = 5  # lines of a process that are shown where it failed without a word


class TrainingFailed(RlstirError):
    """Processes that ended without a checkpoint."""


def train_together(study: InvestigatorStudy, tell: Tell) -> None:
    """Trains by as many processes as the preset's devices; whoever calls holds the lock."""
    numbers = study.numbers
    found = torch.cuda.device_count() if device(numbers.train.device).type == "cuda" else 0
    if 0 < found < numbers.investigator.devices:
        raise TrainingFailed(
            f"investigator.devices is {numbers.investigator.devices}, and this machine has {found}; "
            f"train with --set investigator.devices={found}"
        )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [
        f"--nproc-per-node={numbers.investigator.devices}",
        "-m",
        "rlstir_core.investigator.pretraining.together",
    ]
    command += [str(study.layout.data), msgspec.json.encode(study.options).decode()]
    root = str(Path(__file__).parents[3])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": paths}
    refused = ""
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603 - this package's own module
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            said = line.rstrip()
            if said.startswith(_SAYS):
                tell(said.removeprefix(_SAYS))
            elif said.startswith(_REFUSES):
                refused = said.removeprefix(_REFUSES)
            else:
                last = [*last, said][-_LAST:]
    if process.returncode:
        raise TrainingFailed(
            refused
            or f"the processes that train together ended with code {process.returncode} ({' / '.join(last)}); "
            "train with --set investigator.devices=1"
        )


def main(data: str, options: str) -> int:
    """What each process does."""
    from rlstir_core.investigator.pretraining.training import train_alone

    study = open_investigator(Layout(Path(data)), msgspec.json.decode(options, type=StudyOptions))
    cuda = device(study.numbers.train.device).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if cuda else "gloo")

    def tell(text: str) -> None:
        if world().first:
            print(f"{_SAYS}{text}", flush=True)  # noqa: T201 - read by whoever began this

    try:
        train_alone(study, tell)
    except RlstirError as error:
        print(f"{_REFUSES}{error}", flush=True)  # noqa: T201
        return 2
    finally:
        torch.distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
