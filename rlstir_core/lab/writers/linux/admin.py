"""Becoming somebody else, jobs of cron, units and accounts: what sudo, su, cron, systemd and the shadow tools say.

What does not belong here: logins (`logins.py`) and the form of messages (`voices.py`).
"""

from __future__ import annotations

from rlstir_core.lab.machine.events import Account, GuestProcess, LoggedOn, OnAccount, OnService, OnTask, Sudoed
from rlstir_core.lab.writers.linux import numbers as no
from rlstir_core.lab.writers.linux.journal import AUTHPRIV, CRON, unit_name
from rlstir_core.lab.writers.linux.numbers import untrusted
from rlstir_core.lab.writers.linux.scene import comm_of, stable_hex, terminal
from rlstir_core.lab.writers.linux.voices import US, Voices

MS = 1_000_000


class Admin:
    """Writes administration to three logs at once."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self._open: dict[GuestProcess, tuple[str, Account]] = {}  # sudo, su and cron, with a PAM session
        self._tickets: set[int] = set()  # sessions in which sudo knows the password

    def su(self, event: LoggedOn) -> None:
        """Somebody becomes somebody else, or fails to."""
        who, account, t_ns = event.who, event.account, event.t_ns
        caller = who.session.account
        by = caller.name if who.session.kind != "service" else who.account.name
        tty = terminal(who.session.tty)
        where = "?", "?", f"/dev/{tty}" if tty else "?"
        self._voices.pam(t_ns, who, "USER_AUTH", "authentication", account, where, ok=event.ok)
        if not event.ok:
            text = f"authentication failure; logname={by} uid={caller.uid} euid=0 tty=/dev/{tty} ruser={by} rhost="
            self._voices.pam_line(t_ns, who, "su", f"{text}  user={account.name}", "auth", 5)
            self._voices.say(t_ns + 5 * US, who, f"FAILED SU (to {account.name}) {by} on {tty or 'none'}", AUTHPRIV, 5)
            return
        self._voices.pam(t_ns, who, "USER_ACCT", "accounting", account, where)
        self._voices.pam(t_ns + 2 * US, who, "CRED_ACQ", "setcred", account, where, uid=0)
        self._voices.pam(t_ns + 4 * US, who, "USER_START", "session_open", account, where, uid=0)
        self._voices.say(t_ns, who, f"(to {account.name}) {by} on {tty or 'none'}", AUTHPRIV, 5)
        opened = f"session opened for user {account.name}(uid={account.uid}) by {by}(uid={caller.uid})"
        self._voices.pam_line(t_ns + 6 * US, who, "su", opened)
        self._open[who] = "su", account

    def sudoed(self, event: Sudoed) -> None:
        """sudo runs a command, or refuses to."""
        who, asker, target, t_ns = event.who, event.account, event.target, event.t_ns
        tty = terminal(who.session.tty)
        where = "?", "?", f"/dev/{tty}" if tty else "?"
        cwd = who.cwd or "/"
        asked = who.session.id not in self._tickets and bool(tty)
        detail = f"PWD={cwd} ; USER={target.name} ; COMMAND={event.command}"
        detail = f"TTY={tty or 'unknown'} ; {detail}"
        cmd = (
            f"cwd={untrusted(cwd)} cmd={untrusted(event.command)} exe={untrusted(who.exe)} "
            f"terminal={tty or '?'} res={'success' if event.ok else 'failed'}"
        )
        if not event.ok:
            admin = asker.uid in (0, self._voices.scene.guest.users[0].uid)
            self._voices.pam(t_ns - 4 * US, who, "USER_AUTH", "authentication", asker, where, ok=False)
            text = f"authentication failure; logname={asker.name} uid={asker.uid} euid=0 tty=/dev/{tty or '?'} "
            self._voices.pam_line(t_ns, who, "sudo", f"{text}ruser={asker.name} rhost=  user={asker.name}", "auth", 5)
            why = "3 incorrect password attempts" if admin else "user NOT in sudoers"
            self._voices.user(t_ns, who, "USER_CMD", cmd)
            self._voices.say(t_ns + 2 * US, who, f"{asker.name:>8} : {why} ; {detail}", AUTHPRIV, 1)
            return
        if asked:
            self._tickets.add(who.session.id)
            self._voices.pam(t_ns - 4 * US, who, "USER_AUTH", "authentication", asker, where)
        self._voices.pam(t_ns - 2 * US, who, "USER_ACCT", "accounting", asker, where)
        self._voices.user(t_ns, who, "USER_CMD", cmd)
        self._voices.say(t_ns, who, f"{asker.name:>8} : {detail}", AUTHPRIV, 5)
        self._voices.pam(t_ns + 4 * US, who, "CRED_REFR", "setcred", target, where, uid=0)
        opened = f"session opened for user {target.name}(uid={target.uid}) by {asker.name}(uid={asker.uid})"
        self._voices.pam_line(t_ns + 6 * US, who, "sudo", opened)
        self._voices.pam(t_ns + 8 * US, who, "USER_START", "session_open", target, where, uid=0)
        self._open[who] = "sudo", target

    def task(self, event: OnTask) -> None:
        """cron runs a job, or somebody changes a crontab."""
        who, t_ns = event.who, event.t_ns
        user = event.account.name if event.account is not None else event.task
        if event.what != "ran":
            verb = {"created": "REPLACE", "changed": "REPLACE", "deleted": "DELETE"}[event.what]
            by = who.account.name
            self._voices.journal.say(t_ns, who, f"({by}) {verb} ({user})", identifier=who.name, facility=CRON)
            return
        account = event.account or Account(user, self._voices.scene.uid_of(user))
        where = "?", "?", "cron"
        self._voices.pam(t_ns - 8 * US, who, "USER_ACCT", "accounting", account, where, session=None)
        self._voices.pam(t_ns - 6 * US, who, "CRED_ACQ", "setcred", account, where, session=None)
        session = who.session
        if session.kind == "cron" and session.id >= 0:
            self._voices.login(t_ns - 4 * US, who, session)
        opened = f"session opened for user {account.name}(uid={account.uid}) by {account.name}(uid=0)"
        self._voices.say(t_ns - 2 * US, who, f"pam_unix(cron:session): {opened}", AUTHPRIV, identifier="CRON")
        self._voices.pam(t_ns, who, "USER_START", "session_open", account, where)
        self._voices.journal.say(t_ns, who, f"({user}) CMD ({event.command})", identifier="CRON", facility=CRON)
        self._open[who] = "cron", account

    def closed(self, who: GuestProcess, t_ns: int) -> None:
        """The session that PAM keeps for a process ends; nothing happens where there is none."""
        service, account = self._open.pop(who, ("", Account("")))
        if not service:
            return
        tty = terminal(who.session.tty)
        where = "?", "?", "cron" if service == "cron" else f"/dev/{tty}" if tty else "?"
        t_ns -= 60 * US
        identifier = "CRON" if service == "cron" else ""
        text = f"pam_unix({service}:session): session closed for user {account.name}"
        self._voices.say(t_ns, who, text, AUTHPRIV, identifier=identifier)
        self._voices.pam(t_ns, who, "USER_END", "session_close", account, where, uid=0)
        self._voices.pam(t_ns + 20 * US, who, "CRED_DISP", "setcred", account, where, uid=0)

    def account(self, event: OnAccount) -> None:
        """useradd, userdel, usermod and passwd."""
        who, target, t_ns = event.who, event.target, event.t_ns
        name, uid, tty = target.name, target.uid, terminal(who.session.tty)
        end = f"exe={untrusted(who.exe)} hostname=? addr=? terminal={tty or '?'} res=success"
        messages: list[str] = []
        if event.what == "created":
            self._voices.scene.learn(target)
            self._voices.user(t_ns - 40 * US, who, "ADD_GROUP", f"op=add-group id={uid} {end}", about=target)
            self._voices.user(t_ns, who, "ADD_USER", f"op=add-user id={uid} {end}", about=target)
            self._voices.user(t_ns + 30 * US, who, "USER_MGMT", f"op=add-home-dir id={uid} {end}", about=target)
            home = target.home or f"/home/{name}"
            source = f"/dev/{tty}" if tty else "none"
            messages = [
                f"new group: name={name}, GID={uid}",
                f"new user: name={name}, UID={uid}, GID={uid}, home={home}, shell=/bin/bash, from={source}",
            ]
        elif event.what == "deleted":
            self._voices.user(t_ns, who, "DEL_USER", f"op=delete-user id={uid} {end}", about=target)
            self._voices.user(t_ns + 20 * US, who, "DEL_GROUP", f"op=delete-group id={uid} {end}", about=target)
            messages = [
                f"delete user '{name}'",
                f"removed group '{name}' owned by '{name}'",
                f"removed shadow group '{name}' owned by '{name}'",
            ]
        elif event.what == "group":
            group = f"op=add-user-to-group grp={untrusted(event.group)} acct={untrusted(name)} {end}"
            self._voices.user(t_ns, who, "USER_MGMT", group)
            messages = [f"add '{name}' to group '{event.group}'", f"add '{name}' to shadow group '{event.group}'"]
        else:
            where = "?", "?", tty or "?"
            self._voices.pam(t_ns, who, "USER_CHAUTHTOK", "chauthtok", target, where)
            messages = [f"pam_unix({who.name}:chauthtok): password changed for {name}"]
        for at, text in enumerate(messages):
            self._voices.say(t_ns + at * 20 * US, who, text, AUTHPRIV, 5 if event.what == "password" else 6)

    # Units

    def service(self, event: OnService) -> None:
        """systemd starts or stops a unit, or a new one is made known to it."""
        unit = unit_name(event.service)
        title = f"{unit} - {event.title}" if event.title and event.title != event.service else unit
        init, t_ns = self._voices.init(), event.t_ns
        if event.what == "installed":
            by = event.who
            if by.pid != init.pid:
                where = f"session-{by.session.id}.scope" if by.session.kind != "service" else f"{by.name}.service"
                self._systemd(
                    t_ns, f"Reloading requested from client PID {by.pid} ('{by.name[:15]}') (unit {where})..."
                )
            self._systemd(t_ns + 40 * US, "Reloading...", unit="")
            return
        record, ok = "SERVICE_STOP", event.what != "failed"
        if event.what == "started":
            record = "SERVICE_START"
            self._systemd(t_ns - 20 * MS, f"Starting {title}...", no.STARTING, unit, "start", ("job.c", 581))
            self._systemd(t_ns, f"Started {title}.", no.STARTED, unit, "start", ("job.c", 768))
        elif event.what == "stopped":
            self._systemd(t_ns - 30 * MS, f"Stopping {title}...", no.STOPPING, unit, "stop", ("job.c", 581))
            self._systemd(t_ns - MS, f"{unit}: Deactivated successfully.", no.UNIT_DONE, unit, "", ("unit.c", 5929))
            self._systemd(t_ns, f"Stopped {title}.", no.STOPPED, unit, "stop", ("job.c", 768))
        else:
            text = f"{unit}: Main process exited, code=exited, status=1/FAILURE"
            self._systemd(t_ns - MS, text, no.PROCESS_EXITED, unit, "", ("unit.c", 6021), 5)
            text = f"{unit}: Failed with result 'exit-code'."
            self._systemd(t_ns, text, no.UNIT_FAILED, unit, "", ("unit.c", 5949), 4)
        short = unit.removesuffix(".service")
        text = f"unit={short} comm={untrusted(comm_of(init))} exe={untrusted(init.exe)} hostname=? addr=? terminal=? "
        self._voices.user(t_ns, init, record, f"{text}res={'success' if ok else 'failed'}")

    def _systemd(
        self,
        t_ns: int,
        text: str,
        message_id: str = "",
        unit: str = "",
        job: str = "",
        code: tuple[str, int] = ("manager.c", 1511),
        priority: int = 6,
    ) -> None:
        more: dict[str, object] = {"CODE_FILE": f"src/core/{code[0]}", "CODE_LINE": code[1], "TID": 1}
        if unit:
            more |= {"UNIT": unit, "INVOCATION_ID": stable_hex(unit, self._voices.scene.boot.boot_id)[:32]}
        if job:
            more |= {"JOB_TYPE": job, "JOB_ID": 100 + self._voices.scene.draw() % 90_000}
            more |= {"JOB_RESULT": "done"} if code[1] == 768 else {}
        if message_id:
            more["MESSAGE_ID"] = message_id
        init = self._voices.init()
        self._voices.journal.say(
            t_ns, init, text, identifier="systemd", priority=priority, transport="journal", more=more
        )
