"""Whose recordings an import brings: the corpus that split recipe `corpus` holds out as a whole.

What does not belong here: reading any of them.
"""

from __future__ import annotations

from pathlib import Path

from rlstir_core.ids import SafeName, safe_name, slug


def corpus_of(path: Path, given: str | None) -> SafeName:
    """The corpus that the user named, or the name of the imported folder or file without its endings."""
    if given is not None:
        return safe_name(given, "corpus")
    return slug(path.resolve().name.split(".")[0], "imported")
