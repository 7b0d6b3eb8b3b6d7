"""The parser of each log format that the contract names.

A module is imported by the name that stands in the contract's table, so that a format is known to the reader of
episodes and to the parsers by one line. What does not belong here: any parsing.
"""

from __future__ import annotations

import functools
import importlib

from rlstir_core.contract import members
from rlstir_core.contract.members import LogMember, log_member, log_of
from rlstir_core.hostlogs.spec import ParserSpec


def specs() -> tuple[ParserSpec, ...]:
    """Every format's spec, in the order of the contract's table."""
    return tuple(map(_load, members.LOGS))


def spec_of(log_format: str) -> ParserSpec:
    """The spec of a format; KeyError where the contract does not name it."""
    return _load(log_of(log_format))


def spec_of_member(name: str) -> ParserSpec | None:
    """The spec of the log that a member of an episode is by its name; None where it is no log."""
    log = log_member(name)
    return _load(log) if log is not None else None


@functools.cache
def _load(log: LogMember) -> ParserSpec:
    where = f"rlstir_core.hostlogs.{log.reader}"
    spec = getattr(importlib.import_module(where), "SPEC", None)
    if not isinstance(spec, ParserSpec) or spec.format != log.format:
        raise TypeError(f"{where} has no SPEC of the format {log.format!r} that the contract says it reads")
    return spec
