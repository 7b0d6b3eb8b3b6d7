"""The verbs that start processes: commands, sudo, scheduled work, logins.

What does not belong here: what a process does in a moment (`deeds.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rlstir_core.lab.life.draws import draw, n_bytes
from rlstir_core.lab.life.language import LifeAction
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.agenda import Acts
from rlstir_core.lab.machine.events import GuestProcess, Session

if TYPE_CHECKING:
    from rlstir_core.lab.life.play import Player, Scope

_SSHD = ("/usr/sbin/sshd", ("/usr/sbin/sshd", "-D", "-R"))
_HOW: dict[str, Any] = {"rdp": "rdp", "console": "console", "service": "service"}


def run(player: Player, action: LifeAction, scope: Scope) -> Acts:
    return _live(player, action, scope, scope.names.of(action.run or ""), player.named(action.under, scope))


def sudo(player: Player, action: LifeAction, scope: Scope) -> Acts:
    machine, command = player.machine, scope.names.of(action.sudo or "")
    asker = player.actor(action, scope)
    exe, argv = player.command(command)
    gate = machine.start(asker, "/usr/bin/sudo", ("sudo", *argv))
    yield draw(scope.rng, (0.01, 0.1))
    player.note(
        ev.Sudoed,
        gate,
        account=asker.account,
        target=machine.guest.root,
        command=" ".join((exe, *argv[1:])),
        ok=not action.failed,
    )
    if not action.failed:
        yield from _live(player, action, scope, command, gate, account=machine.guest.root)
    machine.end(gate, int(action.failed))


def cron(player: Player, action: LifeAction, scope: Scope) -> Acts:
    """Scheduled work: what cron starts in a shell, or what the task scheduler starts as it is."""
    machine, command = player.machine, scope.names.of(action.cron or "")
    account = player.account(action.as_ or "root", scope.names)
    if machine.guest.os == "windows":
        scheduler = player.kept["scheduler"]
        task = scope.names.of(action.to)
        player.note(ev.OnTask, scheduler, what="ran", task=task, command=command, account=account)
        yield from _live(player, action, scope, command, scheduler, account=account)
        return
    child = machine.start(player.kept["cron"], "/usr/sbin/cron", ("/usr/sbin/CRON", "-f"))
    child.session = Session(machine.new_session(), account, kind="cron")
    player.note(ev.OnTask, child, what="ran", task=account.name, command=command, account=account)
    shell = machine.start(child, "/usr/bin/dash", ("/bin/sh", "-c", command), account=account, cwd=account.home)
    yield draw(scope.rng, (0.004, 0.05))
    yield from _live(player, action, scope, command, shell)
    machine.end(shell)
    machine.end(child)


def session(player: Player, action: LifeAction, scope: Scope) -> Acts:
    """A login that works, and what is done in it."""
    if action.session == "ssh":
        return _ssh(player, action, scope)
    return _windows_session(player, action, scope)


def _ssh(player: Player, action: LifeAction, scope: Scope) -> Acts:
    machine, rng = player.machine, scope.rng
    account = player.account(action.as_ or "user", scope.names)
    source = scope.names.of(action.from_ or "{peer}")
    child = machine.start(player.kept["sshd"], *_SSHD)
    machine.accept(child, source, 22, sent=n_bytes(rng, action.up_kb), received=n_bytes(rng, action.down_kb))
    yield draw(rng, (0.1, 0.8))
    how: Any = "password" if scope.names.of(action.how) == "password" else "publickey"
    session = machine.log_on(child, account, how, src_ip=source, tty=f"pts{child.number % 7}")
    shell = machine.start(child, "/usr/bin/bash", ("-bash",), account=account, session=session, cwd=account.home)
    yield from _inside(player, action, scope, shell)
    if not action.keep and session is not None:
        machine.end(shell)
        machine.log_off(child, session)
        machine.end(child)


def _windows_session(player: Player, action: LifeAction, scope: Scope) -> Acts:
    machine, rng = player.machine, scope.rng
    account = player.account(action.as_ or "user", scope.names)
    source = scope.names.of(action.from_ or "{peer}")
    how = _HOW.get(scope.names.of(action.session or ""), "network")
    local = how in ("console", "service")
    session = machine.log_on(player.kept["lsass"], account, how, src_ip="" if local else source)
    yield draw(rng, (0.05, 0.5))
    if how == "network":
        machine.accept(player.kept["system"], source, 445, sent=n_bytes(rng, action.up_kb))
        shell = player.named(action.under, scope)
    else:
        parent = player.kept["services" if how == "service" else "winlogon"]
        exe, argv = player.command("svchost.exe -k netsvcs -p" if how == "service" else "userinit.exe")
        shell = machine.start(parent, exe, argv, account=account, session=session, cwd=f"{account.home}\\")
    yield from _inside(player, action, scope, shell)
    if not action.keep and session is not None:
        if how != "network":
            machine.end(shell)
        machine.log_off(player.kept["lsass"], session)


def _inside(player: Player, action: LifeAction, scope: Scope, shell: GuestProcess) -> Acts:
    if action.keep:
        player.kept[action.keep] = shell
    yield draw(scope.rng, (0.05, 0.4))
    yield from player.play(action.does, replace(scope, me=shell))
    if not action.keep:
        yield draw(scope.rng, action.secs)


def attempt(player: Player, action: LifeAction, scope: Scope) -> Acts:
    """A login that fails."""
    names, machine, rng = scope.names, player.machine, scope.rng
    source = names.of(action.from_ or "{peer}")
    account = player.account(action.as_ or "user", names)
    if action.attempt == "ssh":
        child = machine.start(player.kept["sshd"], *_SSHD)
        machine.accept(child, source, 22, sent=n_bytes(rng, (0.8, 2)), received=n_bytes(rng, (0.8, 2)))
        yield draw(rng, (0.05, 0.4))
        machine.log_on(child, account, "password", ok=False, known=action.known, src_ip=source)
        yield draw(rng, (0.02, 0.3))
        machine.end(child, 255)
        return
    how = _HOW.get(names.of(action.attempt or ""), "network")
    machine.log_on(
        player.kept["lsass"],
        account,
        how,
        ok=False,
        known=action.known,
        src_ip="" if how == "console" else source,
    )
    yield draw(rng, (0.01, 0.1))


def _live(
    player: Player,
    action: LifeAction,
    scope: Scope,
    command: str,
    parent: GuestProcess,
    account: ev.Account | None = None,
) -> Acts:
    """A process from its start, through what it does, to its end."""
    exe, argv = player.command(command)
    if action.as_ and account is None:
        account = player.account(action.as_, scope.names)
    made = player.machine.start(parent, exe, argv, account=account, build=player.build(exe))
    if action.keep:
        player.kept[action.keep] = made
    yield draw(scope.rng, (0.004, 0.06))
    yield from player.play(action.does, replace(scope, me=made))
    if not action.keep:
        yield draw(scope.rng, action.secs)
        player.machine.end(made, int(action.failed))
