"""How well techniques are read in logs of authors of whom nothing was learnt, as one table with intervals by file.

Trained on the labelled logs of one corpus, tested on all files of another with all their tags as truth, both ways:
majority, TF-IDF + linear SVM, public technique texts (`knowledge`), and those with the labelled logs beside them. The
texts on generated episodes as well. Corpora and texts lie in ../shared; where they do not, nothing is measured. No peer
of another make: the bar is that the texts are above the SVM by a paired interval, both ways. Usage: python
benchmarks/techniques.py [--quick] [--episodes N]
"""

# E files
from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlstir_core.contract.registry import load_registry
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.episodes.store.index import read_index, save_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.evaluation.investigation.figures import hits_at, micro_f1, share
from rlstir_core.evaluation.investigation.predictions import Read, Spoken, read_techniques, write_techniques
from rlstir_core.evaluation.investigation.technique_baselines import (
    KNOWLEDGE,
    KNOWLEDGE_AND_LOGS,
    SVM,
    knowledge_spoken,
    svm_scores,
)
from rlstir_core.evaluation.investigation.technique_figures import (
    calibration_error,
    official_tactics,
    parted_f1,
    precision_at_coverage,
    tactic_scores,
)
from rlstir_core.evaluation.stats.intervals import Estimate, estimate
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.hostlogs.attack.labels import read_labels
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.importers.knowledge import import_knowledge
from rlstir_core.importers.logs import import_logs
from rlstir_core.investigator.techniques.decide import Naming
from rlstir_core.investigator.techniques.documents import Document, episode_document
from rlstir_core.investigator.techniques.kept import KeptDocuments
from rlstir_core.investigator.techniques.knowledge import Knowledge, Labelled, fitted, read_texts
from rlstir_core.investigator.techniques.labels import exact_techniques
from rlstir_core.investigator.techniques.tactics import (
    TACTICS,
    averaged,
    fit_tactics,
    tactic_posteriors,
    tactic_table,
)
from rlstir_core.lab.generate import generate_store
from rlstir_core.results.layout import Layout

SHARED = Path(__file__).parents[2] / "shared"
REAL, TEXTS = SHARED / "real", SHARED / "knowledge"
ACROSS = (("mdecrevoisier", "mordor"), ("mordor", "mdecrevoisier"))  # learnt from, told of
_TEXTS_ALONE = (None, "generated")
MAJORITY = "majority"
Texts = tuple[list[Document], list[Sequence[str]]]  # and the techniques that each speaks of
AllSpoken = dict[str, tuple[Spoken, Knowledge | None]]
ALWAYS = Naming(margin=0.0)  # the first, of whatever file


def corpora(real: Path) -> dict[str, tuple[Path, Path]]:
    """{corpus: its logs and its labels}."""
    return {
        "mdecrevoisier": (real / "evtx_mdecrevoisier.tar.xz", real / "evtx_mdecrevoisier.labels.csv"),
        "mordor": (real / "mordor", real / "mordor" / "labels.csv"),
    }


@dataclass(frozen=True)
class Side:
    """The files of one corpus, and what they carry."""

    infos: list[EpisodeInfo]
    documents: list[Document]
    carried: dict[str, tuple[str, ...]]
    tactics: dict[str, tuple[str, ...]]  # as the corpus labels them

    @property
    def labelled(self) -> Labelled:
        return [(document, own) for info, document in self._pairs if (own := self.carried[info.episode_id])]

    @property
    def by_tactic(self) -> tuple[list[Document], list[tuple[str, ...]]]:
        found = [(document, own) for info, document in self._pairs if (own := self.tactics[info.episode_id])]
        return [document for document, _ in found], [own for _, own in found]

    @property
    def _pairs(self) -> list[tuple[EpisodeInfo, Document]]:
        return list(zip(self.infos, self.documents, strict=True))


