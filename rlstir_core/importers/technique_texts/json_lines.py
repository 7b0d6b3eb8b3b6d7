"""Technique texts as JSON lines: `source id platform techniques tactics kind text events`.

What does not belong here: the forms of other projects.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.importers.technique_texts.text import Text, checked, read_bytes

MAX_BYTES = 256 << 20  # after decompression


def json_texts(path: Path, faults: list[str]) -> Iterator[Text]:
    """The texts of a file; a line that cannot be used is named in `faults`."""
    decoder = msgspec.json.Decoder(Text)
    for number, line in enumerate(read_bytes(path, MAX_BYTES).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield checked(decoder.decode(line))
        except (msgspec.MsgspecError, ConfigError, UnicodeDecodeError) as error:
            faults.append(f"{path.name} line {number}: {error}")
