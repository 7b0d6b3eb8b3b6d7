"""Cases about `meta.json`: its JSON, its version and its keys.

What does not belong here: identifiers (`identifiers.py`) and times (`times.py`).
"""

from __future__ import annotations

import json
from typing import Any

from hostile_corpus.case import Case, Good, degraded, ok, reject

_HOST = "meta-form"


def _meta(name: str, reason: str, **changes: Any) -> Case:
    return reject(_HOST, name, f"meta.{reason}", lambda g: g.packed(meta=g.meta(**changes)))


def _raw(name: str, raw: bytes, reason: str = "json") -> Case:
    return reject(_HOST, name, f"meta.{reason}", lambda g: g.packed(meta=raw))


def _value(name: str, raw: bytes, key: str = "extra") -> Case:
    """A good meta but for one value, whose key nobody looks at."""
    return reject(_HOST, f"a-meta-with-{name}", "meta.json", lambda g: g.packed(meta=g.meta_with(key, raw)))


def _ok(name: str, **changes: Any) -> Case:
    return ok(_HOST, f"control-{name}", lambda g: g.packed(meta=g.meta(**changes)))


def _twice(good: Good) -> bytes:
    return good.packed(meta=good.meta() * 2)


def _utf_16(good: Good) -> bytes:
    return good.packed(meta=json.dumps(good.fields()).encode("utf-16"))


def _two_versions(good: Good) -> bytes:
    return good.packed(meta=b'{"schema_version": 1, ' + good.meta()[1:])


def _hidden_duplicate(good: Good) -> bytes:
    return good.packed(meta=b'{"\\u0062enign": true, ' + good.meta()[1:])


