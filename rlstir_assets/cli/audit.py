"""`rlstir audit`: what a reviewer would object to in the predictions of somebody's own detector.

What does not belong here: checks, and how pages are written (`rlstir_core/audit/`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlstir_assets.cli.common import as_text, refusing, wrapped
from rlstir_core.errors import ConfigError

if TYPE_CHECKING:
    from rlstir_core.audit.findings import Audit

_FORMS = (".md", ".json", ".sarif")
_FAILED = 1


@click.command(short_help="Honesty checks on the predictions of your own detector.")
@click.argument("predictions", type=click.Path(path_type=Path))
@click.argument("split", type=click.Path(path_type=Path))
@click.option("--episodes", type=click.Path(path_type=Path), help="Metadata and features of episodes.")
@click.option(
    "--column", "renamed", multiple=True, metavar="MEANING=NAME", help="What a column is called: label=truth."
)
@click.option("--metadata", multiple=True, metavar="NAME", help="A numeric column of --episodes that is no feature.")
@click.option("--held-out", multiple=True, metavar="NAME", help="A group that is claimed to be new on the test side.")
@click.option("--positive", metavar="CLASS", help="The class that the column score speaks for.")
@click.option("--out", multiple=True, type=click.Path(path_type=Path), help="A file to write: .md, .json or .sarif.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
@refusing
def audit(
    predictions: Path,
    split: Path,
    episodes: Path | None,
    renamed: tuple[str, ...],
    metadata: tuple[str, ...],
    held_out: tuple[str, ...],
    positive: str | None,
    out: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Checks predictions of any detector for what would make its figures worth less than they look.

    PREDICTIONS and SPLIT are Parquet or CSV tables (docs/audit.md says which columns they have). What cannot be checked
    is listed as not checked. Exit code 1 where a check failed, 2 where a table cannot be read.

    Example: rlstir audit predictions.parquet split.csv --episodes episodes.parquet --held-out host --out audit.md
    """
    for path in out:
        if path.suffix.lower() not in _FORMS:
            raise ConfigError(f"--out {path} has none of the endings {', '.join(_FORMS)}; choose one of them")
    from rlstir_core.audit.columns import ColumnNames
    from rlstir_core.audit.run import audit as made

    found = made(
        predictions, split, episodes, naming=ColumnNames(renamed, metadata), held_out=held_out, positive=positive
    )
    uri = predictions.name if predictions.is_absolute() else predictions.as_posix()
    for path in out:
        _write(path, found, uri)
    if as_json:
        click.echo(as_text(found))
    else:
        for line in audit_lines(found):
            click.echo(line)
    if found.failed:
        sys.exit(_FAILED)


def audit_lines(found: Audit) -> Iterator[str]:
    from rlstir_core.audit.writing.markdown import ORDER, head

    yield from wrapped(head(found), 0)
    for verdict in ORDER:
        for each in found.with_verdict(verdict):
            yield from wrapped(f"{verdict}: {each.check}. {each.sentence}", 2)
            if each.examples and verdict in ("fail", "warn"):
                more = f" and {each.n_about - len(each.examples):,} more" if each.n_about > len(each.examples) else ""
                yield from wrapped(f"{each.about}: {', '.join(each.examples)}{more}", 4)


def _write(path: Path, found: Audit, uri: str) -> None:
    from rlstir_core.atomic import replacing
    from rlstir_core.audit.writing.markdown import markdown
    from rlstir_core.audit.writing.sarif import sarif

    form = path.suffix.lower()
    text = markdown(found) if form == ".md" else as_text(found if form == ".json" else sarif(found, uri))
    with replacing(path) as temporary:
        temporary.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
