"""How programs on a guest speak: to audit by PAM and by themselves, to syslog, and logind to the journal.

What does not belong here: who says what when (`logins.py`, `admin.py`).
"""

from __future__ import annotations

from rlstir_core.lab.machine.events import Account, GuestProcess, Session
from rlstir_core.lab.writers.linux.audit import AuditLog
from rlstir_core.lab.writers.linux.journal import AUTH, AUTHPRIV, Journal
from rlstir_core.lab.writers.linux.numbers import NEW_SESSION, UNSET, untrusted
from rlstir_core.lab.writers.linux.scene import LinuxScene, stable_hex

US = 1_000
_LONG = (
    "pam_selinux,pam_loginuid,pam_keyinit,pam_permit,pam_umask,pam_unix,pam_systemd,pam_mail,pam_limits,pam_env,"
    "pam_env,pam_selinux"
)
_SHORT = "pam_limits,pam_env,pam_env,pam_permit,pam_umask,pam_unix"  # sessions of sudo, su and cron
_GRANTORS = {
    "authentication": "pam_permit,pam_cap",
    "accounting": "pam_permit",
    "setcred": "pam_permit,pam_cap",
    "session_open": _LONG,
    "session_close": _LONG,
    "chauthtok": "pam_permit",
}

Where = tuple[str, str, str]  # hostname, addr and terminal of a record


class Voices:
    """Writes one saying at a time to the logs where it belongs."""

    def __init__(self, scene: LinuxScene, audit: AuditLog, journal: Journal) -> None:
        self.scene, self.audit, self.journal = scene, audit, journal
        self.spoke: dict[GuestProcess, int] = {}  # when a process last wrote something
        self._agents: dict[str, GuestProcess] = {}

    def say(
        self, t_ns: int, who: GuestProcess, text: str, facility: int, priority: int = 6, identifier: str = ""
    ) -> None:
        """A line to syslog."""
        self.spoke[who] = t_ns
        self.journal.say(t_ns, who, text, identifier=identifier, facility=facility, priority=priority)

    def pam_line(
        self, t_ns: int, who: GuestProcess, service: str, text: str, kind: str = "session", priority: int = 6
    ) -> None:
        """What pam_unix says to syslog."""
        self.say(t_ns, who, f"pam_unix({service}:{kind}): {text}", AUTHPRIV, priority)

    def new_session(self, t_ns: int, session: Session, leader: GuestProcess) -> None:
        """logind notes a session, and systemd starts its scope."""
        name = session.account.name
        self.logind(t_ns, f"New session {session.id} of user {name}.", session, NEW_SESSION, leader.pid)
        init = self.init()
        unit = f"session-{session.id}.scope"
        text = f"Started {unit} - Session {session.id} of User {name}."
        self.journal.say(t_ns + 40 * US, init, text, identifier="systemd", transport="journal", more={"UNIT": unit})

    def logind(
        self, t_ns: int, text: str, session: Session | None = None, message_id: str = "", leader: int = 0
    ) -> None:
        """What logind says to the journal."""
        who = self.daemon("systemd-logind", "/usr/lib/systemd/systemd-logind", 0)
        more: dict[str, object] = {"CODE_FILE": "src/login/logind-session.c", "TID": who.pid}
        if session is not None:
            more |= {"MESSAGE_ID": message_id, "SESSION_ID": session.id, "USER_ID": session.account.name}
        if leader:
            more["LEADER"] = leader
        self.journal.say(t_ns, who, text, facility=AUTH, transport="journal", more=more)

    def init(self) -> GuestProcess:
        """The first process."""
        return self.daemon("systemd", "/usr/lib/systemd/systemd", 1)

    def daemon(self, name: str, exe: str, pid: int) -> GuestProcess:
        """A daemon that lives since boot, known from the recording or not."""
        found = self.scene.daemons.get(name) or self._agents.get(name)
        if found is None:
            root = self.scene.guest.root
            pid = pid or 600 + int(stable_hex(self.scene.guest.name, name)[:6], 16) % 300
            found = self._agents[name] = GuestProcess(
                pid=pid,
                parent=None,
                exe=exe,
                argv=(exe,),
                account=root,
                session=Session(UNSET, root, kind="service"),
                cwd="/",
                started_ns=self.scene.boot.boot_ns,
            )
        return found

    def pam(
        self,
        t_ns: int,
        who: GuestProcess,
        kind: str,
        op: str,
        account: Account,
        where: Where,
        *,
        ok: bool = True,
        session: Session | None = None,
        uid: int | None = None,
    ) -> None:
        """What PAM says to audit."""
        host, address, tty = where
        grantors = _GRANTORS[op] if ok else "?"
        if grantors == _LONG and who.name in ("sudo", "su", "cron"):
            grantors = _SHORT
        self.user(
            t_ns,
            who,
            kind,
            f"op=PAM:{op} grantors={grantors} acct={untrusted(account.name)} exe={untrusted(who.exe)} "
            f"hostname={host} addr={address} terminal={tty} res={'success' if ok else 'failed'}",
            session=session,
            uid=uid,
        )

    def user(
        self,
        t_ns: int,
        who: GuestProcess,
        kind: str,
        text: str,
        *,
        session: Session | None = None,
        uid: int | None = None,
        about: Account | None = None,
    ) -> None:
        """A record that a program sends, in its own session or in the one that it has just begun."""
        scene = self.scene
        auid, ses = (session.account.uid, session.id) if session is not None else scene.login_of(who)
        uid = who.account.uid if uid is None else uid
        names = ""
        if scene.guest.enriched:
            names = f'\x1dUID="{scene.name_of(uid)}" AUID="{scene.name_of(auid)}"'
            if about is not None and " id=" in text:
                names += f' ID="{scene.name_of(about.uid)}"'
        self.audit.add(
            t_ns,
            f"type={kind} msg=audit(\0): pid={who.pid} uid={uid} auid={auid} ses={ses} subj=unconfined "
            f"msg='{text}'{names}\n",
        )

    def login(self, t_ns: int, who: GuestProcess, session: Session) -> None:
        """The kernel notes a login uid that is set."""
        self.scene.log_in(who, session)
        uid, auid = who.account.uid, session.account.uid
        names = ""
        if self.scene.guest.enriched:
            name = self.scene.name_of
            names = f'\x1dUID="{name(uid)}" OLD-AUID="unset" AUID="{name(auid)}"'
        self.audit.add(
            t_ns,
            f"type=LOGIN msg=audit(\0): pid={who.pid} uid={uid} subj=unconfined old-auid={UNSET} auid={auid} "
            f"tty=(none) old-ses={UNSET} ses={session.id} res=1{names}\n{self.audit.login_call(t_ns, who)}",
        )
