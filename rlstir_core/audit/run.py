"""The audit: three tables in, every check that they allow out.

What does not belong here: any check (`checks/`), and writing (`writing/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rlstir_core.audit.about_episodes import read_about
from rlstir_core.audit.checks.baselines import clock, metadata
from rlstir_core.audit.checks.clusters import detector_figures, intervals
from rlstir_core.audit.checks.duplicates import near_duplicates
from rlstir_core.audit.checks.overlap import episodes_on_two_sides, groups_on_two_sides, tables_agree
from rlstir_core.audit.checks.permuted import permuted_labels
from rlstir_core.audit.checks.strata import untested
from rlstir_core.audit.checks.thresholds import threshold
from rlstir_core.audit.columns import ColumnNames
from rlstir_core.audit.findings import Audit
from rlstir_core.audit.material import Material
from rlstir_core.audit.predictions import read_predictions
from rlstir_core.audit.split_table import read_split
from rlstir_core.audit.tables import AuditedTable
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.text import plain


def audit(
    predictions: Path,
    split: Path,
    episodes: Path | None = None,
    *,
    naming: ColumnNames | None = None,
    held_out: Iterable[str] = (),
    positive: str | None = None,
) -> Audit:
    """Everything that these tables allow to check. StoreError or ConfigError says what is wrong with one of them."""
    naming = naming or ColumnNames()
    files = {"predictions": AuditedTable(predictions), "split": AuditedTable(split)}
    if episodes is not None:
        files["episodes"] = AuditedTable(episodes)
    naming.check_used({name: file.names for name, file in files.items()})
    sides = read_split(files["split"], naming)
    rows = read_predictions(files["predictions"], naming, sides.names, positive)
    about, about_read = (None, {}) if episodes is None else read_about(files["episodes"], naming, sides.names)
    found = Material(
        names=sides.names,
        side_E=sides.side_E,
        groups=sides.groups,
        classes=rows.classes,
        rows=rows.rows,
        about=about,
        n_rows=rows.n_rows,
        n_without_label=rows.n_without_label,
        n_without_decision=rows.n_without_decision,
        unknown=rows.unknown,
        n_unknown=rows.n_unknown,
        argmax_differs=rows.argmax_differs,
        positive=rows.positive,
        decided_by=rows.decided_by,
        why_no_score=rows.why_no_score,
        rounds=sides.rounds,
    )
    _check_worth(found, files, held_out)
    macro_f1, accuracy = detector_figures(found)
    checks = (
        episodes_on_two_sides(found),
        *groups_on_two_sides(found, held_out),
        near_duplicates(found),
        tables_agree(found),
        intervals(found, macro_f1, accuracy),
        *untested(found),
        threshold(found),
        permuted_labels(found),
        clock(found, macro_f1),
        metadata(found, macro_f1),
    )
    read = {"predictions": rows.read_as, "split": sides.read_as, "episodes": about_read}
    unread = {
        "predictions": [name for name in files["predictions"].names if name not in rows.read_as],
        "split": sides.not_used,
        "episodes": about.not_used if about else (),
    }
    return Audit(
        predictions=predictions.name,
        split=split.name,
        episodes=None if episodes is None else episodes.name,
        n_rows=found.n_rows,
        n_test_rows=len(found.test),
        n_test_episodes=int((np.bincount(found.test.episode_N) > 0).sum()),
        classes=tuple(plain(name, 60) for name in found.classes),
        decided_by=found.decided_by,
        read_as={
            f"{table}: {plain(name, 60)}": as_what
            for table, columns in read.items()
            for name, as_what in columns.items()
        },
        not_used=tuple(f"{table}: {plain(name, 60)}" for table, names in unread.items() for name in names),
        macro_f1=macro_f1,
        accuracy=accuracy,
        checks=checks,
    )


def _check_worth(found: Material, files: dict[str, AuditedTable], held_out: Iterable[str]) -> None:
    """A refusal where no test row is left, or a group that does not exist was asked for."""
    if not len(found.test):
        where = files["predictions"].where
        hint = f" (the first: {', '.join(found.unknown[:3])})" if found.unknown else ""
        raise StoreError(
            f"no row of {where} is a labelled prediction of a test episode of {files['split'].where}; "
            f"{found.n_unknown:,} of its episodes are not in the split{hint}, so check that both name them alike"
        )
    for name in held_out:
        if name not in files["split"].names:
            raise ConfigError(
                f"--held-out {plain(name, 60)} is no column of {files['split'].where}; name one of its groups"
            )
