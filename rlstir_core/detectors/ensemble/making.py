"""The making of an ensemble: weights from what its parts said of the folds they left out, then what it says itself.

The parts' prediction files are read side by side, a block at a time. Labels are read of the train side alone. What
does not belong here: the numbers (`weights.py`) and the file (`combination.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats, Ints
from rlstir_core.atomic import file_sha256, replacing, sweep, write_json
from rlstir_core.detectors.checkpoint import Checkpoint
from rlstir_core.detectors.ensemble.combination import Ensemble, Part, RoundMixture
from rlstir_core.detectors.ensemble.weights import fit_mixture, mix
from rlstir_core.detectors.episode_set import EpisodeSet
from rlstir_core.detectors.models.spec import ENSEMBLE
from rlstir_core.detectors.scenes import Spent, now, scenes, since
from rlstir_core.detectors.study import Study

# M models, N windows, K phases
_MOST = 6_000  # windows of a round that weights are fitted on, drawn evenly over episodes and over their time
_LEAST = 8  # windows of an episode: where there is no room for these, fewer episodes are drawn
_KEYS = ("scene", "round", "episode_id", "window")


def make_ensemble(
    study: Study, episodes: EpisodeSet, checkpoints: Mapping[str, Checkpoint], mode: str, same_as: str = ""
) -> tuple[Ensemble, Spent]:
    """Fits, writes `ensemble_<mode>.ckpt.json` and what it says of every scene that its parts were shown.

    On validation it speaks of a fold with weights that were fitted on the other folds, as its parts do. What combining
    took is returned beside it, without what its parts took.
    """
    layout, recipe = study.layout, study.options.recipe
    path, said = layout.checkpoint(recipe, ENSEMBLE, mode), layout.predictions(recipe, ENSEMBLE, mode)
    sweep(path.parent, f"{ENSEMBLE}_{mode}.")
    files = [layout.predictions(recipe, model, mode) for model in checkpoints]
    made = Ensemble(
        mode=mode,
        recipe=recipe,
        preset=study.options.preset,
        seed=study.numbers.seed,
        train_sha256=study.split.train_sha256,
        n_train_episodes=len(study.split.trained_on),
        parts=tuple(
            Part(
                model=model,
                checkpoint_sha256=file_sha256(layout.checkpoint(recipe, model, mode)),
                schema_sha256=each.input_schema.sha256,
            )
            for model, each in checkpoints.items()
        ),
        rounds=_fit(study, episodes, files),
        same_as=f"{ENSEMBLE}_{same_as}" if same_as else "",
    )
    spent = _say(study, made, files, said)
    write_json(path, msgspec.to_builtins(made))
    return made, spent


def _fit(study: Study, episodes: EpisodeSet, files: Sequence[Path]) -> tuple[RoundMixture, ...]:
    """The mixtures of every round."""
    held = {scene.name for scene in scenes(study.schema) if scene.side == "validation"}
    rounds = study.split.rounds
    drawn: list[list[tuple[Floats, Ints, Ints, Ints]]] = [[] for _ in rounds]  # proba, label, episode, fold
    numbers = {name: at for at, name in enumerate(episodes.recordings)}
    folds = [{name: f for f, names in enumerate(each.folds) for name in names} for each in rounds]
    asked = [spaced(sorted(each), _MOST // (len(held) * _LEAST)) for each in folds]
    for scene, place, tables in _blocks(files):
        if scene not in held:
            continue
        most = _MOST // (len(held) * max(1, len(asked[place])))
        names, windows = _episodes(tables[0]), tables[0]["window"].to_numpy()
        keep = evenly(names, most, asked[place])
        if not len(keep):
            continue
        names, windows = [names[at] for at in keep], windows[keep]
        label = np.array([episodes.recordings[n].label_W[w] for n, w in zip(names, windows, strict=True)], np.int64)
        episode = np.array([numbers[name] for name in names], np.int64)
        fold = np.array([folds[place][name] for name in names], np.int64)
        proba = np.stack([_proba(table, study.schema.phases)[keep] for table in tables])
        drawn[place].append((proba, label, episode, fold))
    empty = np.empty(0, np.int64)
    found = []
    for place, each in enumerate(rounds):
        n_phases = len(study.schema.phases)
        parts = [(np.empty((len(files), 0, n_phases)), empty, empty, empty), *drawn[place]]
        proba_MNK, label_N, episode_N, fold_N = (
            np.concatenate(column, axis=1 if i == 0 else 0) for i, column in enumerate(zip(*parts, strict=True))
        )
        others = [fold_N != f for f in range(len(each.folds))]
        found.append(
            RoundMixture(
                mixture=fit_mixture(proba_MNK, label_N, episode_N),
                folds=tuple(fit_mixture(proba_MNK[:, o], label_N[o], episode_N[o]) for o in others),
                n_episodes=len(np.unique(episode_N)),
                n_windows=len(label_N),
            )
        )
    return tuple(found)


def _say(study: Study, ensemble: Ensemble, files: Sequence[Path], path: Path) -> Spent:
    """Writes the combination of `files`, in their order and form."""
    spent = Spent()
    sides = {scene.name: scene.side for scene in scenes(study.schema)}
    folds = [{name: f for f, names in enumerate(each.folds) for name in names} for each in study.split.rounds]
    phases = study.schema.phases
    with replacing(path) as temporary:
        writer: pq.ParquetWriter | None = None
        try:
            for scene, place, tables in _blocks(files):
                first = tables[0]
                writer = writer or pq.ParquetWriter(temporary, first.schema, compression="zstd")
                proba_MNK = np.stack([_proba(table, phases) for table in tables])
                out_NK = np.empty(proba_MNK.shape[1:])
                began = now()
                if sides[scene] == "test":
                    out_NK = mix(ensemble.of(place), proba_MNK)
                else:
                    fold_N = np.array([folds[place][name] for name in _episodes(first)])
                    for fold in np.unique(fold_N):
                        here = fold_N == fold
                        out_NK[here] = mix(ensemble.of(place, int(fold)), proba_MNK[:, here])
                spent.add(len(out_NK), predict=since(began))
                for k, phase in enumerate(phases):
                    at = first.schema.get_field_index(f"p_{phase}")
                    first = first.set_column(at, first.schema.field(at), pa.array(np.ascontiguousarray(out_NK[:, k])))
                writer.write_table(first)
        finally:
            if writer is not None:
                writer.close()
    return spent


def _blocks(files: Sequence[Path]) -> Iterator[tuple[str, int, list[pa.Table]]]:
    """Scene, round and what each file says of the same windows: they were written a block of episodes at a time."""
    opened = [pq.ParquetFile(path) for path in files]
    try:
        for group in range(opened[0].num_row_groups):
            tables = [file.read_row_group(group, use_threads=False) for file in opened]
            first = tables[0].select(_KEYS)
            if not all(table.select(_KEYS).equals(first) for table in tables[1:]):
                raise ValueError("predictions of one evaluation speak of different windows")
            if len(first):
                yield first["scene"][0].as_py(), int(first["round"][0].as_py()), tables
    finally:
        for file in opened:
            file.close()


def _episodes(table: pa.Table) -> list[str]:
    names: list[str] = table["episode_id"].to_pylist()
    return names


def _proba(table: pa.Table, phases: Sequence[str]) -> Floats:
    return np.stack([table[f"p_{phase}"].to_numpy() for phase in phases], axis=1)


def spaced(names: Sequence[str], most: int) -> frozenset[str]:
    """At most `most` of the names, evenly spaced."""
    at = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return frozenset(names[k] for k in at.tolist())


def evenly(names: Sequence[str], most: int, asked: Collection[str]) -> Ints:
    """Places of at most `most` windows of each episode that is asked for, in equal steps over its own.

    Where the steps begin is drawn: an episode's first window is always of the same phase.
    """
    of: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        if name in asked:
            of.setdefault(name, []).append(at)
    kept = [np.empty(0, np.int64)]
    for name, places in of.items():
        n = min(most, len(places))
        begin = np.random.default_rng(list(name.encode())).random() if n < len(places) else 0.0
        kept.append(np.asarray(places)[((np.arange(n) + begin) * len(places) / n).astype(int)])
    return np.sort(np.concatenate(kept)).astype(np.int64)
