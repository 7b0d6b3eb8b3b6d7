"""Keys: a line's columns as they are compared, and what one column's value looks like.

What does not belong here: comparing lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rlstir_core.hostlogs.templates.mask import PARAM, words

Key = tuple[str, ...]

# A class, package or component that is named in full; one that ends in capitals is a state, and an error says what
# happened.
_FULL_NAME = re.compile(
    rf"(?:[A-Za-z_][\w$-]*\.){{2,}}[\w$/.{PARAM}-]*[a-z{PARAM}][\w$]*(?<!Exception)(?<!Error)$", re.ASCII
)

# A word after one of these is a name.
NAMING = words("user username usr account login file filename folder directory path host hostname")
THINGS = words(
    "node server client package module class driver process program task thread service device interface job "
    "key named called volume container vm instance image queue topic table database option from by"
)
# Words that say what happened, wherever they stand.
TELLING = words(
    "up down on off yes no true false ok none null enabled disabled enable disable start stop started stopped "
    "starting stopping open opened opening close closed closing success successful succeeded failed failure "
    "fail failing connected disconnected connecting active inactive running suspended paused resumed unknown "
    "invalid valid in out read write reading writing local remote get set add added remove removed delete "
    "deleted create created not is was has had to from by for at of with and or the a an error warning found "
    "missing lost done finished complete completed online offline exited killed crashed ready busy idle empty "
    "full expired denied allowed accepted rejected refused authentication unavailable available"
)


def closed(key: Sequence[str]) -> Key:
    """The key with parameters side by side, or in a list, as one."""
    made: list[str] = []
    for value in key:
        if value == PARAM and made:
            if made[-1] == PARAM:
                continue
            if made[-1] == "," and made[-2:-1] == [PARAM]:
                made.pop()
                continue
        made.append(value)
    return tuple(made)


@lru_cache(maxsize=1 << 16)
def is_word(value: str) -> bool:
    """Whether a value is text without a parameter."""
    return PARAM not in value and any(map(str.isalpha, value))


@lru_cache(maxsize=1 << 16)
def can_vary(value: str) -> bool:
    """Whether a value has a letter: delimiters never are parameters."""
    return any(map(str.isalpha, value))


def is_name(value: str) -> bool:
    """Whether a value looks like a name rather than a word of a sentence."""
    value = value.strip(".!?-")
    if PARAM in value or not value.isalpha():
        return True
    return not value.islower() and not value.istitle() and not value.isupper()


def is_quoted(value: str) -> bool:
    """Whether a value stands in quotes."""
    return len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]


def is_full_name(value: str) -> bool:
    """Whether a value is a name with its packages: `org.acme.Server`, `com.acme.mail/.Main`."""
    return value.count(".") > 1 and _FULL_NAME.match(value) is not None
