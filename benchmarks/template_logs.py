"""Synthetic logs in the styles of many systems, with known templates, and the scores that template finders get.

A style is a header and some templates; `{name}` stands for a value of a kind. Every style has templates that differ
in one word, templates seen once, and words that vary. What does not belong here: finding templates.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


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
    templates: tuple[str, ...]


STYLES: dict[str, Style] = {
    "blocks": Style(
        "{d6} {t6} {pid} {LEVEL} dfs.{comp}: ",
        "<Date> <Time> <Pid> <Level> <Component>: <Content>",
        (
            "Storing block blk_{neg} src: /{ip}:{port} dest: /{ip}:{port}",
            "Stored block blk_{neg} of size {n} from /{ip}",
            "Responder {small} for block blk_{neg} ending",
            "Responder {small} for block blk_{neg} interrupted",
            "NODE* Names.addBlock: map updated: {ip}:{port} is added to blk_{neg} size {n}",
            "NODE* Names.delete: blk_{neg} is added to invalid set of {ip}:{port}",
            "NODE* ask {ip}:{port} to copy blk_{neg} to node(s) {ips}"
            "|NODE* ask <*>:<*> to copy blk_<*> to node(s) <*>:<*>",
            "Removing block blk_{neg} file {path}",
            "Check succeeded for blk_{neg}",
            "{ip}:{port} served block blk_{neg} to /{ip}",
            "{ip}:{port}:Got exception while serving blk_{neg} to /{ip}:",
        ),
    ),
    "jobs": Style(
        "{iso},{ms} {LEVEL} [{thread}] org.acme.v2.app.{comp}: ",
        r"<Date> <Time> <Level> \[<Process>\] <Component>: <Content>",
        (
            "Created master for application appattempt_{n}_0001_000001|Created master for application appattempt_<*>",
            "attempt_{job} Attempt moved from NEW to UNASSIGNED",
            "attempt_{job} Attempt moved from UNASSIGNED to ASSIGNED",
            "attempt_{job} Attempt moved from ASSIGNED to RUNNING",
            "attempt_{job} Attempt moved from RUNNING to SUCCEEDED",
            "task_{job} Task moved from NEW to SCHEDULED",
            "task_{job} Task moved from SCHEDULED to RUNNING",
            "Progress of attempt_{job} is : {f}",
            "Assigned container container_{job} to attempt_{job}",
            "Using callQueue class {java}",
            "Adding #{small} tokens and #{small} secret keys for use in launching container",
            "Address change detected. Old: {word}/{ip}:{port} New: {word}:{port}",
            "Kind: JobToken, Service: job_{n}, Ident: ({class})",
            "Task cleanup failed for attempt attempt_{job}",
            "Default file system [hdfs://{word}:9000]|Default file system [<*>]",
            "Instantiated {class} at {path}",
            "Putting shuffle token in serviceData",
            "Upper limit on the thread pool size is {n}",
            "reduceResourceRequest: <memory:{n}, vCores:{small}>",
            "Before Scheduling: PendingReds:{small} ScheduledMaps:{small} AssignedMaps:{small} HostLocal:{small}",
            "Retrying connect to server: {host}:{port}. Already tried {small} time(s); maxRetries={n}",
            "DFSOutputStream ResponseProcessor exception for block {long}:blk_{n}_{n}"
            "|DFSOutputStream ResponseProcessor exception for block <*>:blk_<*>",
        ),
    ),
    "memory": Style(
        "{slash} {time} {LEVEL} {short}.{comp}: ",
        "<Date> <Time> <Level> <Component>: <Content>",
        (
            "Block cast_{n} stored as values in memory (estimated size {size}, free {size})",
            "Block cast_{n} stored as bytes in memory (estimated size {size}, free {size})",
            "Found block rdd_{n}_{n} locally|Found block rdd_<*> locally",
            "Finished task {f} in stage {f} (TID {n}). {n} bytes result sent to driver",
            "Running task {f} in stage {f} (TID {n})",
            "Got assigned task {n}",
            "Started reading broadcast variable {n}",
            "Reading broadcast variable {n} took {n} ms",
            "Input split: hdfs://{ip}:9000/{word}/part+{n}:{n}+{n}|Input split: <*>",
            "Changing view acls to: {user},{user}|Changing view acls to: <*>",
            "Registered signal handlers for [TERM, HUP, INT]",
            "Successfully registered with driver",
            "Partition rdd_{n}_{n} not found, computing it|Partition rdd_<*> not found, computing it",
            "Saved output of task 'attempt_{job}' to {path}|Saved output of task 'attempt_<*>' to <*>",
            "Times: total = {n}, boot = {neg}, init = {n}, finish = {n}",
            "MemoryStore started with capacity {size}",
            "Created local directory at {path}",
        ),
    ),
    "quorum": Style(
        "{iso},{ms} - {LEVEL}  [{nested}] - ",
        r"<Date> <Time> - <Level>  \[<Node>:<Component>@<Id>\] - <Content>",
        (
            "Accepted socket from /{ip}:{port}",
            "Closed socket for client /{ip}:{port} which had sessionid {hex}",
            "Closed socket for client /{ip}:{port} (no session established for client)",
            "Established session {hex} with timeout {n} for client /{ip}:{port}",
            "Expiring session {hex}, timeout of {n}ms exceeded",
            "Received connection request /{ip}:{port}",
            "Notification time out: {n}",
            "Connection broken for id {n}, my id = {small}, error =",
            "Interrupting SendWorker",
            "Send worker leaving thread",
            "caught end of stream exception",
            "Got exception when processing sessionid:{hex} type:create cxid:{hex} zxid:{hex} Error Path:{path} Error:x",
            "FOLLOWING",
            "LOOKING",
            "Have smaller server identifier, so dropping the connection: ({small}, {small})",
            "My election bind port: /{ip}:3888|My election bind port: /<*>:<*>",
        ),
    ),
    "cloud": Style(
        "api.log.1.{isoday} {iso}.{ms} {pid} {LEVEL} nova.{dotted} [req-{uuid} {long} - - -] ",
        r"<Log> <Date> <Time> <Pid> <Level> <Component> \[<ADDR>\] <Content>",
        (
            '{ip} "GET {path} HTTP/1.1" status: {n} len: {n} time: {f}',
            '{ip} "POST {path} HTTP/1.1" status: {n} len: {n} time: {f}',
            "[instance: {uuid}] VM Started (Lifecycle Event)",
            "[instance: {uuid}] VM Stopped (Lifecycle Event)",
            "[instance: {uuid}] VM Paused (Lifecycle Event)",
            "[instance: {uuid}] Creating image",
            "[instance: {uuid}] Took {f} seconds to build instance.",
            "[instance: {uuid}] Took {f} seconds to spawn the instance on the hypervisor.",
            "[instance: {uuid}] Total memory: {n} MB, used: {f} MB",
            "[instance: {uuid}] memory limit: {f} MB, free: {f} MB",
            "image {uuid} at ({path}): checking",
            "image {uuid} at ({path}): in use: on this node {small} local, {small} on other nodes",
            "Active base files: {path}",
            "Removable base files: {path} {path}",
            "Creating event network-vif-plugged:{uuid} for instance {uuid}",
            "HTTP exception thrown: No instances found for any event",
            "Total usable vcpus: {n}, total allocated vcpus: {n}",
            "Auditing locally available compute resources for node {word}",
        ),
    ),
    "supercomputer": Style(
        "- {epoch} {dot} R{n2}-M{small}-N{small} {isodash} R{n2}-M{small}-N{small} RAS {unit} {LEVEL} ",
        "<Label> <Timestamp> <Date> <Node> <Time> <NodeRepeat> <Type> <Component> <Level> <Content>",
        (
            "instruction cache parity error corrected",
            "data cache parity error corrected",
            "generating core.{n}",
            "{n} double alignment exceptions",
            "{n} floating point alignment exceptions",
            "CE sym {n}, at {hex}, mask {hex}",
            "total of {n} ddr error(s) detected and corrected",
            "ciod: failed to read message prefix on control stream (Stream socket to {ip}:{port}",
            "ciod: Error loading {path}: invalid or missing program image, No such file or directory",
            "ciod: Error loading {path}: program image too big, {n} > {n}",
            "ciod: LOGIN chdir({path}) failed: No such file or directory",
            "iar {hash} dear {hash}",
            "data TLB error interrupt",
            "machine check: i-fetch......................{small}",
            "rts: kernel terminated for reason {n}",
            "rts panic! - stopping execution",
            "program interrupt: illegal instruction......{small}",
            "program interrupt: trap instruction.........{small}",
            "exception syndrome register: {hex}",
            "machine state register: {hex}",
            "L{small} major internal error",
            "NodeCard is not fully functional",
            "core configuration register: {hex}",
        ),
    ),
    "columns": Style(
        "{n} node-{n} unix.hw {state} {epoch} 1 ",
        "<LogId> <Node> <Component> <State> <Time> <Flag> <Content>",
        (
            r"Component State Change: Component \042{eth}\042 is in the unavailable state (HWID={n})",
            r"Component State Change: Component \042{eth}\042 is in the active state (HWID={n})",
            "boot (command {n})",
            "shutdown (command {n})",
            "Link error on broadcast tree Interconnect-{n}",
            "Link ok",
            "psu failure ambient={n}",
            "ambient={n} threshold exceeded",
            "Fan speeds ( {n} {n} {n} {n} )|Fan speeds ( <*> )",
            "Targeting domains:node-D{small} and nodes:node-[{n}-{n}] child of command {n}"
            "|Targeting domains:node-<*> and nodes:node-[<*>-<*>] child of command <*>",
            "risBoot command {word} ERROR",
            "ServerFS: domain {word} has panicked on storage{n}",
            "node node-{n} has detected an available network connection on network {ip} via interface {eth}",
        ),
    ),
    "cluster": Style(
        "- {epoch} {dot} {word} {mon} 9 {time} {word}/{word} {proc}: ",
        r"<Label> <Timestamp> <Date> <User> <Month> <Day> <Time> <Location> <Component>(\[<PID>\])?: <Content>",
        (
            "session opened for user {user} by (uid={n})",
            "session closed for user {user}",
            "({user}) CMD (run-parts {path})",
            "({user}) CMD ({path} {n} {n})",
            "check pass; user unknown",
            "synchronized to {ip}, stratum {small}",
            "{hash}: {n} bytes from {host}",
            "connect from {host} ({ip})",
            "DHCPDISCOVER from {mac} via {eth}",
            "DHCPACK on {ip} to {mac} via {eth}",
            "Did not receive identification string from {ip}",
            "data_thread() got no answer from any [{word} {word}] datasource"
            "|data_thread() got no answer from any [<*>] datasource",
            "TSC: no such device {dev}",
            "ACPI: power resource {dev} is on",
            "lost {n} packets on {eth}",
            "restart.",
        ),
    ),
    "servicing": Style(
        "{isospace}, {Level}                  CBS    ",
        "<Date> <Time>, <Level>                  <Component>    <Content>",
        (
            "Loaded Servicing Stack v{n}.{n}.7601.{n} with Core: {win}|Loaded Servicing Stack v<*> with Core: <*>",
            "Session: {n}_{n} initialized by client WindowsUpdateAgent.",
            "Session: {n}_{n} initialized by client Sparse.|Session: <*> initialized by client Sparse.",
            "Read out cached package applicability for package: Package_for_KB{n}~31bf~amd64~~6.1.1.{small}, "
            "ApplicableState: {n}, CurrentState:{n}"
            "|Read out cached package applicability for package: Package_for_<*>, ApplicableState: <*>, "
            "CurrentState:<*>",
            "Warning: Unrecognized packageExtended attribute.",
            "Expecting attribute name [HRESULT = {hex} - CBS_E_MANIFEST_INVALID_ITEM]",
            "Failed to get next element [HRESULT = {hex} - CBS_E_MANIFEST_INVALID_ITEM]",
            "Starting TrustedInstaller initialization.",
            "Ending TrustedInstaller initialization.",
            "Starting TrustedInstaller finalization.",
            "Ending TrustedInstaller finalization.",
            "TrustedInstaller service starts successfully.",
            "SQM: Initializing online with Windows opt-in: {Bool}",
            "SQM: Cleaning up report files older than {n} days.",
            "SQM: Queued {n} file(s) for upload with pattern: {win}, flags: {hex}",
            "NonStart: Checking to ensure startup processing was not required.",
            "Reboot mark refs incremented to: {n}",
            "Reboot mark refs: {n}",
        ),
    ),
    "syslog": Style(
        "{mon} 14 {time} combo {proc}: ",
        r"<Month> <Date> <Time> <Level> <Component>(\[<PID>\])?: <Content>",
        (
            "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={ip}"
            "|authentication failure; logname= uid=<*> euid=<*> tty=NODEVssh ruser= rhost=<*>",
            "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={host}  user={user}"
            "|authentication failure; logname= uid=<*> euid=<*> tty=NODEVssh ruser= rhost=<*>  user=<*>",
            "check pass; user unknown",
            "session opened for user {user} by (uid={n})",
            "session opened for user {user} by LOGIN(uid={n})",
            "session closed for user {user}",
            "connection from {ip} () at {date}",
            "connection from {ip} ({host}) at {date}",
            "ALERT exited abnormally with [{n}]",
            "{word} startup succeeded",
            "{word} shutdown succeeded",
            "getpeername (ftpd): Transport endpoint is not connected",
            "Kerberos authentication failed",
            "klogd {n}.{n}.{n}, log source = {path} started.|klogd <*>, log source = <*> started.",
            "Out of Memory: Killed process {n} ({word}).",
            "usbcore: registered new driver {word}",
            "Memory: {n}k/{n}k available ({n}k kernel code, {n}k reserved)",
            "CPU {n} irqstacks, hard={hash} soft={hash}",
            "Freeing unused kernel memory: {n}k freed",
            "audit({n}.{n}:0): initialized|audit(<*>:<*>): initialized",
            "warning: can't get client address: Connection reset by peer",
        ),
    ),
    "desktop": Style(
        "{mon}  3 {time} calvisitor-10-105-160-95 {proc}: ",
        r"<Month>  <Date> <Time> <User> <Component>\[<PID>\]( \(<Address>\))?: <Content>",
        (
            "Thunder<0>({hex})::listenerCallback - HPD packet for route = {hex} port = {n} unplug = {small}"
            "|Thunder<<*>>(<*>)::listenerCallback - HPD packet for route = <*> port = <*> unplug = <*>",
            "ARPT: {f}: wl0: wl_update_tcpkeep_seq: Original Seq: {n}, Ack: {n}, Win size: {n}"
            "|ARPT: <*>: wl0: wl_update_tcpkeep_seq: Original Seq: <*>, Ack: <*>, Win size: <*>",
            "ARPT: {f}: AirPort_Brcm43xx::powerChange: System Sleep"
            "|ARPT: <*>: AirPort_Brcm43xx::powerChange: System Sleep",
            "ARPT: {f}: AirPort_Brcm43xx::powerChange: System Wake"
            "|ARPT: <*>: AirPort_Brcm43xx::powerChange: System Wake",
            "en0: BSSID changed to {mac}",
            "en0: channel changed to {n}",
            "Wake reason: {word} (Network)",
            "Wake reason: RTC (Alarm)",
            "hibernate image path: {path}",
            "hibernate_setup(0) took {n} ms|hibernate_setup(<*>) took <*> ms",
            "Bluetooth -- LE is supported - Disable LE meta event",
            "Unable to simultaneously satisfy constraints: ({class}, {class})",
            "Sandbox: {word}({n}) deny(1) mach-lookup com.apple.{word}|Sandbox: <*>(<*>) deny(<*>) mach-lookup <*>",
            "handler exited with code {n} for {app}",
            "PM response took {n} ms ({n}, {word})",
            "Unexpected payload found for message {n}, dataLen {n}",
        ),
    ),
    "phone": Style(
        "03-17 {time}.{ms}  {pid}  {pid} {L} {comp}: ",
        "<Date> <Time>  <Pid>  <Tid> <Level> <Component>: <Content>",
        (
            'acquire lock={n}, flags={hex}, tag="{word}", name={app}, ws=WorkSource{{10113}}, uid={n}, pid={n}'
            '|acquire lock=<*>, flags=<*>, tag="<*>", name=<*>, ws=WorkSource{<*>}, uid=<*>, pid=<*>',
            'release:lock={n}, flg={hex}, tag="{word}", name={app}", ws=null, uid={n}, pid={n}'
            '|release:lock=<*>, flg=<*>, tag="<*>", name=<*>", ws=null, uid=<*>, pid=<*>',
            "ready={bool},policy={small},wakefulness={small},useProximity={bool}",
            "printing app token = AppToken{{{hash} token=Token{{{hash} Record{{{hash} u0 {app}/.Main t{n}}}}}}}, "
            "drawn= {bool}, moved= {bool}"
            "|printing app token = AppToken{<*> token=Token{<*> Record{<*> u0 <*>/.Main t<*>}}}, "
            "drawn= <*>, moved= <*>",
            "Skipping AppToken{{{hash} token=Token{{{hash}}}}} -- going to hide"
            "|Skipping AppToken{<*> token=Token{<*>}} -- going to hide",
            "setSystemUiVisibility vis={n} mask={n} oldVal={n} newVal={n} diff={n}",
            "cancelNotification, index:{small}, cancel:{bool}",
            "visible is system.time.showampm",
            "visible is system.call.count gt {n}",
            "getRunningAppProcesses: caller {n} does not hold permission",
            "startAnimation begin",
            "startAnimation end",
            "Reset 3: {n}, {n}|Reset <*>: <*>, <*>",
            "updateLightsLocked,curIndex = {n},animating = {bool}",
            "Destroying surface Surface(name={word}) called by {java}",
            "userActivityNoUpdateLocked: eventTime={n}, event={small}, flags={hex}, uid={n}",
        ),
    ),
    "pipes": Style(
        "20171223-{time}:{ms}|Step_{comp}|{pid}|",
        r"<Time>\|<Component>\|<Pid>\|<Content>",
        (
            "onStandStepChanged {n}",
            "onExtend:{n} {n} {n} {n}|onExtend:<*>",
            "calculateCalories totalCalories={n}",
            "calculateAltitude totalAltitude={n}",
            "onReceive action: android.intent.action.SCREEN_ON",
            "onReceive action: android.intent.action.SCREEN_OFF",
            "flush sensor data",
            "getTodayTotalDetailSteps = {n}##{n}##{n}##{n}|getTodayTotalDetailSteps = <*>##<*>##<*>##<*>",
            "REPORT : {n} {n} {n} {n}|REPORT : <*>",
            "setTodayTotalDetailSteps={n}##{n}##{n}|setTodayTotalDetailSteps=<*>##<*>##<*>",
            "upLoadHealthData",
            "tryToReloadTodayBasicSteps",
            "initDataPrivacy the dataPrivacy is {bool}",
            "screen status unknown,think screen on",
        ),
    ),
    "webserver": Style(
        "[Sun Dec 04 {time} 2005] [{llevel}] ",
        r"\[<Time>\] \[<Level>\] <Content>",
        (
            "workers.init() ok {path}",
            "mod_x child workers in error state {small}",
            "child2 found child {n} in scoreboard slot {small}|child2 found child <*> in scoreboard slot <*>",
            "child init {small} -{small}|child init <*> <*>",
            "[client {ip}] Directory index forbidden by rule: {path}",
            "[client {ip}] File does not exist: {path}",
            "caught SIGTERM, shutting down",
        ),
    ),
    "proxy": Style(
        "[10.30 {time}] {exe} - ",
        r"\[<Time>\] <Program> - <Content>",
        (
            "{host}:{port} open through proxy {host}:{port} HTTPS",
            "{host}:{port} open through proxy {host}:{port} SOCKS5",
            "{host}:{port} close, {n} bytes sent, {n} bytes received, lifetime {life}",
            "{host}:{port} close, {n} bytes ({size}) sent, {n} bytes received, lifetime {life}",
            "{host}:{port} close, {n} bytes sent, {n} bytes ({size}) received, lifetime {life}",
            "{host}:{port} close, {n} bytes ({size}) sent, {n} bytes ({size}) received, lifetime {life}",
            "{host}:{port} error : Could not connect through proxy {host}:{port} - Proxy closed the connection",
            "{host}:{port} error : A connection request was canceled before the completion.",
        ),
    ),
    "logfmt": Style(
        "time={isoz} level={llevel} ",
        "",
        (
            'msg="request done" method={word} status={n} duration={n}ms user={user}',
            'msg="request failed" method={word} status={n} duration={n}ms err="timeout after {n}s"',
            'msg="cache hit" key={long}',
            'msg="cache miss" key={long}',
            'msg="user logged in" user={user} ip={ip}',
            'msg="user logged out" user={user} ip={ip}',
            'msg="job {uuid} queued" depth={n}',
            'msg="payload" body={{"id":{n},"name":"{word}","ok":{bool}}}'
            '|msg="payload" body={"id":<*>,"name":"<*>","ok":<*>}',
        ),
    ),
    "python": Style(
        "{iso},{ms} - {short}.{word} - {LEVEL} - ",
        "",
        (
            "Loaded {n} rows from {path} in {f}s",
            "Wrote {n} rows to {path} in {f}s",
            "Job {word} finished after {n} steps",
            "Job {word} failed after {n} steps",
            "Copied {file} to {file} for {user}",
            "Processing of {word} by {user} on node {word} completed",
            "Worker {small} is up",
            "Worker {small} is down",
            "Ignoring unknown option {word}",
            "epoch {n}: loss={f} acc={f} lr={f}",
            "Using device cuda:{small}",
            "Retrying {url} ({small}/5)|Retrying <*> (<*>/<*>)",
        ),
    ),
    "kernel": Style(
        "{mon} 27 {time} combo kernel: ",
        r"<Month> <Date> <Time> <Level> <Component>(\[<PID>\])?: <Content>",
        (
            "BIOS-e820: {addr16} - {addr16} (usable)",
            "BIOS-e820: {addr16} - {addr16} (reserved)",
            "ACPI: PCI Interrupt {pci}[A] -> Link [LNKA] -> GSI {n} (level, low) -> IRQ {n}",
            "PCI: Using IRQ router PIIX [{n}/{n}] at {pci}",
            "PCI: Probing PCI hardware (bus {small})",
            "ide{small}: BM-DMA at {hex}-{hex}, BIOS settings: hda:DMA, hdb:pio",
            "hda: IC35L0{n}, ATA DISK drive",
            "Linux version {f}.5-1.358 (bhcompile@{host}) (gcc version {f}.3) #1 Sat May 8 09:04:50 EDT 2004",
            "Kernel command line: ro root=LABEL=/ rhgb quiet",
            "TCP: Hash tables configured (established {n} bind {n})",
            "IP: routing cache hash table of {n} buckets, {n}Kbytes",
            "NET: Registered protocol family {n}",
            "Inode-cache hash table entries: {n} (order: {small}, {n} bytes)",
            "Dentry cache hash table entries: {n} (order: {small}, {n} bytes)",
            "Mount-cache hash table entries: {n} (order: {small}, {n} bytes)",
            "PID hash table entries: {n} (order: {small}, {n} bytes)",
            "EXT3-fs: mounted filesystem with ordered data mode.",
            "SELinux: Initializing.",
            "SELinux: Starting in permissive mode",
            "SELinux: Registering netfilter hooks",
            "{eth}: link up, {n}Mbps, full-duplex, lpa {hex}",
            "{eth}: link down",
            "device {eth} entered promiscuous mode",
            "device {eth} left promiscuous mode",
            "usb {small}-{small}: new high speed USB device using ehci_hcd and address {n}",
            "usb {small}-{small}: USB disconnect, address {n}",
            "{word}[{n}]: segfault at {addr16} rip {addr16} rsp {addr16} error {small}",
        ),
    ),
    "mail": Style(
        "{mon} 27 {time} mx1 sendmail[{pid}]: ",
        r"<Month> <Date> <Time> <Host> <Component>(\[<PID>\])?: <Content>",
        (
            "{mx}: to=<{user}@{host}>, ctladdr=<{user}@{host}> ({n}/{n}), delay=00:00:0{small}, mailer=esmtp, pri={n}, "
            "relay={host}. [{ip}], dsn=2.0.0, stat=Sent ({mx} Message accepted for delivery)",
            "{mx}: from={user}, size={n}, class=0, nrcpts={small}, msgid=<{mx}.{mx}@{host}>, relay={user}@localhost",
            "{mx}: to={user}, delay=00:00:0{small}, mailer=relay, pri={n}, dsn=4.0.0, stat=Deferred: {errno}",
            "{mx}: {host} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA",
            "ruleset=check_rcpt, arg1=<{user}@{host}>, relay={host} [{ip}], reject=550 5.7.1 Relaying denied",
            "STARTTLS=client, relay={host}., version=TLSv1/SSLv3, verify=FAIL, cipher=DHE-RSA-AES256-SHA, bits=256/256",
            "rejecting connections on daemon MTA: load average: {n}",
            "lost input channel from [{ip}] to MTA after {word}",
            "timeout waiting for input from {host} during client greeting",
        ),
    ),
    "mac": Style(
        "{mon}  3 {time} authorMacBook-Pro {proc}: ",
        "",
        (
            "{two}: registered for shared services with policy {small}",
            "Basement: window {obj} ordered front from a non-active application {two}",
            "[{two}] TLS: handshake failed with code {neg}",
            "Could not find image named '{word}-{word}'.",
            "objc[{n}]: Class {class} is implemented in both {path} ({hex}) and {path} ({hex}). "
            "One of the two is used.",
            "process {two} is not responding, pid {n}",
            "tcp_connection_destination_handle_tls_close_notify {n} closing socket due to TLS CLOSE_NOTIFY alert",
            "tcp_connection_tls_session_error_callback_imp {n} __tcp_callback.callback_block error {n}",
            "host connection {obj} connection invalid: {q}",
            "no observer, dropping: 2 bytes from {mac} with {small} retries",
            "Failed to connect ({word}) outlet from ({class}) to ({class}): missing setter",
            "Discarding message for event {n} because of too many unprocessed messages",
            "CCFile::captureLog Received Capture notice id: {f}, reason = AuthFail:sts:5_rsn:0",
            "Received location update with accuracy {f} and speed {neg}",
            "dnssd_clientstub ConnectToServer: connect()-> No of tries: {small}",
            "{cap} BSSID: {mac} rssi {neg}",
            "The file {file} could not be opened because {words}",
            "Invocation of {word} for {two} took {f} seconds",
        ),
    ),
    "intents": Style(
        "03-17 {time}.{ms}  {pid}  {pid} {L} {comp}: ",
        "",
        (
            "START u0 {{act={act} flg={hex} cmp={app}/.Main{maybe}}} from uid {n} on display {small}",
            "Delivering to {app} intent {{ act={act} flg={hex} }}",
            "getTasks: caller {n} is using GET_TASKS but privileged; allowing",
            "notifyUiVisibilityChanged:vis={hex}, SystemUiVisibility={hex}",
            "applyOptionsLocked: Unknown animationType={small}",
            "enqueueNotificationInternal: pkg={app} id={n} notification=Notification(pri={small} "
            "contentView={app}/{hex} "
            "vibrate=null sound=null flags={hex} color={hex} vis=PRIVATE)",
            "Start proc {n}:{app}/u0a{n} for service {app}/.{comp2}",
            "Start proc {n}:{app}/u0a{n} for broadcast {app}/.{comp2}",
            "Killing {n}:{app}/u0a{n} (adj {n}): empty for {n}s",
            "Process {app} (pid {n}) has died",
            "Force stopping {app} appid={n} user={small}: from pid {n}",
            "setRequestedOrientation: {small} for {hash}",
            "battery changed pluggedIn: {bool}, level: {n}",
            "mVisiblity.getValue is {bool}",
            "onLayoutChange {word} {word}",
            "Installed providers: [{wlist}]",
            "Ignoring {word} request from {app}",
            "computeScreenConfiguration() {f} {f} {{{f} {n}mcc{n}mnc [zh_CN] "
            "ldltr sw{n}dp w{n}dp h{n}dp {n}dpi nrml port}}",
            "acquireWakeLock {word} {class}",
        ),
    ),
    "database": Style(
        "{iso}.{ms} UTC [{pid}] {LEVEL}:  ",
        "",
        (
            "duration: {f} ms  statement: SELECT * FROM {word} WHERE id = {n}",
            "duration: {f} ms  statement: UPDATE {word} SET name = '{word}' WHERE id = {n}",
            'relation "{word}" does not exist at character {n}',
            'column "{word}.{word}" does not exist at character {n}',
            'duplicate key value violates unique constraint "{word}_pkey"',
            "Key (id)=({n}) already exists.",
            "connection authorized: user={user} database={word} application_name={two}",
            "disconnection: session time: 0:00:{f} user={user} database={word} host={ip} port={port}",
            "checkpoint starting: time",
            "checkpoint starting: xlog",
            "checkpoint complete: wrote {n} buffers ({f}%); {small} transaction log file(s) added, {small} removed",
            "automatic vacuum of table {word}.public.{word}: index scans: {small}",
            "automatic analyze of table {word}.public.{word} system usage: CPU {f}s/{f}u sec elapsed {f} sec",
            "could not receive data from client: {errno}",
            "database system was shut down at {iso2} UTC",
            "database system is ready to accept connections",
        ),
    ),
    "kube": Style(
        "{L}1122 {time}.{n6}   {pid} {word}.go:{pid}] ",
        "",
        (
            'Started container "{word}" in pod {word}-{word}_{word}({uuid})',
            'Killed container "{word}" in pod {word}-{word}_{word}({uuid})',
            "Container {word} of pod {word} is {state1}",
            "Probe failed for {word}: Get {url}: dial tcp {ip}:{port}: connect: {errno}",
            "Scaled up replica set {word}-{long} to {small}",
            "Scaled down replica set {word}-{long} to {small}",
            "Node {fqhost} status is now: NodeReady",
            "Node {fqhost} status is now: NodeNotReady",
            "Pulling image {word}/{word}:v{f}",
            "SyncLoop (ADD, {q}): {wlist}",
            "SyncLoop (DELETE, {q}): {wlist}",
            "Unable to update cni config: no networks found in {path}",
            "Attempting to register node {fqhost}",
            "Successfully registered node {fqhost}",
        ),
    ),
    "siblings": Style(
        "{iso} {LEVEL} {comp}: ",
        "",
        (
            "Starting listener thread",
            "Starting worker thread",
            "Starting cleaner thread",
            "Stopping listener thread",
            "Stopping worker thread",
            "{small} requests pending in read queue",
            "{small} requests pending in write queue",
            "state changed from NEW to READY",
            "state changed from READY to BUSY",
            "state changed from BUSY to READY",
            "state changed from BUSY to DEAD",
            "power supply {small} failed",
            "power supply {small} restored",
            "fan {small} failed",
            "fan {small} restored",
            "error code 5 while reading {path}|error code <*> while reading <*>",
            "cache enabled",
            "cache disabled",
            "log level set to {word}",
            "no free slots",
            "no free workers",
            "replication lag is {n} ms on {fqhost}",
            "primary {fqhost} lost",
            "primary {fqhost} elected",
        ),
    ),
    "windowsevents": Style(
        "{isospace}, {Level}                  CSI    ",
        "",
        (
            "{n8}@2016/9/27:20:{n}:{n} WcpInitialize (wcp.dll version 0.0.0.{small}) "
            "called (stack @{hex} @{hex} @{hex})"
            "|<*>@<*> WcpInitialize (wcp.dll version <*>) called (stack @<*> @<*> @<*>)",
            "{n8} [SR] Beginning Verify and Repair transaction|<*> [SR] Beginning Verify and Repair transaction",
            "{n8} [SR] Verifying {n} components|<*> [SR] Verifying <*> components",
            "{n8} [SR] Verify complete|<*> [SR] Verify complete",
            "{n8} Created NT transaction (seq {small}) result {hex}, handle @{hex}"
            "|<*> Created NT transaction (seq <*>) result <*>, handle @<*>",
            "{n8} Creating NT transaction (seq {small}), objectname [6]'(null)'"
            "|<*> Creating NT transaction (seq <*>), objectname [<*>]'(null)'",
            "{n8} CSI perf trace:|<*> CSI perf trace:",
            "Identity: {comp2}, Version={f}.1.{n}, Culture=neutral, Token={addr16}, State={two}",
            "The {words} service entered the running state.",
            "The {words} service entered the stopped state.",
        ),
    ),
    "bare": Style(
        "",
        "",
        (
            "user {user} opened {path}",
            "user {user} closed {path}",
            "temperature of sensor {word} is {f} C",
            "disk {dev} is full",
            "disk {dev} is healthy",
            "service {word} started with pid {n}",
            "service {word} stopped with code {n}",
            "nothing to do",
            "connection {hash} from {ip} to {ip}:{port} reset",
            "connection {hash} from {ip} to {ip}:{port} closed",
        ),
    ),
}
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


class Log(NamedTuple):
    """Lines with headers, their messages, and the true template of each."""

    lines: list[str]
    messages: list[str]
    truth: list[str]


def make_log(name: str, n: int = 2000, seed: int = 1) -> Log:
    """A log of one style: a few templates make most of its lines, and each is seen at least once."""
    style, r = STYLES[name], random.Random(f"{name}-{seed}")
    split = [template.partition("|") if name != "pipes" else template.rpartition("|") for template in style.templates]
    made = [(a, c) if b else (a or c, "") for a, b, c in split]
    truths = [given or _FIELD.sub(_star, text) for text, given in made]
    order = list(range(len(made)))
    r.shuffle(order)
    weights = [1 / (1 + rank) ** 1.5 for rank in range(len(made))]
    picks = order + r.choices(order, weights, k=max(0, n - len(order)))
    r.shuffle(picks)
    messages = [_made(made[pick][0], FIELDS, r) for pick in picks]
    lines = [_made(style.header, _HEADER, r) + message for message in messages]
    return Log(lines, messages, [truths[pick] for pick in picks])


def _star(found: re.Match[str]) -> str:
    return "<*>" if found[1] else found.group()[0]


def _made(text: str, fields: Mapping[str, Field], r: random.Random) -> str:
    return _FIELD.sub(lambda found: fields[found[1]](r) if found[1] else found.group()[0], text)


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
    said = [normal(texts[a]) == normal(true_texts[b]) for a, b in right]
    same = [normal(texts[a]) == normal(true_texts[b]) for a, b in zip(found, truth, strict=True)]
    return {
        "GA": round(sum(len(one[a]) for a, _ in right) / max(1, len(found)), 4),
        "PA": round(sum(same) / max(1, len(found)), 4),
        "FGA": round(2 * len(right) / max(1, len(one) + len(two)), 4),
        "FTA": round(2 * sum(said) / max(1, len(one) + len(two)), 4),
    }
