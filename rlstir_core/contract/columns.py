"""What each column of the outputs means, in a few words: for the Dagster UI and for whoever opens the Parquet files.

One place for all tables; a test holds each to the columns that its files have. What does not belong here: types, which
the modules that write the tables declare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

Words = Mapping[str, str]

INDEX: Final[Words] = {  # of a line of the store's index
    "episode_id": "the episode",
    "host_id": "the host that recorded it",
    "path": "its tarball, relative to the store",
    "bytes": "the tarball's size",
    "sha256": "the tarball's hash",
    "profile": "the kind of behaviour, where the line says it",
    "sample_name": "the concrete payload, where the line says it",
    "received_wall_ns": "when it came into the store, nanoseconds since 1970, where the line says it",
}

VALIDATION: Final[Words] = {
    "host": "the host that recorded the episode",
    "episode_id": "the episode",
    "path": "its tarball, relative to the store",
    "verdict": "ok, degraded or reject",
    "reason": "why it is not ok: the first code, family.detail",
    "reasons": "every such code",
    "detail": "the case in words: which member, which value",
    "profile": "the kind of behaviour",
    "sample_name": "the concrete payload",
    "benign": "whether it is a benign twin",
    "origin": "an importer's own name for the run",
    "corpus": "whose recordings these are",
    "synthetic": "whether a generator made it",
    "t_start_wall_ns": "start, nanoseconds since 1970",
    "t_end_wall_ns": "end, nanoseconds since 1970",
    "index_sha256": "the tarball's hash by the index",
    "sha256": "the tarball's hash as it was read",
    "n_bytes": "the tarball's size by the index",
    "decode_sha256": "hash of the rules that it was decoded under",
    "content_sha256": "hash of all values without their clocks",
    "logs_sha256": "fingerprint of all logs",
    "rows": "usable rows by source, JSON",
    "bad_rows": "rows dropped because they break the format, by source, JSON",
    "outside_rows": "rows dropped because they lie outside the episode, by source, JSON",
    "torn_lines": "lines that held several records, by source, JSON",
    "log_bytes": "bytes by log member, JSON",
    "missing_sources": "sources that the registry requires and that are absent",
    "clock_offset_ns": "wall less monotonic clock by source, less the first source's, JSON",
    "clock_step_ns": "largest jump of the wall clock against the monotonic one",
    "clock_drift_ppm": "drift of the wall clock against the monotonic one, parts in a million",
}

WINDOW_KEYS: Final[Words] = {
    "host_id": "the host that recorded the episode",
    "episode_id": "the episode",
    "window": "the window's number in the episode, from 0",
    "t_start_wall_ns": "the window's start, nanoseconds since 1970",
    "t_end_wall_ns": "the window's end, nanoseconds since 1970",
    "phase": "the phase with the largest share of the window; empty without a label",
    "purity": "that share",
    "since_onset_s": "seconds from the onset to the window's end; missing before it and without one",
}
# Summary statistics stand in columns `<series>|<statistic>`; a series is a channel, `<channel>~<normaliser>` or a
# log-ratio `<channel>/<channel>`.
STATISTICS: Final[Words] = {
    "mean": "mean of the bins",
    "std": "standard deviation of the bins",
    "min": "lowest bin",
    "q10": "10 % quantile",
    "q25": "25 % quantile",
    "median": "median",
    "q75": "75 % quantile",
    "q90": "90 % quantile",
    "max": "highest bin",
    "slope": "least-squares slope per second",
    "absdiff": "mean absolute step between neighbouring bins",
    "lag1": "autocorrelation of neighbouring bins",
    "rise": "last known value less the first",
    "missing": "share of the bins in which the channel is missing",
}
OF_PARTS: Final[Words] = {
    "<statistic>_<k>of<n>": "mean, std or slope of the k-th of n equal parts, where a window is a whole run",
}

LOG_EVENTS: Final[Words] = {
    "host": "short name in lower case",
    "host_said": "the host as the event spells it",
    "episode_id": "the episode",
    "member": "the log file it stood in",
    "seq": "its place in that file, from 0",
    "ts_ns": "the event's own clock, nanoseconds since 1970, UTC",
    "channel": "sysmon, auditd, auth, journald or evtx",
    "template_id": "the shape of the message with its parameters removed",
    "pid": "process id; null where the event names none",
    "ppid": "the parent's process id",
    "tid": "thread id",
    "exe": "the process's image",
    "cmdline": "its command line",
    "user": "the user it ran as",
    "sid": "that user's security identifier",
    "provider": "what wrote the event",
    "event_id": "the provider's number or name for it",
    "message": "the text that a template is made of",
    "fields_json": "every field of the record, JSON",
    "label_ttp": "techniques that were running, by the episode's truth",
    "tamper_tag": "the kind of tamper span it stands in, by the truth",
    "clock_mismatch": "EVTX: header and event name other times or ids",
    "duplicate": "the same event stood earlier in the episode",
    "parsed": "whether a parser knew the form",
    "timed": "whether the event says a time that can be read; else ts_ns is that of the row before",
    "assumed": "what of its time nobody says: year, zone, order of day and month",
}

GRAPHS: Final[Mapping[str, Words]] = {
    "proc_nodes": {
        "id": "the node's number in the episode",
        "host": "the host it ran on",
        "pid": "process id",
        "guid": "the source's own unique id",
        "first_ts": "first event, ns",
        "last_ts": "last event, ns",
        "created_ts": "creation, ns; null where the log begins later",
        "end_ts": "end, ns",
        "exe": "image",
        "exe_hash": "SHA-256 of the image, or `sha1:` and another",
        "cmdline": "command line",
        "user": "user",
        "signed": "whether the image is signed; null where no source says",
        "parent_id": "the parent's node",
        "parent_exe": "the parent's image",
        "rare_parent": "how rare this child is for this parent",
        "created_by": "log rows that tell of its creation",
    },
    "file_nodes": {
        "id": "the node's number in the episode",
        "host": "the host it lies on",
        "kind": "file, registry, pipe, share or device",
        "path": "path",
        "sha256": "hash of the content, where a log says",
        "signed": "whether it is signed; null where no source says",
        "entropy": "always null: logs hold no contents",
        "first_ts": "first event, ns",
        "last_ts": "last event, ns",
    },
    "sock_nodes": {
        "id": "the node's number in the episode",
        "host": "null where several hosts can mean the same endpoint",
        "l4": "tcp, udp, icmp, unix or dns; null where the source does not say",
        "src_ip": "source address",
        "dst_ip": "destination address",
        "dst_port": "destination port",
        "name": "of a query or a Unix socket",
        "asn": "always null: no table of addresses ships with the project",
        "geo": "always null, like asn",
        "first_ts": "first event, ns",
        "last_ts": "last event, ns",
    },
    "edges": {
        "src_id": "from this node",
        "dst_id": "to this node",
        "etype": "PROC_CHILD, PROC_FILE_RW, PROC_SOCK_CONN or PROC_PROC_ACCESS",
        "op": "what was done",
        "ts_ns": "the first time, ns",
        "last_ns": "the last time, ns",
        "n": "how often",
        "rows": "numbers of the log rows behind it",
    },
}

PREDICTIONS: Final[Words] = {
    "scene": "what was shown: validation, test, test-as-recorded, or only the first bins of a side",
    "round": "the round of the split, from 0",
    "episode_id": "the episode",
    "window": "the window's number in the episode, from 0",
    "seconds_seen": "seconds from where scoring began to the window's end",
}


def predictions(phases: Iterable[str]) -> Words:
    """The columns of a detector's predictions: those of every store, and a probability for each phase."""
    return {**PREDICTIONS, **{f"p_{phase}": f"probability of the phase {phase}" for phase in phases}}


