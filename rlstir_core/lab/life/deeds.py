"""The verbs that one process does in a moment: files, registry, memory, network, services, accounts.

What does not belong here: verbs that start processes and logins (`starts.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlstir_core.lab.life.draws import draw, n_bytes
from rlstir_core.lab.life.language import LifeAction
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.agenda import NS, Acts
from rlstir_core.lab.machine.events import Account

if TYPE_CHECKING:
    from rlstir_core.lab.life.play import Player, Scope

_MOMENT = (0.001, 0.04)  # seconds that a deed takes


def on_file(player: Player, action: LifeAction, scope: Scope) -> Acts:
    """`read`, `write`, `create`, `delete`, `chmod` or `rename` of a path."""
    names, verb = scope.names, action.verb
    op: Any = "attributes" if verb == "chmod" else verb
    path, to = names.of(getattr(action, verb)), names.of(action.to)
    build = player.written(path, scope.rng) if action.fetched else ""
    player.machine.file(
        player.actor(action, scope),
        op,
        path,
        n_bytes(scope.rng, action.kb) if op in ("read", "write", "create") else 0,
        to=to,
        mode=action.mode if op == "attributes" else "",
        build=build,
    )
    if op == "rename":
        player.moved(path, to)
    yield draw(scope.rng, _MOMENT)


def registry(player: Player, action: LifeAction, scope: Scope) -> Acts:
    key = scope.names.of(action.registry or "")
    return _noted(player, action, scope, ev.OnRegistry, op="set", key=key, value=scope.names.of(action.text))


def unregister(player: Player, action: LifeAction, scope: Scope) -> Acts:
    return _noted(player, action, scope, ev.OnRegistry, op="delete", key=scope.names.of(action.unregister or ""))


def on_process(player: Player, action: LifeAction, scope: Scope) -> Acts:
    """`access`, `trace`, `signal` or `inject` of a process that lives; nothing where it does not."""
    verb = action.verb
    target = player.kept.get(getattr(action, verb))
    if target is not None and target.ended_ns < 0:
        op = "thread" if verb == "inject" else verb
        yield from _noted(player, action, scope, ev.OnProcess, op=op, target=target)


def load(player: Player, action: LifeAction, scope: Scope) -> Acts:
    path = scope.names.of(action.load or "")
    fields = {"path": path, "signed": not action.unsigned, "driver": path.endswith(".sys"), "build": player.build(path)}
    return _noted(player, action, scope, ev.Loaded, **fields)


def pipe(player: Player, action: LifeAction, scope: Scope) -> Acts:
    op = "create" if action.what == "created" else "connect"
    name = "\\" + scope.names.of(action.pipe or "").lstrip("\\")  # as Sysmon spells it
    return _noted(player, action, scope, ev.OnPipe, op=op, name=name)


def script(player: Player, action: LifeAction, scope: Scope) -> Acts:
    return _noted(player, action, scope, ev.RanScript, text=scope.names.of(action.script or ""))


def connect(player: Player, action: LifeAction, scope: Scope) -> Acts:
    rng, names = scope.rng, scope.names
    host, _, port = names.of(action.connect or "").rpartition(":")
    ip, took_s = names.address(host), draw(rng, (0.01, 0.4))
    player.machine.connect(
        player.actor(action, scope),
        ip,
        int(port),
        l4="udp" if action.udp else "tcp",
        name=host if action.asked and host != ip else "",
        sent=0 if action.failed else n_bytes(rng, action.up_kb),
        received=0 if action.failed else n_bytes(rng, action.down_kb),
        duration_ns=round(took_s * NS),
        failed=action.failed,
    )
    yield took_s


def accept(player: Player, action: LifeAction, scope: Scope) -> Acts:
    rng = scope.rng
    took_s = draw(rng, (0.005, 0.2))
    player.machine.accept(
        player.actor(action, scope),
        scope.names.of(action.accept or ""),
        action.port,
        sent=n_bytes(rng, action.up_kb),
        received=n_bytes(rng, action.down_kb),
        duration_ns=round(took_s * NS),
    )
    yield took_s


def query(player: Player, action: LifeAction, scope: Scope) -> Acts:
    name = scope.names.of(action.query or "")
    answer = "" if action.failed else scope.names.address(name)
    return _noted(player, action, scope, ev.Queried, name=name, answer=answer)


def service(player: Player, action: LifeAction, scope: Scope) -> Acts:
    names = scope.names
    name = names.of(action.service or "")
    player.note(
        ev.OnService,
        player.manager,
        what=action.what,
        service=name,
        exe=names.of(action.exe),
        title=names.of(action.text) or name,
    )
    yield draw(scope.rng, (0.01, 0.2))


def task(player: Player, action: LifeAction, scope: Scope) -> Acts:
    names = scope.names
    return _noted(
        player,
        action,
        scope,
        ev.OnTask,
        what=action.what,
        task=names.of(action.task or ""),
        command=names.of(action.text),
        account=player.account(action.as_ or "user", names),
    )


def account(player: Player, action: LifeAction, scope: Scope) -> Acts:
    target = player.account(scope.names.of(action.account or ""), scope.names)
    return _noted(player, action, scope, ev.OnAccount, what=action.what, target=target, group=action.group)


def clear(player: Player, action: LifeAction, scope: Scope) -> Acts:
    return _noted(player, action, scope, ev.Cleared, log=scope.names.of(action.clear or ""))


def say(player: Player, action: LifeAction, scope: Scope) -> Acts:
    names = scope.names
    return _noted(
        player,
        action,
        scope,
        ev.Wrote,
        text=names.of(action.say or ""),
        priority=action.priority,
        auth=action.auth,
        unit=action.unit,
        identifier=action.text,
        provider=action.provider,
        channel=action.channel,
        event_id=action.event_id,
        fields={key: names.of(value) for key, value in action.fields.items()},
    )


def end(player: Player, action: LifeAction, scope: Scope) -> Acts:
    found = player.kept.pop(action.end or "", None)
    if found is not None:
        player.machine.end(found)
        yield draw(scope.rng, _MOMENT)


def wait(player: Player, action: LifeAction, scope: Scope) -> Acts:
    assert action.wait is not None
    yield draw(scope.rng, action.wait)


def either(player: Player, action: LifeAction, scope: Scope) -> Acts:
    """One of several ways."""
    assert action.either is not None
    yield from player.play(player.way_of(action.either, scope.rng, scope.scenario).do, scope)


def _noted(player: Player, action: LifeAction, scope: Scope, kind: Any, **fields: Any) -> Acts:
    player.note(kind, player.actor(action, scope), **fields)
    yield draw(scope.rng, _MOMENT)


def made_up(name: str, os: str, domain: str, like: Account) -> Account:
    """An account that was not there at boot."""
    odd = sum(map(ord, name)) % 900
    if os == "windows":
        return Account(
            name, sid=f"{like.sid.rpartition('-')[0]}-{2000 + odd}", domain=domain, home=f"C:\\Users\\{name}"
        )
    return Account(name, 1010 + odd, home=f"/home/{name}")
