"""Zones as logs abbreviate them beside a time: `UTC`, `CEST`, `-0700`.

Words that several zones share (`CST` is Chicago and Shanghai, `IST` India, Israel and Ireland) name none. What does not
belong here: zones that a user names (`zones.py`).
"""

from __future__ import annotations

from functools import lru_cache

_HOURS: dict[str, float | None] = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3,
    "MSK": 3, "HKT": 8, "SGT": 8, "AWST": 8, "JST": 9, "KST": 9, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11,
    "NZST": 12, "NZDT": 13, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9,
    "AKDT": -8, "HST": -10, "BRT": -3, "SAST": 2,
    "CST": None, "IST": None, "BST": None, "AST": None, "ADT": None, "WIB": None,
}  # fmt: skip
WORDS = "|".join(sorted(_HOURS, key=len, reverse=True))  # of a regular expression
OFFSET = r"[+-][0-9]{2}(?::?[0-9]{2})?"


def is_word(text: str) -> bool:
    """Whether a text is the abbreviation of a zone."""
    return text in _HOURS


@lru_cache(maxsize=256)
def shift_s(zone: str) -> int | None:
    """Seconds east of UTC of `CEST`, `+0200`, `-05:30`, `+02` or `Z`; None where the word leaves it open."""
    if zone[0] not in "+-":
        hours = _HOURS[zone]
        return None if hours is None else int(hours * 3600)
    digits = zone[1:].replace(":", "")
    shift = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return -shift if zone[0] == "-" else shift
