"""Synthetic logs in the styles of many systems, with known templates, and the scores that template finders get.

A style (`template_styles.toml`) is a header and some templates; `{name}` stands for a value of a kind. Every style has
templates that differ in one word, templates seen once, and words that vary. `template_public.toml` holds the harder
styles of logs that are widely known, without headers; half of them, `held_out`, are for measuring only. What does not
belong here: finding templates.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


def _split(text: str) -> list[str]:
    return text.split()


USERS = _split(
    "root admin alice bob carol dave erin frank grace heidi ivan judy mallory oscar peggy trent victor walter "
    "www-data postgres nagios backup mysql j.doe test guest ubuntu svc_sql cyrus news"
)
WORDS = _split(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november papa quebec romeo "
    "sierra tango uniform victor whiskey xray yankee zulu"
)
CLASSES = _split("Server Client Block Task Container Scheduler Memory Session Quorum Broadcast Shuffle Image Volume")

Field = Callable[[random.Random], str]


def _ip(r: random.Random) -> str:
    return ".".join(str(r.randint(1, 254)) for _ in range(4))


def _hex(r: random.Random, n: int) -> str:
    return f"{r.getrandbits(4 * n):0{n}x}"


def _pick(values: Sequence[str]) -> Field:
    return lambda r: r.choice(values)


def _several(one: Field, low: int, high: int, separator: str) -> Field:
    return lambda r: separator.join(one(r) for _ in range(r.randint(low, high)))


def _host(r: random.Random) -> str:
    return f"{r.choice(WORDS)}.{r.choice(WORDS)}{r.randint(1, 99)}.{r.choice(('com', 'net', 'co.uk', 'org'))}"


def _package(r: random.Random) -> str:
    return f"com.{r.choice(WORDS)}.{r.choice(WORDS)}"


FIELDS: dict[str, Field] = {
    "n": lambda r: str(r.randint(0, 10 ** r.randint(1, 6))),
    "small": lambda r: str(r.randint(0, 9)),
    "port": lambda r: str(r.randint(1024, 65535)),
    "neg": lambda r: str(r.randint(-(2**62), 2**62)),
    "f": lambda r: f"{r.random() * 100:.2f}",
    "ip": _ip,
    "ips": _several(lambda r: f"{_ip(r)}:50010", 1, 4, " "),
    "list": _several(lambda r: str(r.randint(1, 999)), 1, 6, ", "),
    "hex": lambda r: "0x" + _hex(r, 8),
    "hash": lambda r: _hex(r, 7),
    "long": lambda r: _hex(r, 32),
    "uuid": lambda r: "-".join(_hex(r, n) for n in (8, 4, 4, 4, 12)),
    "user": _pick(USERS),
    "few": _pick(USERS[:2]),
    "word": _pick(WORDS),
    "host": _host,
    "path": lambda r: "/" + "/".join(r.choice(WORDS) for _ in range(r.randint(2, 5))) + r.choice(("", ".log", ".xml")),
    "file": lambda r: f"{r.choice(WORDS)}_{r.choice(WORDS)}.{r.choice(('jar', 'xml', 'conf'))}",
    "win": lambda r: "C:\\Windows\\" + "\\".join(r.choice(WORDS).title() for _ in range(3)) + ".dll",
    "size": lambda r: f"{r.random() * 900:.1f} {r.choice(('B', 'KB', 'MB', 'GB'))}",
    "life": lambda r: r.choice(("<1 sec", f"{r.randint(0, 59):02d}:{r.randint(0, 59):02d}")),
    "class": lambda r: f"{r.choice(CLASSES)}{r.choice(CLASSES)}$Inner@{_hex(r, 8)}",
    "java": lambda r: f"org.acme.{r.choice(WORDS)}.{r.choice(CLASSES)}{r.choice(CLASSES)}",
    "app": _package,
    "bool": _pick(("true", "false")),
    "dev": lambda r: f"{r.choice(('sd', 'eth', 'tty'))}{r.randint(0, 9)}",
    "eth": lambda r: f"eth{r.randint(0, 7)}",
    "date": lambda r: f"{r.choice(('Mon', 'Tue', 'Fri'))} Jul {r.randint(10, 28)} {r.randint(10, 23)}:11:12 2021",
    "url": lambda r: f"http://{_host(r)}/{r.choice(WORDS)}?id={r.randint(1, 999)}",
    "words": _several(_pick(WORDS), 1, 4, " "),
    "wlist": _several(_pick(WORDS), 1, 4, ", "),
    "two": _pick(("Microsoft Word", "Google Chrome", "Finder", "QQ", "Adobe Reader XI", "Safari")),
    "mx": lambda r: f"j5B{_hex(r, 4)}x{r.randint(100000, 999999)}",
    "obj": lambda r: f"<NS{r.choice(CLASSES)}View: 0x{_hex(r, 12)}>",
    "errno": _pick(("Connection refused", "Connection reset by peer", "No route to host")),
    "maysize": lambda r: r.choice(("", f" ({r.random() * 900:.1f} {r.choice(('B', 'KB', 'MB', 'GB'))})")),
    "whohost": lambda r: _host(r) if r.random() < 0.7 else "",
    "maybe": lambda r: r.choice(("", " (has extras)")),
    "comp2": lambda r: r.choice(CLASSES) + r.choice(CLASSES) + r.choice(CLASSES),
    "n8": lambda r: _hex(r, 8),
    "iso2": lambda r: f"2015-10-18 18:{r.randint(10, 59)}:{r.randint(10, 59)}",
    "state1": _pick(("running", "waiting", "terminated")),
    "act": lambda r: f"android.intent.action.{r.choice(('SCREEN_ON', 'SCREEN_OFF', 'TIME_TICK', 'BATTERY_CHANGED'))}",
    "cap": lambda r: r.choice(WORDS).upper(),
    "fqhost": lambda r: f"{r.choice(WORDS)}-{r.choice(WORDS)}-{r.randint(1, 20)}",
    "addr16": lambda r: _hex(r, 16),
    "pci": lambda r: f"{r.randint(0, 9):02d}:{_hex(r, 2)}.{r.randint(0, 7)}",
    "q": lambda r: r.choice(("alpha", "beta")),
    "job": lambda r: f"{r.randint(10**12, 10**13)}_{r.randint(1, 99):04d}_m_{r.randint(0, 999):06d}_{r.randint(0, 3)}",
}


class Style(NamedTuple):
    """A header of a line with fields of its own, how a user would write it, and the templates of the messages."""

    header: str
    given: str
    templates: tuple[tuple[str, str], ...]  # how a message is made, and its true template
    fields: Mapping[str, Field]
    skew: float = 1.5  # how much more often the most frequent template is seen than the others
    held_out: bool = False


_HEADER: dict[str, Field] = {
    **FIELDS,
    "d6": lambda r: "081109",
    "t6": lambda r: f"20{r.randint(10, 59)}{r.randint(10, 59)}",
    "pid": lambda r: str(r.randint(100, 30000)),
    "LEVEL": _pick(("INFO", "INFO", "INFO", "WARN", "ERROR")),
    "Level": _pick(("Info", "Info", "Error")),
    "llevel": _pick(("notice", "error", "info")),
    "L": _pick(tuple("VDIWE")),
    "comp": lambda r: r.choice(CLASSES) + r.choice(CLASSES),
    "thread": lambda r: r.choice(("main", "IPC Server handler 3 on 41", f"Thread-{r.randint(1, 99)}")),
    "iso": lambda r: f"2015-10-18 18:{r.randint(10, 59)}:{r.randint(10, 59)}",
    "isospace": lambda r: f"2016-09-28 04:{r.randint(10, 59)}:{r.randint(10, 59)}",
    "isoz": lambda r: f"2015-10-18T18:{r.randint(10, 59)}:{r.randint(10, 59)}Z",
    "isoday": lambda r: "2017-05-16_13:53:08",
    "isodash": lambda r: f"2005-06-03-15.{r.randint(10, 59)}.50.{r.randint(100000, 999999)}",
    "dot": lambda r: "2005.06.03",
    "slash": lambda r: "17/06/09",
    "time": lambda r: f"{r.randint(10, 23)}:{r.randint(10, 59)}:{r.randint(10, 59)}",
    "ms": lambda r: f"{r.randint(0, 999):03d}",
    "mon": _pick(("Jun", "Jul")),
    "short": _pick(("storage", "executor", "rdd", "util")),
    "nested": lambda r: (
        f"QuorumPeer[myid={r.randint(1, 3)}]/0:0:0:0:0:0:0:0:2181:Election@{r.randint(100, 999)}"
        if r.random() < 0.5
        else f"SendWorker:{r.randint(10**10, 10**12)}:Manager$SendWorker@{r.randint(100, 999)}"
    ),
    "dotted": _pick(("osapi.wsgi.server", "compute.manager", "virt.libvirt.imagecache")),
    "n2": lambda r: f"{r.randint(0, 63):02d}",
    "epoch": lambda r: str(r.randint(1_077_000_000, 1_137_000_000)),
    "n6": lambda r: f"{r.randint(0, 999999):06d}",
    "unit": _pick(("KERNEL", "APP", "DISCOVERY")),
    "state": _pick(("state_change.unavailable", "boot_cmd.new", "net.niff.up")),
    "proc": lambda r: r.choice(
        (f"sshd(pam_unix)[{r.randint(1, 9999)}]", f"ftpd[{r.randint(1, 9999)}]", "kernel", "su[12]")
    ),
    "exe": _pick(("chrome.exe", "chrome.exe *64", "outlook.exe")),
}
for _fields in (FIELDS, _HEADER):
    _fields["mac"] = lambda r: ":".join(_hex(r, 2) for _ in range(6))
    _fields["Bool"] = _pick(("True", "False"))

_FIELD = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def _star(found: re.Match[str]) -> str:
    return "<*>" if found[1] else found.group()[0]


def _made(text: str, fields: Mapping[str, Field], r: random.Random) -> str:
    return _FIELD.sub(lambda found: fields[found[1]](r) if found[1] else found.group()[0], text)


def _own(values: Sequence[str], fields: Mapping[str, Field]) -> Field:
    return lambda r: _made(r.choice(values), fields, r)


def _style(name: str, read: Mapping[str, Any]) -> Style:
    fields = dict(FIELDS)
    fields.update((key, _own(values, fields)) for key, values in read.get("fields", {}).items())
    made = []
    for one in read["templates"]:
        if not isinstance(one, str):
            made.append((one[0], one[1]))
            continue
        # behind a `|` stands the truth, where it is not told by itself
        a, b, c = one.rpartition("|") if name == "pipes" else one.partition("|") if "header" in read else (one, "", "")
        made.append((a or c, c if b else _FIELD.sub(_star, a or c)))
    return Style(
        header=read.get("header", ""),
        given=read.get("given", ""),
        templates=tuple(made),
        fields=fields,
        skew=read.get("skew", 1.5),
        held_out=read.get("held_out", False),
    )


def _styles(name: str) -> dict[str, Style]:
    read = tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return {style: _style(style, each) for style, each in read.items()}


STYLES = _styles("template_styles.toml")
PUBLIC = _styles("template_public.toml")
ALL_STYLES = {**STYLES, **PUBLIC}


class Log(NamedTuple):
    """Lines with headers, their messages, and the true template of each."""

    lines: list[str]
    messages: list[str]
    truth: list[str]


def make_log(name: str, n: int = 2000, seed: int = 1) -> Log:
    """A log of one style: a few templates make most of its lines, and each is seen at least once."""
    style, r = ALL_STYLES[name], random.Random(f"{name}-{seed}")
    made = style.templates
    order = list(range(len(made)))
    r.shuffle(order)
    weights = [1 / (1 + rank) ** style.skew for rank in range(len(made))]
    picks = order + r.choices(order, weights, k=max(0, n - len(order)))
    r.shuffle(picks)
    messages = [_made(made[pick][0], style.fields, r) for pick in picks]
    lines = [_made(style.header, _HEADER, r) + message for message in messages]
    return Log(lines, messages, [made[pick][1] for pick in picks])


def normal(text: str) -> str:
    """A template's text, white space counted as one blank and consecutive parameters as one."""
    return re.sub(r"<\*>(?:\s*<\*>)+", "<*>", " ".join(text.split()))


