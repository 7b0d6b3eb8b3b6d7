"""A store of hostile tarballs, made by code: every case says which verdict it must get.

By hand: `PYTHONPATH=tests/hostile python -m hostile_corpus /tmp/hostile`, then
`rlstir validate --store /tmp/hostile/store`. What does not belong here: tests (beside this folder).
"""

from __future__ import annotations

from hostile_corpus import (
    channels,
    costs,
    identifiers,
    index_lines,
    json_values,
    labels,
    meta,
    times,
)
from hostile_corpus.archive import frame_cases, member_cases, tar_cases
from hostile_corpus.case import Case

CASES: tuple[Case, ...] = (
    *frame_cases.CASES,
    *member_cases.CASES,
    *tar_cases.CASES,
    *channels.CASES,
    *costs.CASES,
    *identifiers.CASES,
    *index_lines.CASES,
    *json_values.CASES,
    *labels.CASES,
    *meta.CASES,
    *times.CASES,
)