def read_side(root: Path, store: Path, labels: Path | None) -> Side:
    """All episodes of a store, read once."""
    layout = Layout(root)
    index = read_index(store)
    save_index(layout.index, index)
    infos, origins = [], {}
    for host in index.hosts:
        validate_host(store, layout, host, registry=load_registry(store), index=index)
        build_log_events(store, layout, host)
        for row in read_validation(layout.validation(host)):
            if row.usable and row.log_bytes:
                infos.append(_info(row))
                origins[row.episode_id] = row.origin
    table = read_labels(labels) if labels is not None else None
    tactics = {}
    for info in infos:
        name = table.name_above(origins[info.episode_id]) if table is not None else None
        tactics[info.episode_id] = table.files[name].tactics if table is not None and name is not None else ()
    documents = [episode_document(layout, info, index.hosts) for info in infos]
    return Side(infos, documents, exact_techniques(layout, infos), tactics)


def _info(row: Any) -> EpisodeInfo:
    return EpisodeInfo(
        episode_id=row.episode_id,
        host=row.host,
        profile=row.profile,
        sample=row.sample_name,
        corpus=row.corpus,
        benign=row.benign,
        complete=row.verdict == "ok",
        t_start_wall_ns=row.t_start_wall_ns,
        t_end_wall_ns=row.t_end_wall_ns,
        content_sha256=row.content_sha256,
        logs=tuple(row.log_bytes),
    )


def spoken_of(train: Side | None, test: Side, texts: Texts, alone: Knowledge) -> AllSpoken:
    """What every model says of the test side, and the model of texts behind it."""
    said: AllSpoken = {KNOWLEDGE: (knowledge_spoken(alone, test.documents), alone)}
    if train is None:
        return said
    counts = Counter(technique for own in train.carried.values() for technique in own)
    ids = [technique for technique, _ in counts.most_common()]
    learnt = train.labelled
    y_EK = np.array([[technique in own for technique in ids] for _, own in learnt])
    often_K = np.array([float(counts[technique]) for technique in ids])
    said[MAJORITY] = Spoken(ids, np.repeat(often_K[None], len(test.infos), axis=0), ALWAYS), None
    kept = KeptDocuments(document for document, _ in learnt)
    asked = KeptDocuments(test.documents, kept)
    scores = svm_scores(kept.counts_EV, y_EK, [asked.counts_EV])[0]
    said[SVM] = Spoken(ids, scores, ALWAYS), None
    both = fitted(*texts, learnt)
    assert both is not None
    said[KNOWLEDGE_AND_LOGS] = knowledge_spoken(both, test.documents), both
    return said


def figures(root: Path, name: str, train: Side | None, test: Side, texts: Texts, alone: Knowledge, draws: int) -> Any:
    """The table of one pair of corpora: a row a model."""
    spoken = spoken_of(train, test, texts, alone)
    path = root / "techniques.parquet"
    write_techniques(path, test.infos, {model: each for model, (each, _) in spoken.items()})
    read = read_techniques(path)
    seen = {technique for own in train.carried.values() for technique in own} if train is not None else set()
    table = tactic_table(Layout(root))
    hosts = {info.episode_id: info.host for info in test.infos}
    logs = fit_tactics(*train.by_tactic) if train is not None else None
    f1 = {model: micro_f1(each.said, test.carried, test.infos) for model, each in read.items()}
    rows = {}
    for model, (each, behind) in spoken.items():
        rows[model] = _row(read[model], test, seen, draws)
        if behind is not None:
            tactic_ET = tactic_posteriors(each.score_EC, behind.ids, table)
            if model == KNOWLEDGE_AND_LOGS:
                tactic_ET = averaged(tactic_ET, logs, test.documents)
            first = {
                info.episode_id: [TACTICS[t] for t in np.argsort(-said_T, kind="stable")]
                for info, said_T in zip(test.infos, tactic_ET, strict=True)
            }
            found = tactic_scores(first, test.tactics, official_tactics(test.carried, table), hosts, draws=draws)
            rows[model] |= {
                "tactic": _shown(found.accuracy),
                "any of": _shown(found.any_of),
                "tactic macro F1": _shown(found.macro_f1),
                "calibration error": _shown(
                    calibration_error(
                        read[model].said,
                        {episode: float(np.exp(score)) for episode, score in read[model].score.items()},
                        test.carried,
                        draws=draws,
                    )
                ),
            }
    paired = {
        f"{one} - {other}": _shown(estimate(minus(f1[one], f1[other]), draws=draws))
        for one, other in ((KNOWLEDGE, SVM), (KNOWLEDGE_AND_LOGS, SVM), (KNOWLEDGE_AND_LOGS, KNOWLEDGE))
        if one in f1 and other in f1
    }
    return {"pair": name, "files": len(test.infos), "tags": sum(map(len, test.carried.values())), "models": rows} | {
        "paired micro F1": paired
    }


