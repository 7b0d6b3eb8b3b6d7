"""Cases about the sidecar as a file: what it is instead of one, and whose it is.

What does not belong here: numbers in it (`in_tensors.py`, `in_trees.py`).
"""

from __future__ import annotations

import pickle
import shutil

from hostile_checkpoints.victim import Bait, Cases, Damage, Victim, as_pipe, as_torch_save


def as_link(v: Victim) -> None:
    target = v.folder.parent / "elsewhere"
    shutil.move(v.sidecar, target)
    v.sidecar.symlink_to(target)


def as_folder(v: Victim) -> None:
    v.sidecar.unlink()
    v.sidecar.mkdir()


def as_sparse(v: Victim) -> None:
    with v.sidecar.open("r+b") as handle:
        handle.truncate(1 << 40)


def as_other(model: str) -> Damage:
    def damage(v: Victim) -> None:
        other = Victim(v.folder, model)
        v.put(other.sidecar.read_bytes())

    return damage


CASES: Cases = {
    "sidecar: a pickle": ("mlp", lambda v: v.put(pickle.dumps(Bait(v.mark))), "does not fit"),
    "sidecar: a pickle for gbt": ("gbt", lambda v: v.put(pickle.dumps(Bait(v.mark))), "not an XGBoost model"),
    "sidecar: a zip of torch.save": ("gru", as_torch_save, "does not fit"),
    "sidecar: a link": ("mlp", as_link, "is a link"),
    "sidecar: a folder": ("mlp", as_folder, "is no plain file"),
    "sidecar: a pipe": ("gbt", lambda v: as_pipe(v.sidecar), "is no plain file"),
    "sidecar: a sparse file of 1 TB": ("mlp", as_sparse, "larger than a checkpoint can be"),
    "sidecar: another hash": ("mlp", lambda v: v.sidecar.write_bytes(b"x"), "is not the file"),
    "sidecar: of a transformer": ("gru", as_other("transformer"), "does not fit"),
}
