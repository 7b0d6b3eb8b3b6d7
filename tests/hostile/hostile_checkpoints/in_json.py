"""Cases about the JSON of a checkpoint: the file, what it claims, its input schema, the settings of a member.

What does not belong here: the sidecar that it names.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from hostile_checkpoints.victim import Bait, Cases, Damage, Victim, as_pipe, as_torch_save

MIB = 1 << 20


def of_json(change: Callable[[dict[str, Any]], object]) -> Damage:
    return lambda v: v.lie(change)


def schema(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["input_schema"].update(fields))


def member(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["members"][0].update(fields))


def settings(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["members"][0]["settings"].update(fields))


def facts(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["members"][0]["facts"].update(fields))


def json_text(old: str, new: str) -> Damage:
    """Swaps text of the JSON, for values that no encoder writes."""

    def damage(v: Victim) -> None:
        text = v.json.read_text()
        assert old in text
        v.json.write_text(text.replace(old, new, 1))

    return damage


def link_json_to(target: str) -> Damage:
    def damage(v: Victim) -> None:
        v.json.unlink()
        v.json.symlink_to(target)

    return damage


CASES: Cases = {
    "json: cut in half": ("mlp", lambda v: v.json.write_bytes(v.json.read_bytes()[:400]), "is not a checkpoint"),
    "json: a pickle": ("mlp", lambda v: v.json.write_bytes(pickle.dumps(Bait(v.mark))), "is not a checkpoint"),
    "json: a zip of torch.save": (
        "mlp",
        lambda v: (as_torch_save(v), v.json.write_bytes(v.sidecar.read_bytes())),
        "is not a checkpoint",
    ),
    "json: a pipe": ("mlp", lambda v: as_pipe(v.json), "is no plain file"),
    "json: a folder": ("mlp", lambda v: (v.json.unlink(), v.json.mkdir()), "is no plain file"),
    "json: a link to a device": ("mlp", link_json_to("/dev/zero"), "is a link"),
    "json: a link to itself": ("mlp", link_json_to("mlp_realistic.ckpt.json"), "is a link"),
    "json: a lone surrogate": ("mlp", json_text('"tiny"', r'"\ud800"'), "is not a checkpoint"),
    "json: NaN in the facts": ("mlp", json_text('"class_weights":', '"class_weights":[NaN],"x":'), "not a checkpoint"),
    "json: infinity in the facts": ("mlp", facts(class_weights=[float("inf")]), "is not a checkpoint"),
    "json: a number out of range": (
        "mlp",
        json_text('"class_weights":', '"class_weights":[1e999],"x":'),
        "is not a checkpoint",
    ),
    "json: a count of 400 digits": ("mlp", facts(n_parameters=10**400), "negative or too large"),
    "json: a negative count": ("mlp", facts(n_train_windows=-7), "negative or too large"),
    "json: a seed of 400 digits": ("mlp", of_json(lambda t: t.update(seed=10**400)), "cannot be"),
    "json: a round of 400 digits": ("mlp", member(round=10**400), "a round or fold of member 0 that cannot be"),
    "json: a negative fold": ("mlp", member(fold=-1), "a round or fold of member 0 that cannot be"),
    "json: 10,000 members": ("mlp", of_json(lambda t: t.update(members=t["members"] * 10_000)), "has 10000 members"),
    "json: one sidecar for two members": ("mlp", of_json(lambda t: t.update(members=t["members"] * 2)), "another's"),
    "json: a sidecar of another model": ("mlp", member(sidecar="gru_realistic.0.safetensors"), "another's"),
    "json: a sidecar's name of 50 MB": ("mlp", member(sidecar="x" * (50 * MIB)), "another's"),
    "json: a sidecar's name that rings": ("mlp", member(sidecar="\x1b[2J\u202e"), r"another's, '\\x1b"),
    "json: a format that rings": ("mlp", of_json(lambda t: t.update(format="\x1b[2J" * 99)), "has format"),
    "json: another model": ("mlp", of_json(lambda t: t.update(model="gru")), "not what its name says"),
    "json: another mode": ("mlp", of_json(lambda t: t.update(mode="oracle")), "not what its name says"),
    "json: another recipe": ("mlp", of_json(lambda t: t.update(recipe="time")), "of recipe 'time'"),
    "json: markup as preset": ("mlp", of_json(lambda t: t.update(preset="a\u202eb")), "not printable"),
    "json: a preset of 1 MB": ("mlp", of_json(lambda t: t.update(preset="x" * MIB)), "too long"),
    "json: control characters in an episode": ("mlp", member(validation_episodes=["\x1b[2J"]), "not printable"),
    "schema: a column twice": ("mlp", schema(columns=["c0"] * 6), "names no column, or one twice"),
    "schema: no channel": ("mlp", schema(channels=[]), "names no channel"),
    "schema: a phase twice": ("mlp", schema(phases=["calm", "calm", "attack"]), "names no phase, or one twice"),
    "schema: a newline in a column": ("mlp", schema(columns=[*"abcde", "f\n# x"]), "not printable"),
    "schema: another mode": ("mlp", schema(mode="oracle"), "input schema of 'summary' inputs in mode 'oracle'"),
    "schema: another kind": ("mlp", schema(kind="sequence"), "input schema of 'sequence' inputs"),
    "schema: one phase more": ("mlp", schema(phases=["calm", "armed", "attack", "more"]), "4 phases"),
    "schema: one column more": ("gbt", schema(columns=[f"c{i}" for i in range(7)]), "7 columns"),
    "settings: a width of 10^12": ("gru", settings(net={"width": 10**12}), "does not fit"),
    "settings: 64 layers of 4096": ("transformer", settings(net={"width": 4096, "layers": 64}), "does not fit"),
    "settings: text for a number": ("mlp", settings(n_inputs="6"), "does not fit"),
    "settings: a fraction": ("mlp", settings(n_inputs=6.5), "does not fit"),
    "settings: true for a number": ("mlp", settings(n_phases=True), "does not fit"),
    "settings: 400 digits": ("mlp", settings(n_inputs=10**400), "does not fit"),
    "settings: a key more": ("mlp", settings(hook="os.system"), "does not fit"),
    "settings: none": ("mlp", member(settings={}), "does not fit"),
}