CASES = (
    _ok("extra-keys-of-any-form", extra={"deep": [1, None, {"a": "b"}]}, agent="<b>", ütf="ü", __proto__=1),
    _ok("an-origin-that-wants-out", origin="\u202e\x1b[31m<script>`|=cmd\n"),
    _ok("synthetic-that-is-no-boolean", synthetic="yes"),
    _ok("sources-that-count-what-is-not-there", sources={"nobody": 7, "guest": None, "../x": 3}),
    ok(_HOST, "control-a-meta-with-line-ends-of-windows", lambda g: g.packed(meta=b"\r\n\t " + g.meta() + b"\r\n")),
    ok(_HOST, "control-a-meta-of-many-keys", lambda g: g.packed(meta=g.meta(**{f"k{i}": i for i in range(12_000)}))),
    ok(_HOST, "control-a-meta-nested-30-deep", lambda g: g.packed(meta=g.meta_with("deep", b"[" * 30 + b"]" * 30))),
    _meta("a-version-of-two", "schema_version", schema_version=2),
    _meta("a-version-of-zero", "schema_version", schema_version=0),
    _meta("a-version-that-is-true", "schema_version", schema_version=True),
    _meta("a-version-that-is-text", "schema_version", schema_version="1"),
    _meta("a-version-that-is-a-float", "schema_version", schema_version=1.0),
    _meta("a-version-that-is-null", "schema_version", schema_version=None),
    _meta("a-version-that-is-missing", "schema_version", schema_version=...),
    _meta("a-version-that-is-a-list", "schema_version", schema_version=[1]),
    _meta("benign-that-is-a-number", "benign", benign=1),
    _meta("benign-that-is-text", "benign", benign="false"),
    _meta("benign-that-is-null", "benign", benign=None),
    _meta("benign-that-is-missing", "benign", benign=...),
    _meta("sources-that-are-a-list", "sources", sources=["guest"]),
    _meta("sources-that-are-text", "sources", sources="guest"),
    _meta("a-row-count-that-is-negative", "sources", sources={"guest": -1}),
    _meta("a-row-count-that-is-a-float", "sources", sources={"guest": 12.0}),
    _meta("a-row-count-that-is-true", "sources", sources={"guest": True}),
    _meta("a-row-count-that-is-text", "sources", sources={"guest": "12"}),
    _meta("a-start-that-is-a-float", "time", t_start_wall_ns=1.75e18),
    _meta("a-start-that-is-text", "time", t_start_wall_ns="1750000000000000000"),
    _meta("a-start-that-is-true", "time", t_start_wall_ns=True),
    _meta("a-start-that-is-null", "time", t_start_wall_ns=None),
    _meta("an-end-that-is-missing", "time", t_end_wall_ns=...),
    _meta("an-end-that-is-a-list", "time", t_end_wall_ns=[]),
    reject(_HOST, "no-meta", "meta.missing", lambda g: g.packed(meta=None)),
    reject(_HOST, "two-objects", "meta.json", _twice),
    reject(_HOST, "two-versions", "meta.json", _two_versions),
    reject(_HOST, "a-duplicate-key-behind-an-escape", "meta.json", _hidden_duplicate),
    reject(_HOST, "a-byte-order-mark", "meta.json", lambda g: g.packed(meta=b"\xef\xbb\xbf" + g.meta())),
    reject(_HOST, "utf-16", "meta.json", _utf_16),
    reject(_HOST, "half-an-object", "meta.json", lambda g: g.packed(meta=g.meta()[:-20])),
    reject(_HOST, "bytes-after-the-object", "meta.json", lambda g: g.packed(meta=g.meta() + b"x")),
    reject(_HOST, "a-nul-after-the-object", "meta.json", lambda g: g.packed(meta=g.meta() + b"\0")),
    _raw("an-empty-meta", b""),
    _raw("a-meta-of-zeros", bytes(500)),
    _raw("a-meta-that-is-null", b"null"),
    _raw("a-meta-that-is-a-list", b"[]"),
    _raw("a-meta-that-is-text", b'"meta"'),
    _raw("a-meta-that-is-a-number", b"1"),
    _raw("a-meta-that-is-yaml", b"schema_version: 1\nhost_id: a\n"),
    _raw("a-meta-that-is-an-empty-object", b"{}", "schema_version"),
    _raw("a-meta-over-its-size", b" " * 300_000, "too_large"),
    _raw("a-meta-nested-200000-deep", b'{"a":' + b"[" * 200_000),
    _raw("a-meta-nested-100000-deep-and-closed", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    _raw("a-meta-of-open-objects", b'{"a":' * 40_000),
    _value("an-ignored-value-33-deep", b"[" * 33 + b"]" * 33),
    _value("nan", b"NaN"),
    _value("infinity", b"-Infinity"),
    _value("nan-inside-a-list", b"[1, [NaN]]"),
    _value("a-float-beyond-double", b"1e999"),
    _value("an-integer-beyond-int64", b"9223372036854775808"),
    _value("an-integer-of-5000-digits", b"9" * 5_000),
    _value("an-integer-of-200000-digits", b"9" * 200_000),
    _value("a-lone-surrogate", b'"\\ud800"'),
    _value("invalid-utf-8", b'"\xff\xfe"'),
    _value("an-encoded-surrogate", b'"\xed\xa0\x80"'),
    _value("a-control-character", b'"a\x01b"'),
    _value("a-raw-newline-in-text", b'"a\nb"'),
    _value("a-comment", b"1 /* one */"),
    _value("single-quotes", b"'a'"),
    _value("a-trailing-comma", b"1,"),
    _value("a-leading-zero", b"01"),
    _value("a-plus", b"+1"),
    _value("hex", b"0x10"),
    _value("undefined", b"undefined"),
    _value("an-unknown-escape", b'"\\x41"'),
    _value("a-duplicate-key-deep-inside", b'{"a": {"b": 1, "b": 2}}'),
    degraded(
        _HOST,
        "more-rows-than-the-meta-says",
        "channel.row_count",
        lambda g: g.packed(meta=g.meta(sources={"guest": 11})),
    ),
)
