"""A log row as text that a model may read: what happened in it, and nothing that names the lab or the label.

Identifiers become typed pieces (`<guid>`, `<hash>`, `<ip>`, `<num>` …), so that they neither eat the vocabulary nor
tell hosts apart; a user becomes its class and a host's name becomes `<host>`. Technique ids that stand in a text (a
lab's folders are named by them) become `<id>`. Of a row only the columns of `COLUMNS` are ever given: no label, no
tamper tag, no raw fields. What does not belong here: files of rows (`rows.py`) and pieces of words (`tokenizer.py`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from rlstir_core.hostlogs.schema import short_host

COLUMNS = ("channel", "event_id", "exe", "cmdline", "message", "user", "host", "host_said")
TYPED = (
    "<guid>", "<hash>", "<hex>", "<ip>", "<mac>", "<num>", "<time>", "<sid>", "<blob>", "<id>", "<host>",
    "<system>", "<service>", "<machine>", "<person>",
)  # fmt: skip
_CLASSES = frozenset(("<system>", "<service>", "<machine>", "<person>"))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CMDLINE_CHARS = 300
_MESSAGE_CHARS = 2_000
_VALUE_CHARS = 120
_SAYS_KIND_FIRST = ("sysmon", "evtx")
_KEPT_AT_MOST = 20_000
_NAMES_AT_MOST = 4_096  # of hosts and users of one episode

_SYSTEM = frozenset(
    [
        "system",
        "root",
        "0",
        "localsystem",
        "local_service",
        "network_service",
        "localservice",
        "networkservice",
        "local",
        "service",
    ]
)
_SERVICE = _words(
    """adm apache apt backup bin chrony daemon dbus dnsmasq ftp games git gnats irc jenkins list lp mail man
    messagebus mongodb mysql named news nginx nobody ntp polkitd postfix postgres proxy redis rpc sshd sync syslog
    systemd-network systemd-resolve systemd-timesync tcpdump tomcat uucp uuidd www www-data"""
)
_SERVICE_FORM = re.compile(
    r"(?:svc|srv|service)[_.-]|[_.-](?:svc|srv)$|^_|^nt service\b|^iis apppool\b|^(?:dwm|umfd)-\d"
)

# Keys of `key=value` words, in lower case.
_NEVER = _words(
    """rulename utctime commandline creationutctime previouscreationutctime subjectdomainname targetdomainname
    targetoutbounddomainname computer computername logonguid processguid parentprocessguid sourceprocessguid
    targetprocessguid terminalsessionid calltrace hashes hash cwd currentdirectory cmd comm exe image
    newprocessname fileversion product sourceport sourceportname ipport user tags rule ruleid ruletitle"""
)
_IS_HOST = re.compile(r"hostname|host$|workstation|computer|servername|machinename|clientname")
_IS_USER = re.compile(r"user$|username|accountname|^acct$|^account$|^user|^old-?user|membername|^runas")
# Numbers of few values, which say what kind of event it is.
_TELLING = re.compile(
    r"port$|logontype|grantedaccess|status|failurereason|encryptiontype|ticketoptions|integritylevel|mandatorylabel|"
    r"accessmask|^res$|^exit$|elevationtype|keylength|eventtype|^signed$|^a[0-3]$|syscall|family"
)
_EPHEMERAL = re.compile(r"(?:3[2-9]|[4-9]\d)\d{3,}")  # a port that a connection was given

_TYPES = re.compile(
    r"""
      (?P<rule>rulename\s*[:=][\s_]*.*?(?=[\s_]utctime|\s\S+=|$))
    | (?P<guid>\{?(?<![0-9a-z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-z])\}?)
    | (?P<sid>(?<![0-9a-z])s-1-\d+(?:-\d+)+)
    | (?P<time>(?<![0-9])(?:19|20)\d\d[-/]\d\d?[-/]\d\d?(?:[t_\s]\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?
            | (?<![0-9:])\d\d?:\d\d:\d\d(?:[.,]\d+)?(?![0-9:]))
    | (?P<mac>(?<![0-9a-z:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![0-9a-z:]))
    | (?P<ip>(?:::ffff:)?(?<![0-9.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9])
            | (?<![0-9a-z:.])(?=[0-9a-f:]*:[0-9a-f:]*:)(?=[:]*[0-9a-f])
              [0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![0-9a-z:]))
    | (?P<id>(?<![0-9a-z])t\d{4}(?:[._]\d{3})?(?![0-9a-z]) | (?<![0-9a-z])ta00\d\d(?![0-9a-z]))
    | (?P<hash>(?<![0-9a-z])[0-9a-f]{24,}(?![0-9a-z]))
    | (?P<hex>(?<![0-9a-z])0x[0-9a-f]+ | (?<![0-9a-z])(?=[0-9a-f]*\d)(?=[0-9]*[a-f])[0-9a-f]{8,23}(?![0-9a-z]))
    | (?P<blob>(?<![0-9a-z+/])[0-9a-z+/]{48,}={0,2})
    | (?P<num>\d+(?:\.\d+)+ | \d{4,} | (?<![0-9a-z])\d+(?![a-z]))
    """,
    re.VERBOSE,
)
_MAY_HOLD_TYPES = re.compile(r"[0-9:-]|rulename|[a-z+/]{24}")  # every type has one of these
_HOME = re.compile(r"((?:[\\/]users|[\\/]home|documents and settings)[\\/]+)([^\\/\s,;\"']{1,64})")
_NOBODYS_HOME = frozenset(("public", "default", "all users", "default user"))
_WORD = re.compile(r"[^\W_](?:[\w.$-]*[\w$])?")
_KEY = re.compile(r"[\w.-]{1,48}")
_SPACES = re.compile(r"\s+")


class HiddenNames:
    """The names that must not be said of one episode: hosts by whatever spelling, and users by their class."""

    def __init__(self, hosts: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self.kept: dict[str, str] = {}  # short texts that were cleaned by these names
        self._says: dict[str, str] = {}
        self._domains: set[str] = set()  # what else stands in them is a host of the lab as well
        for user in users:
            name = user.rpartition("\\")[2].partition("@")[0].strip().lower()
            says = user_class(user)
            # the names of system accounts are words of the language, and the same everywhere
            if len(name) > 1 and not name.isdecimal() and says not in ("", "<system>") and name not in _SERVICE:
                self._put(name, says)
        for host in hosts:
            for spelling in (host.strip().lower(), short_host(host)):
                if len(spelling) > 1:
                    self._put(spelling, "<host>")
                    self._put(f"{spelling}$", "<machine>")
            domain = host.strip().lower().partition(".")[2]
            if domain and not domain.replace(".", "").isdigit() and len(self._domains) < _NAMES_AT_MOST:
                self._domains.add(domain)

    def _put(self, name: str, says: str) -> None:
        if len(self._says) < _NAMES_AT_MOST:
            self._says[name] = says

    def hidden(self, text: str) -> str:
        """The text, in lower case, with every name replaced."""
        return _WORD.sub(self._replace, text) if self._says else text

    def _replace(self, found: re.Match[str]) -> str:
        word = found[0]
        says = self._says.get(word)
        if says is not None:
            return says
        first, dot, domain = word.partition(".")  # `dc01.lab.local`
        if dot and (self._says.get(first) == "<host>" or domain in self._domains or word in self._domains):
            return "<host>"
        head, low, tail = word.partition("_")
        if low and (head in self._says or tail in self._says):  # words of a message are joined by it
            return f"{self._says.get(head, head)}_{_WORD.sub(self._replace, tail)}"
        return word


def user_class(user: str) -> str:
    """`<system>`, `<service>`, `<machine>` or `<person>`; empty where no user is named."""
    name = user.strip().lower()
    own = name.rpartition("\\")[2].partition("@")[0]
    if own in ("", "-", "(null)", "unknown", "?"):
        return ""
    if own in _SYSTEM or name.startswith(("nt authority\\", "nt-autorität\\", "autorite nt\\")):
        return "<system>"
    if own.endswith("$"):
        return "<machine>"
    return "<service>" if own in _SERVICE or _SERVICE_FORM.search(own) or _SERVICE_FORM.search(name) else "<person>"


def record_text(row: dict[str, str], names: HiddenNames) -> str:
    """`channel:event program user-class command line | message`, in lower case, with typed pieces.

    `row` has the columns of `COLUMNS`; the program is the last part of its path. The command line comes first, since a
    long row is cut at its end, and is not said twice.
    """
    exe = row["exe"].lower()[-_VALUE_CHARS:].rpartition("/" if "/" in row["exe"] else "\\")[2]
    head = f"{row['channel']}:{row['event_id'].lower()}" if len(row["event_id"]) <= 24 else row["channel"]
    message = row["message"][:_MESSAGE_CHARS].lower()
    if row["channel"] in _SAYS_KIND_FIRST:  # provider and event, which are said already
        message = message.partition(" ")[2].partition(" ")[2]
    elif row["event_id"]:
        message = message.removeprefix(f"{row['event_id'].lower()} ")
    command = row["cmdline"][:_CMDLINE_CHARS].lower()
    if len(command) > 1:
        message = message.replace(command, " ")
    parts = [head, cleaned(exe, names), user_class(row["user"]), cleaned(command, names)]
    if said := _message(message, names):
        parts += ["|", said]
    return _SPACES.sub(" ", " ".join(part for part in parts if part)).strip()


def process_text(exe: str, cmdline: str, user: str, names: HiddenNames) -> str:
    """`program user-class command line` of a process, as in `record_text`."""
    program = exe.lower()[-_VALUE_CHARS:].rpartition("/" if "/" in exe else "\\")[2]
    parts = [cleaned(program, names), user_class(user), cleaned(cmdline[:_CMDLINE_CHARS].lower(), names)]
    return _SPACES.sub(" ", " ".join(part for part in parts if part)).strip()


def _message(lower: str, names: HiddenNames) -> str:
    """The words of a message in lower case; of `key=value` what the value says, beside its key."""
    if "rulename" in lower:
        lower = _TYPES.sub(lambda found: "" if found["rule"] is not None else found[0], lower)
    words, plain = [], []
    for word in lower.split():
        key, keyed, value = word.partition("=")
        if not keyed or not (kind := _key_kind(key)):
            plain.append(word)
            continue
        if plain:
            words.append(cleaned(" ".join(plain), names))
            plain = []
        words.append(_value(key, kind, value[:_VALUE_CHARS], names))
    if plain:
        words.append(cleaned(" ".join(plain), names))
    return " ".join(word for word in words if word)


@functools.lru_cache(maxsize=8_192)
def _key_kind(key: str) -> str:
    """What the value of a key is: `never` said, `host`, `user`, `telling`, or `any`; empty where it is no key."""
    if _KEY.fullmatch(key) is None:
        return ""
    if key in _NEVER:
        return "never"
    if _IS_HOST.search(key):
        return "host"
    if _IS_USER.search(key) and not key.endswith(("sid", "id")):
        return "user"
    return "telling" if _TELLING.search(key) else "any"


def _value(key: str, kind: str, value: str, names: HiddenNames) -> str:
    if kind == "never" or value in ("", "-", "?", "(null)", "unset"):
        return ""
    if kind == "host":
        return f"{key} <host>"
    if kind == "user":
        # in a message an underscore is a space, or part of a name such as `svc_backup`
        says = user_class(value.replace("_", " "))
        says = user_class(value) if says == "<person>" else says
        return f"{key} {says}" if says else ""
    if kind == "telling" and len(value) <= 16 and value.isascii() and not _EPHEMERAL.fullmatch(value):
        return f"{key} {value}"
    said = cleaned(value.replace("_", " "), names)
    # what is an identifier and nothing else tells no more than the kind of event does
    return "" if not said or (said in TYPED and said not in _CLASSES and said != "<ip>") else f"{key} {said}"


def cleaned(text: str, names: HiddenNames) -> str:
    """Text in lower case with its names hidden and its identifiers typed."""
    said = names.kept.get(text)
    if said is None:
        said = names.hidden(text)
        if "\\" in said or "/" in said:
            said = _HOME.sub(_home, said)
        if _MAY_HOLD_TYPES.search(said) is not None:
            said = _TYPES.sub(_type, said)
        if len(text) <= _VALUE_CHARS and len(names.kept) < _KEPT_AT_MOST:
            names.kept[text] = said
    return said


def _home(found: re.Match[str]) -> str:
    owner = found[2]
    if owner in _NOBODYS_HOME or owner in _CLASSES:
        return found[0]
    return f"{found[1]}{user_class(owner) or '<person>'}"


def _type(found: re.Match[str]) -> str:
    kind = found.lastgroup
    return "" if kind == "rule" else f"<{kind}>"