def _row(read: Read, test: Side, seen: set[str], draws: int) -> dict[str, Any]:
    exact, parent = (micro_f1(read.said, test.carried, test.infos, parents=each) for each in (False, True))
    hits = hits_at(read.said, test.carried, test.infos, draws=draws)
    named = share([bool(read.said[info.episode_id].named) for info in test.infos], draws)
    parts = parted_f1(read.said, test.carried, seen, draws=draws)
    points = precision_at_coverage(read.said, read.margin, test.carried, draws=draws)
    return {
        "micro F1": _shown(estimate(exact, draws=draws)),
        "parent F1": _shown(estimate(parent, draws=draws)),
        "seen F1": _shown(parts.seen),
        "unseen F1": _shown(parts.unseen),
        **{f"hit@{rank}": _shown(each) for rank, each in hits.items()},
        "named": _shown(named),
        "precision at coverage": {f"{point.coverage:.2f}": _shown(point.precision) for point in points},
    }


def _shown(found: Estimate) -> str:
    if found.value is None:
        return found.note
    return f"{found.value:.3f}" + (f" [{found.lo:.3f}, {found.hi:.3f}]" if found.lo is not None else "")


def across_authors(shared: Path, root: Path, draws: int) -> list[dict[str, Any]]:
    """The tables of the labelled corpora under `shared`, each learnt from the other."""
    sides = labelled_sides(shared, root)
    texts, alone = fitted_texts(shared, root)
    return [figures(root, *_named(sides, train, test), texts, alone, draws) for train, test in ACROSS]


def labelled_sides(shared: Path, root: Path) -> dict[str, Side]:
    """Every corpus under `shared`, imported and read."""
    sides = {}
    for corpus, (logs, labels) in corpora(shared / "real").items():
        import_logs([logs], root / corpus, labels=labels, corpus=corpus)
        sides[corpus] = read_side(root / f"{corpus}-data", root / corpus, labels)
    return sides


def fitted_texts(shared: Path, root: Path) -> tuple[Texts, Knowledge]:
    """The public texts under `shared`, and the model of them alone."""
    layout = Layout(root)
    import_knowledge([shared / "knowledge"], layout.knowledge)
    texts = read_texts(layout)
    alone = fitted(*texts) if texts is not None else None
    assert texts is not None and alone is not None
    return texts, alone


def _named(sides: dict[str, Side], train: str | None, test: str) -> tuple[str, Side | None, Side]:
    return f"{train or 'texts'} -> {test}", sides[train] if train else None, sides[test]


def measured(root: Path, episodes: int, draws: int) -> dict[str, Any]:
    sides = labelled_sides(SHARED, root)
    generate_store(root / "generated", episodes=episodes)
    began = time.perf_counter()
    sides["generated"] = read_side(root / "generated-data", root / "generated", None)
    read_s = time.perf_counter() - began
    began = time.perf_counter()
    texts, alone = fitted_texts(SHARED, root)
    fit_s = time.perf_counter() - began
    tables = [
        figures(root, *_named(sides, train, test), texts, alone, draws) for train, test in (*ACROSS, _TEXTS_ALONE)
    ]
    above = [table["paired micro F1"][f"{KNOWLEDGE} - {SVM}"] for table in tables[:2]]
    beaten = [float(shown.split("[")[1].split(",")[0]) for shown in above]
    return {
        "tables": tables,
        "seconds to fit the texts": round(fit_s, 1),
        "seconds to make and read the rows of a generated episode": round(read_s / episodes, 3),
        "bars": {"lower end of knowledge - svm, both ways": 0.0},
        "passed": min(beaten) > 0,
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--episodes", type=int, default=80, help="generated ones")
    options = parser.parse_args(argv)
    if not TEXTS.is_dir() or not REAL.is_dir():
        result: dict[str, Any] = {"not measured": f"{SHARED} is not there", "passed": True}
    else:
        with tempfile.TemporaryDirectory() as folder:
            episodes, draws = (8, 200) if options.quick else (options.episodes, 2000)
            result = measured(Path(folder), episodes, draws)
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