NAMINGS: Final[Mapping[str, Words]] = {  # what is said of logs
    "techniques": {
        "episode_id": "the episode",
        "host": "the host that recorded it",
        "corpus": "whose recording it is",
        "member": "its log file, where it has one alone",
        "model": "who says it",
        "rank": "the technique's place, the likeliest first",
        "technique": "ATT&CK id",
        "score": "how likely, by this model",
        "margin": "of the first technique over the second; null where there is no second",
        "abstained": "whether nothing is named in this episode",
        "named": "whether the model names it",
    },
    "tactics": {
        "episode_id": "the episode",
        "host": "the host that recorded it",
        "corpus": "whose recording it is",
        "member": "its log file, where it has one alone",
        "model": "who says it",
        "rank": "the tactic's place, the likeliest first",
        "tactic": "ATT&CK tactic",
        "score": "how likely, by this model",
    },
    "risk": {
        "episode_id": "the episode",
        "host": "the host that recorded it",
        "corpus": "whose recording it is",
        "model": "who says it",
        "p_risk": "probability that the episode is an attack",
    },
    "row_attacks": {
        "episode_id": "the episode",
        "member": "the log file",
        "seq": "the row's place in that file, from 0",
        "model": "who says it",
        "p_attack": "probability that the row shows an attack",
    },
    "rows": {
        "episode_id": "the episode",
        "member": "the log file",
        "seq": "the row's place in that file, from 0",
        "model": "who says it",
        "p_tamper": "probability that the log was tampered with here; the lowest are not written",
    },
    "spans": {
        "episode_id": "the episode",
        "channel": "the log channel",
        "member": "the log file",
        "model": "who says it",
        "t_start_wall_ns": "start, nanoseconds since 1970",
        "t_end_wall_ns": "end, nanoseconds since 1970",
        "after_seq": "from this row on, -1 for the beginning of the file",
        "before_seq": "to this row, -1 for the end of the file",
        "score": "how sure the model is",
        "kind": "what was done to the log",
        "reason": "what speaks for it",
    },
    "files": {
        "episode_id": "the episode",
        "member": "the log file",
        "model": "who says it",
        "flagged": "whether the file as a whole is called tampered with",
    },
}

INVESTIGATIONS: Final[Words] = {  # a row a step
    "episode_id": "the episode",
    "host": "the host that recorded it",
    "policy": "who investigates",
    "seed": "of the training; 0 of policies that are not trained",
    "step": "the step's number; 0 is the alert",
    "action": "what was asked, or STOP",
    "cost": "of this step",
    "cumulative_cost": "of all steps so far",
    "n_revealed": "log rows revealed so far",
    "rows": "numbers of the log rows that this step revealed",
    "p_risk": "probability of an attack, by what was revealed",
    "p_tampered": "probability that a log was tampered with, by what was revealed",
    "stopped": "whether the investigation ended here",
    "techniques": "ATT&CK ids; null but at the end",
    "scores": "how likely each of them is; null but at the end",
    "spans": "stretches of log channels that are called tampered with; null but at the end",
}
