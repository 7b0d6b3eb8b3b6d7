"""The XML of a Windows event as the JSON of it: `@Name` for attributes, `#text` for text, a list where names repeat.

Exporters keep it as a text. What does not belong here: what the elements mean (`dialects.py`).
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

_DEPTH = 24
_CHARS = 1 << 20
_NODES = 10_000


class _Refused(Exception):
    """The text is no XML that an event has."""


def xml_object(text: str) -> dict[str, Any] | None:
    """The root element's name and content, as `{name: content}`; None where the text is no such XML."""
    if len(text) > _CHARS:
        return None
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refuse  # and with it every entity of its own
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, _Refused):
        return None
    return builder.stack[0]


def parameters(text: str) -> list[str] | None:
    """The values of `<Param>…</Param><Param>…</Param>`."""
    found = xml_object(f"<all>{text}</all>")
    inner = found["all"] if found else None
    values = inner.get("Param") if isinstance(inner, dict) else None
    if values is None:
        return None
    return [value if isinstance(value, str) else "" for value in (values if isinstance(values, list) else [values])]


def within(node: object, name: str, depth: int = 4) -> Any:
    """The content of the first element of that name at any depth; None where there is none."""
    if isinstance(node, dict) and depth:
        if name in node:
            return node[name]
        return next((found for value in node.values() if (found := within(value, name, depth - 1)) is not None), None)
    return None


class _Builder:
    def __init__(self) -> None:
        self.stack: list[dict[str, Any]] = [{}]
        self._texts: list[list[str]] = [[]]
        self._n = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._n += 1
        if len(self.stack) > _DEPTH or self._n > _NODES:
            raise _Refused
        self.stack.append({f"@{key}": value for key, value in attributes.items() if not key.startswith("xmlns")})
        self._texts.append([])

    def text(self, part: str) -> None:
        self._texts[-1].append(part)

    def end(self, name: str) -> None:
        node, text = self.stack.pop(), "".join(self._texts.pop())
        value: Any = node
        if not node:
            value = text if text.strip() else None
        elif text.strip():
            node["#text"] = text
        name = name.rpartition(":")[2]
        parent = self.stack[-1]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]


def _refuse(*_: object) -> None:
    raise _Refused
