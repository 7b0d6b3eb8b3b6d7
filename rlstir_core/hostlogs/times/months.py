"""The names of months: in English, as syslog daemons print them, and in the languages in which `date` prints a word.

What does not belong here: where in a date the name stands (`dates.py`, `locales.py`, `years.py`).
"""

from __future__ import annotations

import re
from itertools import pairwise

_NAMES = "January February March April May June July August September October November December"
_WORDS = _NAMES.split()
ENGLISH = {word[:n].lower(): at for at, word in enumerate(_WORDS, 1) for n in (3, len(word))} | {"sept": 9}
SYSLOG = {word[:3]: at for at, word in enumerate(_WORDS, 1)} | {"Mai": 5, "Okt": 10, "Dez": 12}

_WORD = re.compile(r"[^\W\d_]{2,16}")
# the first three letters of a month, or all of it, in the locales that print it as a word: en nb nn is ms kl bi ar
_LATIN = (
    "jan", "feb", "mar mac", "apr epr", "may mai mei maj maí", "jun jún", "jul júl", "aug ágú ogo ogs", "sep",
    "oct okt", "nov nóv", "dec des dis",
)  # fmt: skip
_ARABIC = (
    "ينا جان", "فبر شباط فيف", "مار آذار", "أبر نيسان أفر", "ماي أيار مايو", "يون حزيران جوا", "يول تموز جوي",
    "أغس آب أوت", "سبت أيلول", "أكت", "نوف", "ديس",
)  # fmt: skip
_ANY = {word: at for table in (_LATIN, _ARABIC) for at, words in enumerate(table, 1) for word in words.split()}
# these months have two words in Syria, Lebanon, Iraq and Jordan, of which the first is not enough
_TWO_WORDS = {
    ("كانون", "الثاني"): 1,
    ("كانون", "الأول"): 12,
    ("تشرين", "الأول"): 10,
    ("تشرين", "الثاني"): 11,
}


def month_named(said: str) -> int:
    """The month that a word of a text names in any of these languages, the last such one; 0 where none does."""
    words = [word.casefold() for word in _WORD.findall(said)]
    for pair in pairwise(words):
        if pair in _TWO_WORDS:
            return _TWO_WORDS[pair]
    for word in reversed(words):  # a weekday may stand before it
        if month := _ANY.get(word) or _ANY.get(word[:3]):
            return month
    return 0
