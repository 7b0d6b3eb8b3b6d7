"""Why an episode is not `ok`: every reason code that a verdict or a fault of the index may carry, with its sentence.

A code is `family.detail`. The text beside a code in a verdict tells the case (which member, which value); what stands
here tells what the code means and what to do. What does not belong here: the checks themselves (`episodes/`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from rlstir_core.errors import RlstirError


class ReasonCode(StrEnum):
    """A reason code; `meaning` says what is wrong, `remedy` what mends it."""

    meaning: str
    remedy: str

    def __new__(cls, code: str, meaning: str, remedy: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.remedy = remedy
        return member

    @property
    def family(self) -> str:
        """What the code is about: `archive meta json channel time label index`."""
        return self.value.partition(".")[0]

    ARCHIVE_CHECKSUM = ("archive.checksum", "a tar header's checksum does not match", "send the file again")
    ARCHIVE_DUPLICATE = (
        "archive.duplicate",
        "two members have one name, or names that differ only in case",
        "send each member once",
    )
    ARCHIVE_EMPTY = ("archive.empty", "the file holds no zstd frame", "send the file again")
    ARCHIVE_FOLDER = (
        "archive.folder",
        "a folder entry is neither `.` nor `logs`, or has a size",
        "pack the known members only",
    )
    ARCHIVE_HEADER = (
        "archive.header",
        "a tar header is of no known kind, or carries more than a plain file needs",
        "use the ustar format",
    )
    ARCHIVE_MEMBER_NAME = (
        "archive.member_name",
        "a member's name could lead elsewhere: an absolute path, `..`, another folder, odd characters",
        "use the member names of an episode",
    )
    ARCHIVE_MEMBER_TYPE = (
        "archive.member_type",
        "a member is a link, a device, a sparse file or another thing than a plain file",
        "pack plain files only",
    )
    ARCHIVE_MEMBERS = ("archive.members", "there are more tar headers than the limit", "send fewer members")
    ARCHIVE_NOT_ZSTD = ("archive.not_zstd", "the file does not begin as zstd", "send one zstd frame")
    ARCHIVE_PAX = (
        "archive.pax",
        "a pax header is damaged, too large, or sets more than times and owners",
        "use the ustar format",
    )
    ARCHIVE_SECOND_FRAME = ("archive.second_frame", "a second zstd frame follows the first", "send one frame")
    ARCHIVE_SKIPPABLE = (
        "archive.skippable",
        "more skippable zstd frames stand before the frame than honest tools write",
        "send one zstd frame",
    )
    ARCHIVE_TOO_LARGE = (
        "archive.too_large",
        "the file, what comes out of its frame, or its telemetry is over the limit",
        "record shorter episodes, or split this one",
    )
    ARCHIVE_TRAILING_BYTES = (
        "archive.trailing_bytes",
        "something follows the end of the tar or of the zstd frame",
        "send the file without it",
    )
    ARCHIVE_TRUNCATED = ("archive.truncated", "the file ends inside its frame, a member or the tar", "send it again")
    ARCHIVE_UNKNOWN_MEMBER = (
        "archive.unknown_member",
        "members that no format knows were ignored",
        "name them as the table of members says, or add the log's format",
    )
    ARCHIVE_WINDOW = (
        "archive.window",
        "the zstd window is over the limit, so that unpacking would take too much memory",
        "compress without `--long` or `--ultra`",
    )
    ARCHIVE_ZSTD = ("archive.zstd", "the zstd frame is damaged", "send the file again")
    ARCHIVE_ZSTD_BLOCKS = ("archive.zstd_blocks", "the frame has more zstd blocks than the limit", "compress it anew")
    ARCHIVE_ZSTD_DICTIONARY = ("archive.zstd_dictionary", "the zstd frame needs a dictionary", "compress without one")

    META_BENIGN = ("meta.benign", "`benign` is not true or false", "write true or false")
    META_ID = ("meta.id", "a name in `meta.json` is no safe identifier", "rename it as the sentence says")
    META_IDENTITY = (
        "meta.identity",
        "`meta.json` names another host or episode than the index",
        "send the file that belongs there, or mend the index",
    )
    META_JSON = ("meta.json", "`meta.json` is not one strict JSON object", "write one, without NaN or repeated keys")
    META_MISSING = ("meta.missing", "there is no `meta.json`", "pack it with the episode")
    META_SCHEMA_VERSION = ("meta.schema_version", "`schema_version` is not one that this reader knows", "write 1")
    META_SOURCES = (
        "meta.sources",
        "`sources` is no object of row counts",
        "write a number or null for each source, or leave it out",
    )
    META_TIME = ("meta.time", "a start or end is no integer", "write nanoseconds since 1970 as an integer")
    META_TOO_LARGE = ("meta.too_large", "`meta.json` is over the limit", "leave out what is no metadata")
    META_UNKNOWN_PROFILE = (
        "meta.unknown_profile",
        "the registry does not know the profile",
        "add it to the store's `registry.toml`, or mend the name",
    )

    JSON_BAD_ROWS = (
        "json.bad_rows",
        "records that break the format were dropped and counted",
        "mend the recorder: one strict JSON object per line, with the registry's fields",
    )
    JSON_TOO_MANY_FAULTS = (
        "json.too_many_faults",
        "more lines need care than the limit, so that reading would take too long",
        "mend the recorder",
    )

    CHANNEL_COUNTER = (
        "channel.counter",
        "a cumulative counter jumps and comes back, or grows faster than anything can",
        "mend the sensor: a reset to near zero is fine, a value of another counter is not",
    )
    CHANNEL_COVERAGE = (
        "channel.coverage",
        "a source that the registry requires says too little of the episode's time",
        "record from start to end; write the rate of a slow meter as `rate_hz` into the store's `registry.toml`",
    )
    CHANNEL_EMPTY = ("channel.empty", "a source that the registry requires has no usable row", "mend the recorder")
    CHANNEL_FIELD = (
        "channel.field",
        "a source that the registry requires lacks one of its fields in (almost) every row",
        "record it, or leave the field out of the store's `registry.toml`",
    )
    CHANNEL_MISSING = (
        "channel.missing",
        "a source that the registry requires is absent",
        "record it, or say `required = false` in the store's `registry.toml`",
    )
    CHANNEL_ROW_COUNT = (
        "channel.row_count",
        "a source has another number of rows than `meta.json` counts",
        "look for lost lines between the recorder and the tarball",
    )
    CHANNEL_TOO_MANY_ROWS = (
        "channel.too_many_rows",
        "a source has more lines, or all together more values, than the limits",
        "record shorter episodes",
    )

    TIME_CLOCK_STEP = (
        "time.clock_step",
        "the wall clock steps against the monotonic one",
        "keep the recording host's clock from being set while it records",
    )
    TIME_DRIFT = (
        "time.drift",
        "the wall clock drifts from the monotonic one, without a single step",
        "let one clock stamp every row when it is taken",
    )
    TIME_ORDER = ("time.order", "the episode ends before it starts", "write the times in order")
    TIME_OUTSIDE = (
        "time.outside",
        "rows that lie outside the episode were dropped and counted",
        "record from start to end, all in one clock",
    )
    TIME_SPAN = ("time.span", "the episode is longer than the limit", "split it")
    TIME_STILL = (
        "time.still",
        "the rows of a source carry one and the same time, or most carry that of the row before",
        "stamp every row when it is taken, in nanoseconds",
    )
    TIME_UNIT = (
        "time.unit",
        "a time lies outside the years 2000 to 2100: seconds, milliseconds or a broken clock",
        "write nanoseconds since 1970",
    )

    LABEL_FORM = ("label.form", "a label lacks an integer `t_wall_ns` or a text `phase`", "mend `labels.jsonl`")
    LABEL_JSON = ("label.json", "a line of `labels.jsonl` is no strict JSON", "write one object per line")
    LABEL_MISSING = (
        "label.missing",
        "there are no labels; beside telemetry that is a reject",
        "send `labels.jsonl` with the phases",
    )
    LABEL_ORDER = ("label.order", "a label does not come after the one before", "sort `labels.jsonl` by time")
    LABEL_OUTSIDE = ("label.outside", "a label lies outside the episode", "write `t_wall_ns` within it")
    LABEL_TOO_LARGE = ("label.too_large", "`labels.jsonl` is over the limit", "send labels only")
    LABEL_TOO_MANY = ("label.too_many", "there are more labels than the limit", "send phases, not ticks")
    LABEL_UNKNOWN_PHASE = (
        "label.unknown_phase",
        "a label names a phase that the registry does not know",
        "add it to the store's `registry.toml`, or mend the name",
    )

    INDEX_BYTES = ("index.bytes", "the file has another size than the index says", "send the file again")
    INDEX_CASE_TWIN = (
        "index.case_twin",
        "two episodes differ only in the case of their names; the first one is used",
        "rename one",
    )
    INDEX_FORM = ("index.form", "a record of the index lacks a field, or holds one that cannot be", "mend the line")
    INDEX_MISSING_FILE = (
        "index.missing_file",
        "the index names a tarball that is not there, is a link or cannot be opened",
        "send the episode again",
    )
    INDEX_NOT_A_FILE = ("index.not_a_file", "what stands there is no plain file", "put the tarball there")
    INDEX_ORPHAN = ("index.orphan", "no line of the index names this tarball, so it is not used", "add the line")
    INDEX_PATH = (
        "index.path",
        "what looks like a tarball is a link or has an unsafe name",
        "put a plain file with a safe name there",
    )
    INDEX_REPEATED = (
        "index.repeated",
        "an episode is named twice; the later line is used",
        "nothing, if it was sent again on purpose",
    )
    INDEX_SHA256 = ("index.sha256", "the file has other bytes than the index says", "send the file again")
    INDEX_TORN = ("index.torn", "one line holds several records; all are kept", "nothing, or one object per line")
    INDEX_UNREADABLE = (
        "index.unreadable",
        "a line, or a part of it, is no record; the readable ones are kept",
        "send the episodes that it named again",
    )


FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(code.family for code in ReasonCode))


class EpisodeRejected(RlstirError):
    """An episode that cannot be trusted; the code becomes the verdict's reason."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
