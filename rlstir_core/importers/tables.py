"""`rlstir import table`: foreign tables and a mapping become a store of episodes with its own registry.

What does not belong here: what a mapping may say, what files hold and how rows become runs (`table/`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.store.index import IndexEntry, parse_index
from rlstir_core.episodes.store.writer import INDEX_NAME, IndexRecord, jsonl_bytes, write_episode, write_index
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.importers.corpus import corpus_of
from rlstir_core.importers.table.files import read_tables
from rlstir_core.importers.table.join import join
from rlstir_core.importers.table.mapping import Mapping, load_mapping
from rlstir_core.importers.table.registry import registry_of, store_registry, write_registry
from rlstir_core.importers.table.runs import Run, TablePart, check_twins, part_of, placed, run_id
from rlstir_core.importers.table.stored import NOTE, note_of, stored_run
from rlstir_core.importers.table.summary import ImportSummary, Overlap, summarise
from rlstir_core.progress import Progress

_HASHES_MOST = 1_000_000  # that a hint is worth
RunKey = tuple[str, str]  # host and episode


@dataclass
class _Plan:
    """The episodes to write, and which of them the store has already."""

    runs: list[Run]
    rows_before: dict[RunKey, int] = field(default_factory=dict)  # of episodes that are joined with earlier rows
    n_equal: int = 0
    n_joined_files: int = 0


def import_table(
    files: Path | Sequence[Path],
    mapping: str | Path,
    store: Path,
    host: str | None = None,
    progress: Progress | None = None,
    corpus: str | None = None,
    replace: bool = False,
) -> ImportSummary:
    """Imports `files` into `store`, which may exist if it was made with the same mapping.

    `host` names the host of all rows, `corpus` whose recordings they are (otherwise the file's name does). An episode
    that the store has already gets the new rows too, or with `replace` is replaced by them; the very same file
    changes nothing. StoreError or ConfigError says what is wrong with a file or the mapping.
    """
    paths = list(dict.fromkeys([files] if isinstance(files, Path) else files))
    rules = load_mapping(mapping)
    earlier = store_registry(store)
    tell = progress or (lambda done, total, what: None)
    parts = []
    for number, path in enumerate(paths):
        tell(number, len(paths), f"reading {path.name}")
        owner = corpus_of(path, corpus)
        try:
            parts += [part_of(one, rules, host, owner) for one in read_tables(path, rules)]
        except (StoreError, ConfigError) as error:
            if len(paths) == 1 or path.name in str(error):
                raise
            raise type(error)(f"{path.name}: {error}") from None
    index = _index(store)
    plan = _planned(store, parts, index, rules, earlier, (corpus, replace))
    registry = registry_of(rules, parts, plan.runs, earlier)
    labels = [_labels(run, rules) for run in plan.runs]  # the last thing that may be refused
    write_registry(store, registry)
    records: list[IndexRecord] = []
    for run, changes in zip(plan.runs, labels, strict=True):
        tell(len(records), len(plan.runs), run.origin)
        records.append(_write(store, run, changes, rules, registry))
    _extend_index(store, index, records)
    tell(len(records), len(records), "done")
    return summarise(store, rules, parts, plan.runs, _overlap(plan, parts, index, records, rules))


def _planned(
    store: Path,
    parts: list[TablePart],
    index: dict[RunKey, IndexEntry],
    rules: Mapping,
    earlier: Registry | None,
    options: tuple[str | None, bool],
) -> _Plan:
    """One run for each episode: the parts of this import together, and with what the store has of it."""
    together: dict[RunKey, Run] = {}
    plan = _Plan([])
    for run in (run for part in parts for run in part.runs):
        key = (run.host, run.episode_id)
        if key in together:
            joined = join(together[key], run)
            together[key] = joined.run
            plan.n_equal += joined.n_equal
            plan.n_joined_files += 1
        else:
            together[key] = run
    check_twins(list(together.values()))
    corpus, replace = options
    for key, run in together.items():
        entry = index.get(key)
        if entry is None or earlier is None or replace or not (store / entry.path).is_file():
            plan.runs.append(run)
            continue
        note = note_of(store / entry.path)
        if note is not None and set(note.files) <= set(run.files):
            # all that it was made of is here again, perhaps under another name
            plan.runs.append(run if corpus is not None else dataclasses.replace(run, corpus=note.corpus or run.corpus))
            continue
        before = stored_run(store, entry.path, run, note, rules, earlier)
        if corpus is not None and before.corpus != run.corpus:
            raise StoreError(
                f"episode {run.origin!r} of host {run.host} is of corpus {before.corpus!r} in the store, not "
                f"{run.corpus!r}; give its corpus, or let this import take its place with --replace"
            )
        joined = join(before, run)
        if joined.gained and note is not None and set(note.files) & set(run.files):
            raise StoreError(
                f"{run.where} was imported before and gives episode {run.origin!r} other rows than then; "
                "import all files of the episode in one command with --replace"
            )
        plan.runs.append(joined.run)
        plan.n_equal += joined.n_equal if joined.gained else 0
        plan.rows_before[key] = len(before.t)
    return plan


def _labels(run: Run, rules: Mapping) -> list[tuple[int, str]]:
    """One label where the phase changes; a row without a phase belongs to the phase before it."""
    t_ns, step = placed(run, rules)
    start = int(t_ns[0]) - step // 2
    labels: list[tuple[int, str]] = []
    for t, phase in zip(t_ns.tolist(), run.phases, strict=True):
        if phase is not None and (not labels or labels[-1][1] != phase):
            at = t - step // 2
            if labels and at <= labels[-1][0]:
                raise StoreError(
                    f"episode {run.origin!r} is in two phases at one time ({labels[-1][1]}, {phase}); "
                    "give its rows distinct times"
                )
            labels.append((max(at, start), phase))
    if not labels:
        raise StoreError(f"episode {run.origin!r} has no phase in any row; fill the label column or drop its rows")
    return labels


def _write(store: Path, run: Run, labels: list[tuple[int, str]], rules: Mapping, registry: Registry) -> IndexRecord:
    t_ns, step = placed(run, rules)
    start, end = int(t_ns[0]) - step // 2, int(t_ns[-1]) + step - step // 2
    blocks = run.blocks
    sources = {}
    for name in registry.sources:
        if name in blocks:  # otherwise this host does not record the source
            at = t_ns[blocks[name].rows]
            # in the registry's order, whatever order the columns came in
            columns = {c: blocks[name].columns[c] for c in registry.sources[name].fields if c in blocks[name].columns}
            sources[name] = jsonl_bytes({"t_wall_ns": at, "t_mono_ns": at - start, **columns})
    meta = {
        "episode_id": run.episode_id,
        "host_id": run.host,
        "profile": run.profile,
        "sample_name": run.sample,
        "benign": not {phase for _, phase in labels} & set(registry.attack_phases),
        "t_start_wall_ns": start,
        "t_end_wall_ns": end,
        "origin": run.origin,
        "corpus": run.corpus,
        NOTE: {"files": run.files, "first_ns": int(run.t[0]) if run.kind == "time" else 0, "step_ns": step},
    }
    return write_episode(store, meta, labels, sources)


def _index(store: Path) -> dict[RunKey, IndexEntry]:
    path = store / INDEX_NAME
    entries = parse_index(path.read_bytes()).entries if path.exists() else ()
    return {(entry.host_id, entry.episode_id): entry for entry in entries}


def _extend_index(store: Path, index: dict[RunKey, IndexEntry], records: list[IndexRecord]) -> None:
    """Adds the records to the index; an episode that is imported again takes the place of its old record."""
    new = {(record["host_id"], record["episode_id"]) for record in records}
    kept: list[IndexRecord] = []
    for key, entry in index.items():
        if key in new:
            continue
        old: IndexRecord = {
            "episode_id": entry.episode_id,
            "host_id": entry.host_id,
            "path": entry.path,
            "bytes": entry.n_bytes,
            "sha256": entry.sha256,
            "profile": entry.profile,
            "sample_name": entry.sample_name,
            "received_wall_ns": entry.received_wall_ns,
        }
        kept.append({name: value for name, value in old.items() if value is not None})
    write_index(store, sorted([*kept, *records], key=lambda record: (record["host_id"], record["episode_id"])))


def _overlap(
    plan: _Plan, parts: list[TablePart], index: dict[RunKey, IndexEntry], records: list[IndexRecord], rules: Mapping
) -> Overlap:
    """What became of episodes that were there already."""
    joined = replaced = unchanged = before = 0
    for record in records:
        key = (record["host_id"], record["episode_id"])
        if key not in index:
            continue
        if index[key].sha256 == record["sha256"]:
            unchanged += 1
        elif key in plan.rows_before:
            joined += 1
            before += plan.rows_before[key]
        else:
            replaced += 1
    elsewhere = _same_name(plan, parts, index, rules)
    return Overlap(
        n_joined=joined,
        n_rows_before=before,
        n_replaced=replaced,
        n_unchanged=unchanged,
        n_joined_files=plan.n_joined_files,
        n_equal_rows=plan.n_equal,
        n_same_name=len(elsewhere),
        same_name=elsewhere[0] if elsewhere else "",
    )


def _same_name(plan: _Plan, parts: list[TablePart], index: dict[RunKey, IndexEntry], rules: Mapping) -> list[str]:
    """Runs that another host has too, where hosts are only the names of files: likely one run in several files."""
    if not any(part.host_from_name for part in parts) or rules.time.step_s:
        return []
    here: dict[str, set[str]] = {}
    for run in plan.runs:
        here.setdefault(run.origin, set()).add(run.host)
    hosts = {host for host, _ in index}
    if len(hosts) * len(here) > _HASHES_MOST:
        hosts = set()
    found = []
    for run in plan.runs:
        others = here[run.origin] - {run.host}
        if others or any((host, run_id(rules, host, run.origin)) in index for host in hosts - {run.host}):
            found.append(run.origin)
    return found
