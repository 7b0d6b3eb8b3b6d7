"""`rlstir import logs`: the command, and its summary as people read it.

What does not belong here: reading logs and counting what they gave (`rlstir_core.importers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlstir_assets.cli.common import STORE_HELP, STRICT_HELP, as_text, fail, folder, next_step, refusing
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_STORE

if TYPE_CHECKING:
    from rlstir_core.importers.log_tally import FormatTally, LogImport

_NAMED = 5  # of a list
_HOSTS = 10
_HEADS = ("format", "files", "rows", "parsed", "no time", "no field", "year?", "hosts", "time")


@click.command("logs", short_help="Host logs, found by their content, as episodes.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--store", default=None, help=STORE_HELP)
@click.option(
    "--labels", type=click.Path(path_type=Path), default=None, help="A CSV with the columns file, technique, tactic."
)
@click.option("--host", default=None, help="The host of every log, instead of the one that its events name.")
@click.option("--corpus", default=None, help="Whose logs these are, instead of the folder's or file's name.")
@click.option(
    "--timezone",
    "zones",
    multiple=True,
    metavar="ZONE|HOST=ZONE",
    help="The zone of times that name none, such as Europe/Berlin or +08:00; may be given again for a host.",
)
@click.option("--strict", is_flag=True, help=STRICT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def import_logs(
    paths: tuple[Path, ...],
    store: str | None,
    labels: Path | None,
    host: str | None,
    corpus: str | None,
    zones: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Turns host logs into episodes: EVTX, Windows event JSON, auditd, syslog, journald, found by their content.

    A path may be a file, a folder, a zip or a tar. Times that name no zone are taken as UTC unless --timezone says
    otherwise.

    Example: rlstir import logs evtx.tar.xz --labels labels.csv --store /tmp/store
    """
    target = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"importing logs into {target}")
        from rlstir_core.hostlogs.times.evidence import zones_given
        from rlstir_core.importers.logs import import_logs as run

        zone, by_host = zones_given(zones)
        made = run(
            [path.absolute() for path in paths],
            target,
            labels=None if labels is None else labels.absolute(),
            host=host,
            corpus=corpus,
            zone=zone,
            zones=by_host,
            progress=lambda n, _, what: console.state(f"{n} logs read; {what}"),
        )
    for line in [as_text(made)] if as_json else [*_summary(made, labels is not None), next_step(target)]:
        click.echo(line)
    if strict and made.n_losses:
        fail(
            f"--strict: {made.n_losses} rows or files of this import are lost or doubtful (the warnings above name "
            f"them); the store {target} holds what could be read; mend the files, or import without --strict"
        )


def _summary(made: LogImport, labelled: bool) -> list[str]:
    """The lines of the summary, the warnings last."""
    found = [
        f"{made.n_rows} rows of {made.n_files} logs, {made.n_episodes} episodes of {len(made.owners)} hosts",
        *_table([_HEADS, *(_cells(kind, tally) for kind, tally in made.formats.items())]),
        _hosts(made),
    ]
    if "evtx" in made.rows:
        found.append(f"  evtx records whose header names another id or time: {made.mismatches}")
    if labelled:
        found.append(f"  labelled: {made.labelled_files} logs; labels that name no log here: {made.unused_labels}")
        unseen = [f"{technique} ({n})" for technique, n in made.unseen_techniques.items()]
        found.append(f"  techniques outside the label space: {_listed(unseen) or 'none'}")
    for what, names in (("no logs", made.not_logs), ("passed over", made.passed)):
        if names:
            found.append(f"  {what}: {_listed(names)}")
    for file, zone in list(made.zones_learnt.items())[:_NAMED]:
        found.append(f"  zone of {file}: {zone}, learnt from the same events in UTC")
    found += [f"  warning: {warning}" for warning in made.warnings()]
    return [plain(line) for line in found]


def _cells(kind: str, tally: FormatTally) -> tuple[str, ...]:
    counts = (tally.files, tally.rows, tally.parsed, tally.untimed, tally.bare, tally.year_assumed, len(tally.hosts))
    return (kind, *(f"{n:,}" for n in counts), _span(tally.first_ns, tally.last_ns))


def _span(first_ns: int | None, last_ns: int | None) -> str:
    """`2024-05-01 10:00 to 10:05`, in UTC; the days alone where there are several."""
    if first_ns is None or last_ns is None:
        return "unknown"
    first, last = (datetime.fromtimestamp(ns // 10**9, UTC) for ns in (first_ns, last_ns))
    if first.date() != last.date():
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{first:%Y-%m-%d %H:%M} to {last:%H:%M}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows below each other: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = (0, len(widths) - 1)
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if at in ends else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _hosts(made: LogImport) -> str:
    """The hosts that the episodes are of, new ones first: a word taken for a host becomes a partition."""
    new = set(made.new_hosts)
    names = [f"{name} {n}" for name, n in sorted(made.owners.items()) if name in new]
    known = [f"{name} {n}" for name, n in sorted(made.owners.items()) if name not in new]
    parts = [f"{word}: {_listed(those, _HOSTS)}" for word, those in (("new", names), ("known", known)) if those]
    return f"  hosts by episodes, {'; '.join(parts)}"


def _listed(names: Sequence[str], most: int = _NAMED) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