def scores(
    found: Sequence[str], truth: Sequence[str], texts: Mapping[str, str], true_texts: Mapping[str, str]
) -> dict[str, float]:
    """GA, PA, FGA and FTA of template ids against true ones (Khan et al. 2022).

    GA: share of lines in groups that are exactly a true group; PA: share of lines with the true text; FGA, FTA: F1
    over templates, of exact groups, and of exact groups with the true text.
    """
    one: dict[str, list[int]] = defaultdict(list)
    two: dict[str, list[int]] = defaultdict(list)
    for i, (a, b) in enumerate(zip(found, truth, strict=True)):
        one[a].append(i)
        two[b].append(i)
    exact = {tuple(lines): b for b, lines in two.items()}
    right = [(a, exact[tuple(lines)]) for a, lines in one.items() if tuple(lines) in exact]
    alike = [normal(texts[a]) == normal(true_texts[b]) for a, b in right]
    same = [normal(texts[a]) == normal(true_texts[b]) for a, b in zip(found, truth, strict=True)]
    return {
        "GA": round(sum(len(one[a]) for a, _ in right) / max(1, len(found)), 4),
        "PA": round(sum(same) / max(1, len(found)), 4),
        "FGA": round(2 * len(right) / max(1, len(one) + len(two)), 4),
        "FTA": round(2 * sum(alike) / max(1, len(one) + len(two)), 4),
    }
