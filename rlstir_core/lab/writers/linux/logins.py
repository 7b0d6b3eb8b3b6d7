"""Logins from elsewhere and at the console: what sshd, login, PAM and logind say, to audit, syslog and the journal.

What does not belong here: sudo, su, cron and accounts (`admin.py`), and the form of messages (`voices.py`).
"""

from __future__ import annotations

import base64

from rlstir_core.lab.machine.events import Account, GuestProcess, LoggedOff, LoggedOn, Session
from rlstir_core.lab.writers.linux.journal import AUTH, AUTHPRIV
from rlstir_core.lab.writers.linux.numbers import REMOVED_SESSION, untrusted
from rlstir_core.lab.writers.linux.scene import stable_hex, terminal
from rlstir_core.lab.writers.linux.voices import US, Voices, Where

MS = 1_000_000
_FAIL_DELAY_NS = 2_000 * MS  # pam_unix waits that long
_INVALID_USER = "(invalid user)"  # sshd does not tell audit a name that nobody has


class Logins:
    """Writes logins to three logs at once."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self._failed: dict[GuestProcess, list[LoggedOn]] = {}  # on a connection that is still open
        self._ports: dict[int, int] = {}  # of sessions

    def on(self, event: LoggedOn) -> None:
        """A login, or one that failed."""
        if event.src_ip or event.how in ("password", "publickey"):
            self._ssh(event)
        else:
            self._console(event)

    def off(self, event: LoggedOff) -> None:
        """A session ends."""
        who, session, t_ns = event.who, event.session, event.t_ns
        account, name = session.account, who.name
        service = name if name in ("login", "su") else "sshd"
        if service == "sshd":
            port = self._ports.get(session.id) or self._voices.scene.draw.between(32_768, 60_999)
            source = session.src_ip or self._voices.scene.guest.gateway
            self._voices.say(t_ns, who, f"Received disconnect from {source} port {port}:11: disconnected by user", AUTH)
            self._voices.say(t_ns + 30 * US, who, f"Disconnected from user {account.name} {source} port {port}", AUTH)
        self._voices.pam_line(t_ns + 60 * US, who, service, f"session closed for user {account.name}")
        where = self._where(service, session)
        self._voices.pam(t_ns, who, "USER_END", "session_close", account, where, session=session)
        self._voices.pam(t_ns + 90 * US, who, "CRED_DISP", "setcred", account, where, session=session)
        self._voices.logind(t_ns + 400 * US, f"Session {session.id} logged out. Waiting for processes to exit.")
        self._voices.logind(t_ns + 1_500 * US, f"Removed session {session.id}.", session, REMOVED_SESSION)

    def _ssh(self, event: LoggedOn) -> None:
        who, account, t_ns = event.who, event.account, event.t_ns
        source = f"from {event.src_ip} port {event.src_port}"
        where = event.src_ip, event.src_ip, "ssh"
        before = self._failed.get(who)
        if before and (before[0].src_port, before[0].src_ip) != (event.src_port, event.src_ip):
            self._hung_up(who, min(t_ns - MS, before[-1].t_ns + 300 * MS))
        if not event.ok:
            self._ssh_failed(event, source)
            return
        self._failed.pop(who, None)
        session = event.session or Session(
            self._voices.scene.draw.between(2, 9000), account, src_ip=event.src_ip, kind="ssh"
        )
        self._ports[session.id] = event.src_port
        if event.how == "publickey":
            fingerprint = (
                base64.b64encode(bytes.fromhex(stable_hex(account.name, event.src_ip, "key"))).decode().rstrip("=")
            )
            self._voices.say(
                t_ns, who, f"Accepted publickey for {account.name} {source} ssh2: ED25519 SHA256:{fingerprint}", AUTH
            )
        else:
            self._voices.pam(t_ns - 40 * US, who, "USER_AUTH", "authentication", account, where)
            self._voices.say(t_ns, who, f"Accepted password for {account.name} {source} ssh2", AUTH)
        self._voices.pam(t_ns, who, "USER_ACCT", "accounting", account, where)
        self._voices.pam(t_ns + 8 * US, who, "CRED_ACQ", "setcred", account, where)
        self._voices.login(t_ns + 12 * US, who, session)
        opened = f"session opened for user {account.name}(uid={account.uid}) by {account.name}(uid=0)"
        self._voices.pam_line(t_ns + 15 * US, who, "sshd", opened)
        self._voices.new_session(t_ns + 18 * US, session, who)
        self._voices.pam(t_ns + 20 * US, who, "USER_START", "session_open", account, where, session=session)
        tty = terminal(session.tty)
        self._voices.user(
            t_ns + 23 * US,
            who,
            "USER_LOGIN",
            f"op=login id={account.uid} exe={untrusted(who.exe)} hostname={event.src_ip} addr={event.src_ip} "
            f"terminal={f'/dev/{tty}' if tty else 'ssh'} res=success",
            session=session,
            about=account,
        )

    def _ssh_failed(self, event: LoggedOn, source: str) -> None:
        who, t_ns, name = event.who, event.t_ns, event.account.name
        tried = self._failed.setdefault(who, [])
        rhost = f"rhost={event.src_ip}"
        asked_ns = max(t_ns - _FAIL_DELAY_NS, self._voices.spoke.get(who, 0) + MS, who.started_ns + 20 * US)
        asked_ns = min(asked_ns, t_ns)
        if event.how == "password":
            if not event.known and not tried:
                self._voices.say(asked_ns, who, f"Invalid user {name} {source}", AUTH)
            if not event.known:
                self._voices.pam_line(asked_ns, who, "sshd", "check pass; user unknown", "auth", 5)
            known = f"  user={name}" if event.known else ""
            text = f"authentication failure; logname= uid=0 euid=0 tty=ssh ruser= {rhost}{known}"
            if not tried or not event.known:
                self._voices.pam_line(asked_ns, who, "sshd", text, "auth", 5)
            account = event.account if event.known else Account("?", 0)
            where = event.src_ip, event.src_ip, "ssh"
            self._voices.pam(t_ns, who, "USER_AUTH", "authentication", account, where, ok=False)
        invalid = "" if event.known else "invalid user "
        self._voices.say(t_ns, who, f"Failed {event.how} for {invalid}{name} {source} ssh2", AUTH)
        acct = untrusted(name if event.known else _INVALID_USER)
        self._voices.user(
            t_ns + 2 * US,
            who,
            "USER_LOGIN",
            f"op=login acct={acct} exe={untrusted(who.exe)} hostname=? addr={event.src_ip} terminal=sshd res=failed",
        )
        tried.append(event)

    def ended(self, who: GuestProcess, t_ns: int) -> None:
        """A process exits: a connection without a login is over."""
        if who in self._failed:
            self._hung_up(who, t_ns)

    def finish(self) -> None:
        """The connections that nobody saw end."""
        for who, tried in list(self._failed.items()):
            self._hung_up(who, tried[-1].t_ns + 300 * MS)

    def _hung_up(self, who: GuestProcess, t_ns: int) -> None:
        tried = self._failed.pop(who)
        last = tried[-1]
        t_ns = max(t_ns - 200 * US, last.t_ns + 1)
        kind = "authenticating" if last.known else "invalid"
        place = f"{last.src_ip} port {last.src_port}"
        if last.src_port % 3:
            self._voices.say(t_ns, who, f"Connection closed by {kind} user {last.account.name} {place} [preauth]", AUTH)
        else:
            self._voices.say(t_ns, who, f"Received disconnect from {place}:11: Bye Bye [preauth]", AUTH)
            text = f"Disconnected from {kind} user {last.account.name} {place} [preauth]"
            self._voices.say(t_ns + 20 * US, who, text, AUTH)
        if len(tried) > 1:
            known = f"  user={last.account.name}" if last.known else ""
            s = "s" if len(tried) > 2 else ""
            text = f"logname= uid=0 euid=0 tty=ssh ruser= rhost={last.src_ip}{known}"
            self._voices.say(
                t_ns + 50 * US, who, f"PAM {len(tried) - 1} more authentication failure{s}; {text}", AUTH, 5
            )

    def _console(self, event: LoggedOn) -> None:
        who, account, t_ns, session = event.who, event.account, event.t_ns, event.session
        service = who.name
        tty = terminal((session or who.session).tty) or "tty1"
        where = "?", "?", f"/dev/{tty}"
        known = account if event.known else Account("?", 0)
        self._voices.pam(t_ns, who, "USER_AUTH", "authentication", known, where, ok=event.ok)
        if not event.ok or session is None:
            text = f"authentication failure; logname=LOGIN uid=0 euid=0 tty=/dev/{tty} ruser= rhost="
            user = f"  user={account.name}" if event.known else ""
            self._voices.pam_line(t_ns, who, service, text + user, "auth", 5)
            why = "Authentication failure" if event.known else "User not known to the underlying authentication module"
            self._voices.say(
                t_ns + 9, who, f"FAILED LOGIN (1) on '/dev/{tty}' FOR '{account.name}', {why}", AUTHPRIV, 5
            )
            self._login_result(t_ns + 10, who, account if event.known else None, where[2], ok=False)
            return
        self._voices.pam(t_ns, who, "USER_ACCT", "accounting", account, where)
        self._voices.pam(t_ns + 8 * US, who, "CRED_ACQ", "setcred", account, where)
        self._voices.login(t_ns + 10 * US, who, session)
        opened = f"session opened for user {account.name}(uid={account.uid}) by {account.name}(uid=0)"
        self._voices.pam_line(t_ns + 12 * US, who, service, opened)
        self._voices.new_session(t_ns + 16 * US, session, who)
        self._voices.pam(t_ns + 18 * US, who, "USER_START", "session_open", account, where, session=session)
        self._login_result(t_ns + 20 * US, who, account, where[2], session=session)
        if service == "login":
            root = account.uid == 0
            text = f"ROOT LOGIN  on '/dev/{tty}'" if root else f"LOGIN ON {tty} BY {account.name}"
            self._voices.say(t_ns + 21 * US, who, text, AUTHPRIV, 5)

    def _login_result(
        self,
        t_ns: int,
        who: GuestProcess,
        account: Account | None,
        tty: str,
        *,
        ok: bool = True,
        session: Session | None = None,
    ) -> None:
        acct = f"id={account.uid}" if account is not None else f"acct={untrusted('UNKNOWN')}"
        result = "success" if ok else "failed"
        text = f"op=login {acct} exe={untrusted(who.exe)} hostname=? addr=? terminal={tty} res={result}"
        self._voices.user(t_ns, who, "USER_LOGIN", text, session=session, about=account)

    def _where(self, service: str, session: Session) -> Where:
        if service == "sshd":
            source = session.src_ip or self._voices.scene.guest.gateway
            return source, source, "ssh"
        return "?", "?", f"/dev/{terminal(session.tty) or 'tty1'}"
