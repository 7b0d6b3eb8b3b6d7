"""The truth about a log that was tampered with: a span for each gap, and one for the records that were altered.

A gap is a run of records that are gone, with no record of the same log between them that is left. What does not
belong here: how the log was tampered with.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.lab.tamper.records.entry import MADE_UP, Entry


def spans(
    kind: str, member: str, before: Sequence[Entry], after: Sequence[Entry], lane: Collection[int]
) -> tuple[TamperSpan, ...]:
    """The spans of a log whose rows are `after` and were `before`; `lane` holds the places of the records among
    which gaps are looked for, all of one kind of log."""
    return (*_gaps(kind, member, before, after, lane), *_altered(kind, member, after))


def _gaps(
    kind: str, member: str, before: Sequence[Entry], after: Sequence[Entry], lane: Collection[int]
) -> list[TamperSpan]:
    seq_of = {entry.place: seq for seq, entry in enumerate(after) if entry.place != MADE_UP}
    found: list[TamperSpan] = []
    gone: list[Entry] = []
    last = -1

    def close(following: int) -> None:
        if gone:
            times = [entry.ts_ns for entry in gone]
            found.append(
                TamperSpan(
                    t_start_wall_ns=min(times),
                    t_end_wall_ns=max(times),
                    channel=gone[0].channel,
                    kind=kind,
                    n_removed=len(gone),
                    member=member,
                    after_seq=last,
                    before_seq=following,
                )
            )
            gone.clear()

    for place in sorted(lane):
        if place in seq_of:
            close(seq_of[place])
            last = seq_of[place]
        else:
            gone.append(before[place])
    close(-1)
    return found


def _altered(kind: str, member: str, after: Sequence[Entry]) -> list[TamperSpan]:
    """One span for each channel whose records were altered."""
    channels: dict[str, list[int]] = {}
    for seq, entry in enumerate(after):
        if entry.marked:
            channels.setdefault(entry.channel, []).append(seq)
    return [
        TamperSpan(
            t_start_wall_ns=min(after[seq].ts_ns for seq in seqs),
            t_end_wall_ns=max(after[seq].ts_ns for seq in seqs),
            channel=channel,
            kind=kind,
            member=member,
            seqs=tuple(seqs),
        )
        for channel, seqs in channels.items()
    ]
