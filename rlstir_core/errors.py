"""The exception tree: every refusal RL-STIR makes on purpose.

A message says what, where, the value and the remedy, in one sentence. The command line prints it and
exits with code 2; anything that is not an RlstirError (or an OSError) is a defect and may show a traceback.
"""

from __future__ import annotations


class RlstirError(Exception):
    """A refusal with a reason and a remedy."""


class InvalidId(RlstirError, ValueError):
    """An identifier that may not become a path, a partition key or text in a report."""


class RegistryError(RlstirError, ValueError):
    """A registry that cannot be read or that contradicts itself."""


class StoreError(RlstirError):
    """A store, a foreign file or an output folder that cannot be used at all."""


class UpstreamMissing(RlstirError):
    """An input that an earlier asset makes is not there; the message names the command that makes it."""


class SchemaMismatch(RlstirError, ValueError):
    """Features and checkpoint were made under different schemas."""


class CheckpointError(RlstirError, ValueError):
    """A checkpoint that is damaged, or is not what its name says."""


class SplitRefused(RlstirError, ValueError):
    """A split recipe that cannot be applied honestly to these episodes."""


class ConfigError(RlstirError, ValueError):
    """A preset, option or setting with a value that is not allowed."""


class AgentError(RlstirError):
    """Somebody else's agent that cannot be started, or does not keep to the contract of docs/agents.md."""
