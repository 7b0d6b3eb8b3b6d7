"""The language of scenarios, duties and everyday jobs: TOML files, read strictly into what `play.py` carries out.

An action is a table with one verb (`run`, `write`, `connect` …) and options; in its place `use` may name a macro, which
is expanded before anything is checked (`macros.py`). Attack and honest work are written in the same words. What does
not belong here: carrying them out (`play.py`), and the texts that names stand for (`names.py`).
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any, Literal

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.lab.life.macros import Macro, Macros
from rlstir_core.lab.machine.guest import Os
from rlstir_core.lab.sensors.profiles import BY_NAME, STAGES

Pair = tuple[float, float]
TrailPlace = Literal["source", "process", "account", "destination"]


class LifeAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One verb and its options; `does` is what the process that a verb starts does while it lives."""

    run: str | None = None  # a command line
    sudo: str | None = None  # Linux: a command line as root
    cron: str | None = None  # a command line that cron or the task scheduler starts
    session: str | None = None  # ssh, rdp, console, network: a login, and `does` is what is done in it
    attempt: str | None = None  # the same, and it fails
    read: str | None = None  # a file
    write: str | None = None
    create: str | None = None
    delete: str | None = None
    chmod: str | None = None
    rename: str | None = None  # a file; `to` is its new name
    connect: str | None = None  # host:port
    accept: str | None = None  # from which address; `port` is the guest's
    query: str | None = None  # a name
    registry: str | None = None  # Windows: a value that is set
    unregister: str | None = None  # Windows: a value that is deleted
    access: str | None = None  # a process, by the name it was kept under
    trace: str | None = None
    signal: str | None = None
    inject: str | None = None
    load: str | None = None  # Windows: a library or (.sys) a driver
    pipe: str | None = None  # Windows
    script: str | None = None  # Windows: a block of PowerShell
    service: str | None = None  # `what`: installed, started, stopped, failed
    task: str | None = None  # `what`: created, changed, deleted
    account: str | None = None  # `what`: created, deleted, group, password
    clear: str | None = None  # a log
    say: str | None = None  # a line in the journal, or a Windows event
    end: str | None = None  # a kept process exits
    wait: Pair | None = None  # seconds
    either: tuple[Way, ...] | None = None  # one of these ways

    by: str = ""  # the process that acts, by the name it was kept under
    under: str = ""  # the parent of what starts here
    as_: str = msgspec.field(default="", name="as")  # the account: user, admin, root, or a service's name
    keep: str = ""  # lives on under this name
    secs: Pair = (0.02, 0.6)  # that a process lives beyond what it does
    does: tuple[LifeAction, ...] = ()
    times: tuple[int, int] = (1, 1)
    every: Pair = (0.05, 0.8)  # seconds between two of `times`
    also: bool = False  # goes on beside what follows
    chance: float = 1.0
    kb: Pair = (1, 24)  # of a file
    up_kb: Pair = (0.4, 4)
    down_kb: Pair = (0.6, 12)
    to: str = ""
    mode: str = "0755"
    port: int = 0
    udp: bool = False
    failed: bool = False
    asked: bool = True  # the name was looked up
    from_: str = msgspec.field(default="", name="from")
    how: str = "publickey"
    known: bool = True
    what: str = "started"
    exe: str = ""
    group: str = ""
    text: str = ""
    unit: str = ""
    priority: int = 6
    auth: bool = False
    provider: str = ""
    channel: str = ""
    event_id: int = 0
    fields: dict[str, str] = {}
    unsigned: bool = False
    fetched: bool = False  # the file that is written is a program of its own
    technique: str = ""  # in a trail: what it is a step of where the trail is an attack's

    @property
    def verb(self) -> str:
        """Which of `VERBS` it is."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    def __post_init__(self) -> None:
        verbs = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(verbs) != 1:
            raise ValueError(f"an action has one verb, and this one {verbs or 'none'}")
        if self.technique and self.technique not in techniques():
            raise ValueError(f"technique {self.technique!r} is none of the pinned ones")


VERBS = (
    *("run", "sudo", "cron", "session", "attempt", "read", "write", "create", "delete", "chmod", "rename", "connect"),
    *("accept", "query", "registry", "unregister", "access", "trace", "signal", "inject", "load", "pipe", "script"),
    *("service", "task", "account", "clear", "say", "end", "wait"),
    "either",
)


class Way(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to take a step. `plain` ways use tools that honest people rarely touch: hardness takes them away.

    On trails a way is taken more often with the scenarios that it `goes_with`.
    """

    do: tuple[LifeAction, ...]
    odds: float = 1.0
    plain: bool = False
    goes_with: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens in a phase. Steps of one phase with the same `order` come in any order."""

    phase: str
    way: tuple[Way, ...]
    technique: str = ""
    chance: float = 1.0
    order: int = 1

    def __post_init__(self) -> None:
        if self.phase not in STAGES:
            raise ValueError(f"no phase {self.phase!r}; choose one of {', '.join(STAGES)}")
        if self.technique and self.technique not in techniques():
            raise ValueError(f"technique {self.technique!r} is none of the pinned ones")


class Story(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario (attack), or a duty: honest work that takes as long and is told in the same phases."""

    title: str
    step: tuple[Step, ...]
    profiles: tuple[str, ...]  # of telemetry, with which it goes
    names: dict[str, tuple[str, ...]] = {}  # one text of each is drawn for the whole story
    look_alike: bool = False  # a duty that looks like an attack

    def __post_init__(self) -> None:
        if unknown := set(self.profiles) - set(BY_NAME):
            raise ValueError(f"no profile {sorted(unknown)[0]!r}")


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of everyday life. `per_minute` of it happen on a usual host."""

    title: str
    way: tuple[Way, ...]
    per_minute: float = 0.0
    odds: float = 1.0
    names: dict[str, tuple[str, ...]] = {}


class TrailSide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one of a trail's two names may be: what an attacker would choose, and what honest work mostly has there."""

    odd: tuple[str, ...]
    usual: tuple[str, ...]


