"""Cases about identifiers: text of the meta that would become a path, a partition key, markdown or HTML.

What does not belong here: the other keys of the meta (`meta.py`).
"""

from __future__ import annotations

from typing import Any

from hostile_corpus.case import Case, degraded, ok, reject

_HOST = "meta-identifiers"
_KEYS = ("sample_name", "profile", "host_id", "episode_id")

_BAD: dict[str, Any] = {
    "with-a-slash": "a/b",
    "with-a-backslash": "a\\b",
    "with-a-pipe": "a|b",
    "with-a-colon": "a:b",
    "with-a-star": "a*",
    "with-a-question-mark": "a?",
    "that-is-one-dot": ".",
    "that-is-two-dots": "..",
    "that-is-three-dots": "...",
    "with-two-dots-inside": "a..b",
    "that-climbs": "../../etc",
    "that-is-absolute": "/etc",
    "with-a-leading-dot": ".hidden",
    "with-a-leading-dash": "-rf",
    "with-a-leading-underscore": "_temporary",
    "that-is-empty": "",
    "that-is-a-space": " ",
    "with-a-space-inside": "a b",
    "with-a-space-at-its-end": "walker ",
    "with-a-newline-at-its-end": "walker\n",
    "with-a-carriage-return": "walk\rer",
    "with-a-nul": "walker\0",
    "with-a-bell": "walk\x07er",
    "with-an-ansi-escape": "\x1b[31mred\x1b[0m",
    "with-a-c1-control": "walk\x9ber",
    "with-a-delete": "walker\x7f",
    "with-a-right-to-left-override": "walk\u202eer",
    "with-a-bidi-isolate": "walk\u2066er",
    "with-a-zero-width-space": "walk\u200ber",
    "with-a-byte-order-mark": "\ufeffwalker",
    "with-a-soft-hyphen": "walk\u00ader",
    "with-a-line-separator": "walk\u2028er",
    "with-a-cyrillic-look-alike": "w\u0430lker",
    "with-full-width-letters": "\uff57\uff41lker",
    "with-a-kelvin-sign": "wal\u212aer",
    "with-arabic-digits": "walker\u0661",
    "with-a-combining-accent": "walke\u0301r",
    "with-an-emoji": "walker\U0001f600",
    "with-html": "<script>alert(1)</script>",
    "with-an-entity": "&lt;b&gt;",
    "with-markdown": "[x](javascript:alert(1))",
    "with-a-markdown-table": "a|b|c\n-|-|-",
    "with-backticks": "`rm`",
    "with-a-formula": "=cmd|'/C calc'!A0",
    "with-an-at-sign": "@SUM(A1)",
    "with-a-plus": "+1",
    "with-a-variable": "$HOME",
    "with-a-template": "{{7*7}}",
    "with-a-percent-sign": "%2e%2e",
    "with-a-quote": "a'b",
    "with-a-double-quote": 'a"b',
    "with-a-comma": "a,b",
    "with-a-tilde": "~root",
    "of-64-letters": "a" * 64,
    "of-200000-letters": "a" * 200_000,
    "that-is-a-number": 17,
    "that-is-a-boolean": True,
    "that-is-null": None,
    "that-is-a-list": ["walker"],
    "that-is-an-object": {"walker": 1},
    "that-is-missing": ...,
}


def _bad(number: int, what: str, value: Any) -> Case:
    key = _KEYS[number % len(_KEYS)]
    name = f"{key.replace('_', '-')}-{what}"
    return reject(_HOST, name, "meta.id", lambda g: g.packed(meta=g.meta(**{key: value})))


CASES = (
    ok(_HOST, "control-a-sample-of-63-characters", lambda g: g.packed(meta=g.meta(sample_name="A.b_c-9" * 9))),
    ok(_HOST, "CON.control-of-an-odd_episode-name", lambda g: g.packed()),
    degraded(_HOST, "a-profile-nobody-knows", "meta.unknown_profile", lambda g: g.packed(meta=g.meta(profile="novel"))),
    degraded(
        _HOST, "a-profile-of-another-case", "meta.unknown_profile", lambda g: g.packed(meta=g.meta(profile="IO-walk"))
    ),
    *(_bad(number, what, value) for number, (what, value) in enumerate(_BAD.items())),
    reject(_HOST, "another-episode", "meta.identity", lambda g: g.packed(meta=g.meta(episode_id="other"))),
    reject(_HOST, "another-host", "meta.identity", lambda g: g.packed(meta=g.meta(host_id="other"))),
    reject(
        _HOST, "the-episode-in-capitals", "meta.identity", lambda g: g.packed(meta=g.meta(episode_id=g.episode.upper()))
    ),
    reject(
        _HOST,
        "host-and-episode-exchanged",
        "meta.identity",
        lambda g: g.packed(meta=g.meta(episode_id=g.host, host_id=g.episode)),
    ),
)
