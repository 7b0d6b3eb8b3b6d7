"""What is said about drift: the sentence of an alarm and the report's section.

What does not belong here: finding it (`find.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rlstir_core.evaluation.drift.days import MIN_BEFORE, MOST
from rlstir_core.evaluation.drift.records import DIFFERS, UP, ColumnDrift, Drift, DriftFault, HostDrift, Novelty
from rlstir_core.evaluation.report.markdown import MISSING, figure, listed, number, p_value, percent, plural, table
from rlstir_core.text import escape_md

_NAMED, _FEW = 3, 3
_KINDS = {"level": "level of {}", "spread": "spread of {}", "missing": "missing share of {}"}


def alarm_sentence(drift: Drift | None) -> str:
    """One sentence of what drifted, worst first; empty where there is no alarm."""
    if drift is None or not drift.alarm:
        return ""
    said = [f"on all {drift.n_hosts} hosts {_fault(fault)}" for fault in drift.shared_faults]
    # what all of them have says enough; the section says the rest
    up = [host for host in drift.hosts if host.verdict == UP and not drift.shared_faults]
    said += [f"on {escape_md(host.host)} {_why(host)}" for host in up[:_NAMED]]
    more = f", and on {plural(len(up) - _NAMED, 'more host')}" if len(up) > _NAMED else ""
    return f"**Drift in the last day**: {'; '.join(said)}{more}."


def _why(host: HostDrift) -> str:
    faults = [_fault(each) for each in host.faults]
    if host.p is None or host.p > host.level:
        return listed(faults)
    said = [f"{plural(host.n_recent, 'episode')} differ from the {host.n_before:,} before (p {p_value(host.p)})"]
    most = listed([_name(each) for each in host.columns[:_NAMED]])
    return listed([*faults, *said]) + (f", most in {most}" if most else "")


def _fault(fault: DriftFault) -> str:
    if fault.what == "source":
        past = f"was in {plural(fault.n_before, 'episode')}" if fault.n_before else "never was"
        return f"source {escape_md(fault.name)} is missing throughout and {past} before"
    return f"the clocks of two sources lie {number(fault.value_s, 1)} s apart and never did before"


def drift_section(drift: Drift | None) -> str:
    """The last day on every host, then what came after training."""
    if drift is None or drift.until_wall_ns is None:
        return ""
    parts = [
        "## Drift",
        f"Episodes that began in the {drift.hours:g} hours before {_time(drift.until_wall_ns)} UTC, where the newest "
        f"recording ends, against the latest {MOST} before them on the same host. A host's alarm is a permutation test "
        "over all numbers of an episode at once, or a fault that every recent episode has and hardly any before had. A "
        f"day without drift gives a false alarm with a chance of at most {percent(drift.level)} by each of the two. "
        "Another mix of profiles than usual is a difference as well, and shows here.",
        alarm_sentence(drift) or "No alarm.",
    ]
    if drift.hosts:
        parts += _hosts(drift.hosts, drift.n_hosts)
    if drift.n_new:
        names = ", ".join(escape_md(name) for name in drift.new)
        more = f" and {drift.n_new - len(drift.new)} more" if drift.n_new > len(drift.new) else ""
        parts.append(f"Not judged, with fewer than {MIN_BEFORE} episodes before that day: {names}{more}.")
    if not drift.scored_by:
        parts.append("No scores were compared: no model was chosen.")
    else:
        parts.append(
            f"P(attack) is the median over episodes of the mean that {escape_md(drift.scored_by)} gives an episode, "
            "where it was tested on both. `cannot tell` stands where so few episodes could differ by chance in any "
            "way: there only faults are looked for."
        )
    parts.append("### Since training")
    if drift.trained_until_wall_ns is None or not drift.since_training:
        parts.append(
            "No host of the train side recorded anything after the last train episode ended, or too few trained there."
        )
    else:
        parts.append(
            f"Episodes that began after the last train episode ended ({_time(drift.trained_until_wall_ns)} UTC), "
            "against the train episodes of the same host; this raises no alarm, for it is the same every day."
        )
        parts += _hosts(drift.since_training, drift.n_since)
    return "\n\n".join(parts)


def _hosts(hosts: Sequence[HostDrift], n: int) -> list[str]:
    head = [
        "host",
        "recent",
        "before",
        "verdict",
        "p",
        "numbers",
        "told apart, AUROC [95 %]",
        "P(attack)",
        *_NEW.values(),
    ]
    parts = [table(head, [_host_row(host) for host in hosts], "lrrlrrrrrr")]
    if n > len(hosts):
        parts.append(f"And {plural(n - len(hosts), 'more host')}.")
    left_out = [host for host in hosts if host.n_left_out]
    if left_out:
        named = listed([f"{host.n_left_out:,} of {escape_md(host.host)}" for host in left_out])
        parts.append(f"Episodes without features of today are in no comparison: {named}.")
    faults = [
        f"- {escape_md(host.host)}: {_fault(each)} (chance {each.chance:.2g})" for host in hosts for each in host.faults
    ]
    if faults:
        parts.append("\n".join(faults))
    rows = [
        _column_row(host.host, each)
        for host in hosts
        for each in host.columns[: None if host.verdict in (UP, DIFFERS) else _FEW]
    ]
    if rows:
        parts.append(
            "The numbers that differ most. Each p is of its number alone: of a hundred that did not change, five lie "
            "below 0.05."
        )
        head = ["host", "of an episode", "before", "recent", "KS [95 %]", "PSI [95 %]", "p"]
        parts.append(table(head, rows, "llrrrrr"))
    return parts


_NEW = {"templates": "new templates", "words": "new words"}


def _host_row(host: HostDrift) -> list[str]:
    verdict = f"**{host.verdict}**" if host.verdict in (UP, DIFFERS) else host.verdict
    new = {each.what: each for each in host.novelty}
    return [
        escape_md(host.host),
        f"{host.n_recent:,}",
        f"{host.n_before:,}",
        verdict,
        p_value(host.p),
        f"{host.n_columns:,}" if host.n_columns else MISSING,
        figure(host.probe, 2),
        _score(host.score),
        *(_novelty(new.get(what)) for what in _NEW),
    ]


def _score(column: ColumnDrift | None) -> str:
    if column is None:
        return MISSING
    return f"{number(column.before, 2)} to {number(column.recent, 2)} (KS {figure(column.ks, 2)})"


def _novelty(new: Novelty | None) -> str:
    return MISSING if new is None else f"{100 * new.share:.1f} % (usual {100 * new.expected:.1f})"


def _column_row(host: str, column: ColumnDrift) -> list[str]:
    return [
        escape_md(host),
        _name(column),
        number(column.before),
        number(column.recent),
        figure(column.ks, 2),
        figure(column.psi, 2),
        p_value(column.p),
    ]


def _name(column: ColumnDrift) -> str:
    return escape_md(_KINDS.get(column.kind, "{}").format(column.name))


def _time(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")