class Trail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Work that ends in something alarming, and what explains it or gives it away two or three hops before.

    Neither of the two names of `pair` tells by itself: where both are odd it is an attack, where one is it is honest
    (`trails.py`). `place` is where it can be read: in a log of its own kind, the process tree, a logon, a destination.
    """

    title: str
    place: TrailPlace
    goes_with: tuple[str, ...]  # the scenarios that it is most often found with
    pair: dict[str, TrailSide]
    way: tuple[Way, ...]
    names: dict[str, tuple[str, ...]] = {}

    def __post_init__(self) -> None:
        if len(self.pair) != 2:
            raise ValueError(f"`pair` names {len(self.pair)} things; a trail has two")


class Tree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A process that runs since boot; `name` is how actions call it."""

    name: str
    run: str
    parent: str = ""
    as_: str = msgspec.field(default="root", name="as")
    pid: int | None = None
    tty: str = ""


class Life(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that one operating system's guests can do."""

    boot: tuple[Tree, ...]
    habits: dict[str, Job]
    fillers: dict[str, Job]
    look_alikes: dict[str, Job]
    duties: dict[str, Story]
    attacks: dict[str, Story]
    trails: dict[str, Trail]
    pools: dict[str, tuple[str, ...]]
    images: dict[str, str]


class _Boot(msgspec.Struct, forbid_unknown_fields=True):
    process: tuple[Tree, ...]


class _Names(msgspec.Struct, forbid_unknown_fields=True):
    pools: dict[str, tuple[str, ...]]
    images: dict[str, str]


@functools.cache
def life(os: Os) -> Life:
    """What is written in `life/<os>/`, with its macros expanded."""
    folder = resources.files("rlstir_core.lab.life") / os
    macros = Macros(_joined(folder / "macros", Macro))
    names = _read(folder / "names.toml", _Names)
    return Life(
        boot=_read(folder / "boot.toml", _Boot).process,
        habits=_read(folder / "habits.toml", dict[str, Job], macros),
        fillers=_joined(folder / "fillers", Job, macros),
        look_alikes=_read(folder / "look_alikes.toml", dict[str, Job], macros),
        duties=_stories(folder / "duties", macros),
        attacks=_stories(folder / "attacks", macros),
        trails=_joined(folder / "trails", Trail, macros),
        pools=names.pools,
        images=names.images,
    )


def _stories(folder: Any, macros: Macros) -> dict[str, Story]:
    return {each.name.removesuffix(".toml"): _read(each, Story, macros) for each in _files(folder)}


def _joined(folder: Any, kind: Any, macros: Macros | None = None) -> dict[str, Any]:
    """The tables of all files of a folder, by their names."""
    found: dict[str, Any] = {}
    for each in _files(folder):
        more: dict[str, Any] = _read(each, dict[str, kind], macros)
        if twice := found.keys() & more.keys():
            raise ConfigError(f"{each.name} of the lab's life: {sorted(twice)[0]!r} is there twice; rename one")
        found |= more
    return found


def _files(folder: Any) -> list[Any]:
    return sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: str(each.name))


def _read(file: Any, kind: Any, macros: Macros | None = None) -> Any:
    try:
        raw: Any = tomllib.loads(file.read_text("utf-8"))
        return msgspec.convert(macros.expand(raw, file.name) if macros else raw, kind)
    except ConfigError:
        raise
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"{file.name} of the lab's life: {error}; see rlstir_core/lab/life/language.py") from None
