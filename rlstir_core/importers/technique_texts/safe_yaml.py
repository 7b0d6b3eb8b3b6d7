"""YAML of others as plain values: without aliases, of which a few can stand for billions, and nested as by people.

What does not belong here: what a file says.
"""

from __future__ import annotations

from typing import Any

import yaml

from rlstir_core.errors import ConfigError

_NESTING = 40


def documents(raw: bytes) -> list[Any]:
    """The documents of a file; ConfigError or yaml.YAMLError where it is not plain."""
    depth = 0
    for event in yaml.parse(raw, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError("an alias")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _NESTING:
            raise ConfigError("nested too deep")
    return list(yaml.load_all(raw, Loader=yaml.CSafeLoader))
