"""One text log on disk as UTF-8 chunks, whatever it is packed in and encoded with.

What does not belong here: folders and archives of several logs (`containers.py`), and what a line means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.opening.containers import files
from rlstir_core.hostlogs.opening.encodings import utf8
from rlstir_core.hostlogs.opening.recognise import HEAD, container_of, is_binary

_CHUNK = 1 << 20
_BLOCK = re.compile(rb"\0{5,}")  # of NULs, as a crash leaves them in lines that are no longer for it
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c\x7f]")
_CONTROL_SHARE = 0.04  # of the characters; random bytes have a tenth, text in any encoding next to none
_WRONG_SHARE = 0.3  # with those that are no UTF-8


def text_chunks(path: Path) -> Iterator[bytes]:
    """The chunks of a text log; StoreError where it is none, is packed with others, or cannot be read to its end."""
    if not path.is_file():
        raise StoreError(f"{path} is not a file; name a text log")
    try:
        with path.open("rb") as handle:
            head = handle.read(HEAD)
            if is_binary(head):
                raise StoreError(f"{path} is no text; name a text log")
            if container_of(head) is None:
                yield from _checked(path, utf8(chain((head,), iter(lambda: handle.read(_CHUNK), b""))))
                return
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    found = [each for each in files(path) if not each.passed]
    if fault := next((each for each in found if each.fault), None):
        raise StoreError(f"{fault.name}: {fault.fault}; mend the file, or unpack what is left of it and name that")
    if len(found) != 1:
        raise StoreError(f"{path} holds {len(found)} files, not one; unpack it and name a text log")
    yield from _checked(path, utf8((found[0].data,)))


def _checked(path: Path, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, if the first of them is text; a block of NULs, however long, comes as one."""
    short = (_BLOCK.sub(b"\0", chunk) if b"\0" in chunk else chunk for chunk in chunks)
    first = next((chunk for chunk in short if chunk.strip(b"\0")), b"")
    text = first[:HEAD].decode("utf-8", "replace")
    n_control = len(_CONTROL.findall(text))
    if n_control > _CONTROL_SHARE * len(text) and n_control + text.count("\ufffd") > _WRONG_SHARE * len(text):
        raise StoreError(f"{path} is no text; name a text log")
    yield first
    yield from short
