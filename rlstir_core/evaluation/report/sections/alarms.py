"""The report on alarms: how many are false by hour, which benign work raises them, which techniques they catch.

What does not belong here: curves over thresholds (`curves.py`) and time to detect (`breakdowns.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import MISSING, figure, listed, number, percent, plural, table
from rlstir_core.evaluation.report.rows import notes, ordered, row_name
from rlstir_core.evaluation.stats.counts import MIN_PHASE_EPISODES
from rlstir_core.evaluation.stats.intervals import MIN_EPISODES, Estimate
from rlstir_core.evaluation.stats.rules import ALARM_FPR
from rlstir_core.text import escape_md


def alarms_section(inputs: ReportInputs) -> str:
    """False alarms by host-hour, with what the same threshold finds."""
    models = [(model, model.alarms) for model in ordered(inputs) if model.alarms is not None]
    if not models:
        return ""
    rows = [
        [
            row_name(model, inputs),
            figure(alarms.per_hour, 1),
            f"{alarms.onsets:,}" if alarms.per_hour.value is not None else MISSING,
            figure(model.time_to_detect.share_detected, 2),
        ]
        for model, alarms in models
    ]
    first = models[0][1]
    text = (
        f"## False alarms\n\nAt the threshold that validation sets for {percent(ALARM_FPR)} false positives. An alarm "
        "begins in a window whose attack probability reaches the threshold while the window one stride before did "
        "not, or was not scored; it is false where that window is not under attack. An alarm that goes on counts "
        "once, and one that outlasts an attack counts as none. Every window without attack stands for one stride, "
        f"{first.stride_s:g} s: {first.hours:,.2f} host-hours in {first.n_episodes:,} episodes. Test episodes are "
        "staged, so this is the rate of such work, not of a quiet host. Beside it the share of attacked episodes that "
        "the same threshold detects, because a model that never alarms has no false alarm either.\n\n"
    )
    head = ["model", "false alarms an hour [95 %]", "false alarms", "attacked episodes detected"]
    parts = [text + table(head, rows)]
    reasons = notes(alarms.per_hour for _, alarms in models)
    if reasons:
        parts.append("\n".join(f"- {escape_md(reason)}" for reason in reasons))
    return "\n\n".join(parts)


_KINDS = {
    "pooled": "validation, all windows together (the tables above)",
    "mean": "conformal over hosts, mean rate",
    "highest": "conformal over hosts, highest",
    "own": "the host's own first windows",
}


def thresholds_section(inputs: ReportInputs) -> str:
    """What thresholds for a new host give, beside the one that validation sets."""
    chosen = inputs.chosen
    if chosen is None or not chosen.thresholds:
        return ""
    model = next(each for each in inputs.models if each.name == chosen.name)
    by_kind = {each.kind: each for each in chosen.thresholds}
    asked = percent(chosen.thresholds[0].fpr)
    rows = [
        [
            _KINDS[each.kind],
            f"{each.n_hosts:,}",
            figure(each.realised_fpr),
            MISSING if each.worst_host is None else number(each.worst_host),
            MISSING if each.worst_host is None else f"{each.n_above} of {each.n_test_hosts}",
            figure(each.recall, 2),
        ]
        for each in chosen.thresholds
    ]
    text = (
        f"## Thresholds on a new host\n\nA threshold set on all validation windows together promises {asked} false "
        f"positives on hosts like those it was set on, taken together, and nothing about one host that is new. Beside "
        f"it, for {row_name(model, inputs)}, three that speak of a new host; no other table uses them."
    )
    highest, own = by_kind.get("highest"), by_kind.get("own")
    lines = [
        "mean rate: the expected rate on a new host drawn like the calibration hosts is at most what was asked "
        "(conformal risk control). The price is hosts: at most 1 false positive in n + 1 can be promised by n of them"
    ]
    if highest is not None and highest.n_hosts:
        share = highest.n_hosts / (highest.n_hosts + 1)
        lines.append(
            f"highest: of new hosts drawn like the {plural(highest.n_hosts, 'calibration host')} at most one in "
            f"{highest.n_hosts + 1} has a threshold of its own above it, so {percent(share)} of them keep to the rate, "
            "but for the noise of a host's own windows. The price is recall"
        )
    if own is not None and own.attacked_share is not None:
        lines.append(
            "own first windows: unlabelled, and taken for clean; they are not scored. In truth "
            f"{percent(own.attacked_share)} of them are under attack here, and each such window can raise the threshold"
        )
    for each in chosen.thresholds:
        if each.recall.value is None and each.recall.note:
            lines.append(f"{_KINDS[each.kind]}: not given, {escape_md(each.recall.note)}")
    head = ["set on", "hosts", "rate on test [95 %]", "worst host", f"hosts above {asked}", "recall [95 %]"]
    return "\n\n".join([text, table(head, rows, "lrrrrr"), "\n".join(f"- {line}" for line in lines)])


def range_section(inputs: ReportInputs) -> str:
    """How far the test side lies from what was trained on, and whether that foretells errors."""
    chosen = inputs.chosen
    found = None if chosen is None else chosen.out_of_range
    if chosen is None or found is None:
        return ""
    model = next(each for each in inputs.models if each.name == chosen.name)
    rows = [
        ["AUROC of the distance for windows named wrongly", figure(found.distance, 2)],
        ["AUROC of the share of channels outside the train quantiles", figure(found.outside, 2)],
        ["accuracy on episodes that lie far out", figure(found.accuracy_far, 2)],
        ["accuracy on the others", figure(found.accuracy_near, 2)],
    ]
    text = (
        f"## Out of range\n\nHow far a window lies from the train side (means and spreads of its channels, 1 is where "
        f"train windows lie on average), and how well that foretells the errors of {row_name(model, inputs)}: .5 says "
        "nothing."
    )
    if found.usual is None:
        text += f" With {plural(found.n_left_out, 'left-out train episode')} no distance can be called far."
    else:
        text += (
            f" An episode counts as far out beyond {number(found.usual, 2)}, which {percent(found.far_share_asked)} of "
            f"{plural(found.n_left_out, 'train episode')} exceed when their fold is left out."
        )
        if found.n_far > 2 * found.far_share_asked * found.n_episodes:
            text += (
                f" **Warning: {found.n_far:,} of {plural(found.n_episodes, 'test episode')} lie far out**, so the "
                "train side says less of them than its validation figures promise."
            )
        else:
            text += f" {found.n_far:,} of {plural(found.n_episodes, 'test episode')} do."
    parts = [text, table(["figure", "value [95 %]"], rows)]
    if found.median_by_host:
        hosts = [f"{escape_md(host)} {number(value, 2)}" for host, value in found.median_by_host.items()]
        parts.append(f"Median distance by test host, the furthest first: {', '.join(hosts)}.")
    lines = _few((found.distance, found.outside, found.accuracy_far, found.accuracy_near))
    return "\n\n".join([*parts, *(["\n".join(f"- {line}" for line in lines)] if lines else [])])


def benign_section(inputs: ReportInputs) -> str:
    """Which benign work the chosen model raises alarms on."""
    chosen = inputs.chosen
    if chosen is None or inputs.one_sided:
        return ""
    benign = chosen.benign
    head = "## Benign work that is flagged\n\n"
    if benign.note:
        return f"{head}Not given: {escape_md(benign.note)}."
    model = next(each for each in inputs.models if each.name == chosen.name)
    text = (
        f"How often {row_name(model, inputs)} raises an alarm on benign test episodes, at the threshold for "
        f"{percent(ALARM_FPR)} false positives; the most often flagged first. That order is by the figures themselves, "
        f"so the first rows look worse than they are. What stands in fewer than {MIN_PHASE_EPISODES} benign test "
        "episodes is untested by that rule."
    )
    parts = [head + text]
    for kind in ("all", "profile", "sample"):
        rows = [
            [
                escape_md(row.name),
                f"{row.n_episodes:,}",
                f"{row.n_windows:,}",
                figure(row.windows),
                figure(row.episodes, 2),
            ]
            for row in benign.rows
            if row.kind == kind
        ]
        if rows:
            first = "" if kind == "all" else kind
            names = [first, "episodes", "windows", "windows flagged [95 %]", "episodes with a false alarm [95 %]"]
            parts.append(table(names, rows))
    lines = []
    for kind, n in benign.n_untested.items():
        named = [f"{escape_md(each.name)} ({each.n_test})" for each in benign.untested if each.kind == kind]
        more = [f"{n - len(named)} more"] if n > len(named) else []
        lines += [f"untested, with its number of episodes: {kind} {listed([*named, *more])}"] if n else []
    lines += [f"{plural(n, kind)} more, flagged less often" for kind, n in benign.n_further.items() if n]
    lines += _few(e for row in benign.rows for e in (row.windows, row.episodes))
    if lines:
        parts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts)


def techniques_section(inputs: ReportInputs) -> str:
    """Which techniques the chosen model's alarms fall into."""
    chosen = inputs.chosen
    if chosen is None or inputs.one_sided:
        return ""
    found = chosen.techniques
    head = "## Recall by technique\n\n"
    if found.note:
        return f"{head}Not given: {escape_md(found.note)}."
    model = next(each for each in inputs.models if each.name == chosen.name)
    text = (
        f"For the {found.n_episodes:,} attacked test episodes whose log rows name a technique: in what share of those "
        f"where it ran {row_name(model, inputs)} raised an alarm in a window that touches the time from the "
        f"technique's first log row to its last, at the threshold for {percent(ALARM_FPR)} false positives. "
        "Techniques overlap in time and an alarm names none, so this tells what alarms coincide with. A technique in "
        f"fewer than {MIN_PHASE_EPISODES} such episodes is untested by that rule."
    )
    parts = [head + text]
    if found.rows:
        rows = [
            [
                escape_md(row.technique),
                escape_md(row.name),
                f"{row.n_episodes:,}",
                number(row.median_s, 1),
                figure(row.share, 2),
            ]
            for row in found.rows
        ]
        names = ["technique", "name", "episodes", "median time, s", "episodes with an alarm in it [95 %]"]
        parts.append(table(names, rows, "llrrr"))
    named = [f"{escape_md(each.name)} ({each.n_test})" for each in found.untested]
    more = [f"{found.n_untested - len(named)} more"] if found.n_untested > len(named) else []
    lines = [f"untested, with its number of episodes: {listed([*named, *more])}"] if named else []
    lines += (
        [f"log rows of {plural(found.n_missing, 'attacked test episode')} are not there"] if found.n_missing else []
    )
    lines += _few(row.share for row in found.rows)
    if lines:
        parts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts)


def _few(estimates: Iterable[Estimate]) -> list[str]:
    """Why figures have no interval; one line for all that stand in too few episodes, whose number is in their row."""
    reasons = notes(estimates)
    lines = [escape_md(reason) for reason in reasons if not reason.startswith("n = ")]
    return lines + [f"no interval below {MIN_EPISODES} episodes"] * (len(lines) < len(reasons))
