"""A picture of a graph's process trees: a line per process, below its parent, PNG at most 700 px wide.

Equal graphs give equal bytes. Texts come from hostile logs: they are drawn as plain ASCII, never as mathematics. What
does not belong here: what is in the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from rlstir_core.drawing import DPI, FAINT, INK, canvas, png
from rlstir_core.provenance.processes import base_name
from rlstir_core.provenance.tables import PROC_FILE_RW, PROC_PROC_ACCESS, PROC_SOCK_CONN, Graph
from rlstir_core.text import drawable, shortened

MAX_LINES: Final = 40
_WIDTH_PX = 700
_LINE_PX = 17
_INDENT_PX, _MAX_DEPTH = 18, 14  # what lies deeper is drawn at this depth
_NAME_CHARS, _COMMAND_PX, _RIGHT_PX = 40, 330, 688
_CHAR_PX = 6.1  # of the fixed-width font below
_LINE, _MARK = "#b8c2cc", "#c8611a"
_KINDS = (
    (PROC_FILE_RW, ("file", "files")),
    (PROC_SOCK_CONN, ("socket", "sockets")),
    (PROC_PROC_ACCESS, ("process", "processes")),
)


class ProcessLine(NamedTuple):
    """A process, or several alike, in a tree that is read from above."""

    depth: int
    above: int  # the parent's line, -1 for none
    name: str
    detail: str
    right: str
    marked: bool


def tree_picture(graph: Graph, title: str = "", marked_rows: Collection[int] = ()) -> bytes:
    """The process trees that hold most of what `marked_rows` (numbers of log rows) made, then the largest. PNG bytes.

    Empty where no process has a parent. Children of one parent with equal trees below them share their lines.
    """
    lines, n_shown, n_all = _lines(graph, set(marked_rows), MAX_LINES)
    if not lines:
        return b""
    height = 30 + _LINE_PX * len(lines) + 8
    figure = canvas(height / DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, _WIDTH_PX)
    axes.set_ylim(height, 0)
    axes.axis("off")
    font: dict[str, Any] = {"parse_math": False, "va": "center", "fontsize": 7.3, "family": "DejaVu Sans Mono"}
    caption = f"{drawable(title, 60)}  {n_shown} of {n_all} processes in trees".strip()
    axes.text(12, 14, caption, color=FAINT, **font)
    axes.text(_RIGHT_PX, 14, "what it used", color=FAINT, ha="right", **font)
    last = {line.above: at for at, line in enumerate(lines) if line.above >= 0}
    for above, at in last.items():  # one upright for all children
        x = 14 + _INDENT_PX * min(lines[above].depth, _MAX_DEPTH) + 4
        ends = [30 + _LINE_PX * (above + 0.5) + 6, 30 + _LINE_PX * (at + 0.5)]
        axes.plot([x, x], ends, color=_LINE, linewidth=0.9)
    for at, line in enumerate(lines):
        x, y = 14 + _INDENT_PX * min(line.depth, _MAX_DEPTH), 30 + _LINE_PX * (at + 0.5)
        if line.above >= 0:
            x_above = 14 + _INDENT_PX * min(lines[line.above].depth, _MAX_DEPTH) + 4
            x_end = max(x - 3, x_above + 4)
            axes.plot([x_above, x_end], [y, y], color=_LINE, linewidth=0.9)
        colour = _MARK if line.marked else INK
        axes.text(x, y, line.name, color=colour, weight="bold" if line.marked else "normal", **font)
        after = max(x + _CHAR_PX * (len(line.name) + 2), float(_COMMAND_PX))
        room = int((_RIGHT_PX - _CHAR_PX * (len(line.right) + 2) - after) / _CHAR_PX)
        if room > 3:
            axes.text(after, y, shortened(line.detail, room), color=FAINT, **font)
        axes.text(_RIGHT_PX, y, line.right, color=FAINT, ha="right", **font)
    return png(figure)


def tree_lines(graph: Graph, marked_rows: Collection[int], *, most: int) -> tuple[list[ProcessLine], int]:
    """At most so many lines of what `tree_picture` draws, and how many processes have a parent or a child."""
    lines, _, n_all = _lines(graph, set(marked_rows), most)
    return lines, n_all


class _Tree:
    """Processes with children, and what each used."""

    def __init__(self, graph: Graph, marked_rows: set[int]) -> None:
        columns = ["id", "pid", "exe", "cmdline", "parent_id", "created_by"]
        self.procs: list[dict[str, Any]] = graph["proc_nodes"].select(columns).to_pylist()
        self.children: dict[int, list[int]] = {}
        for proc in self.procs:
            if proc["parent_id"] is not None:
                self.children.setdefault(proc["parent_id"], []).append(proc["id"])
        self.used: Counter[tuple[int, str]] = Counter()
        self.marked = {proc["id"] for proc in self.procs if not marked_rows.isdisjoint(proc["created_by"])}
        self.leading = set(self.marked)  # and all above them
        above = {child: parent for parent, children in self.children.items() for child in children}
        for marked in self.marked:
            parent = above.get(marked)
            while parent is not None and parent not in self.leading:
                self.leading.add(parent)
                parent = above.get(parent)
        edges = graph["edges"]
        for src, etype in zip(edges["src_id"].to_pylist(), edges["etype"].to_pylist(), strict=True):
            self.used[src, etype] += 1

    def below(self, root: int) -> list[int]:
        """A process and all below it."""
        found = [root]
        for each in found:
            found.extend(self.children.get(each, ()))
        return found

    def name(self, at: int) -> str:
        exe = self.procs[at]["exe"]
        name = drawable(exe[-200:].replace("/", "\\").rpartition("\\")[2], _NAME_CHARS) if exe else ""
        return name or f"pid {self.procs[at]['pid']}"

    def right(self, group: list[int]) -> str:
        counts = [(sum(self.used[each, etype] for each in group), nouns) for etype, nouns in _KINDS]
        return "  ".join(f"{n} {noun if n == 1 else nouns}" for n, (noun, nouns) in counts if n)

    def shapes(self, root: int) -> dict[int, int]:
        """A number for each process below: equal ones have equal names in equal places."""
        known: dict[tuple[object, ...], int] = {}
        found: dict[int, int] = {}
        for at in reversed(self.below(root)):
            shape = (self.name(at), *sorted(found[child] for child in self.children.get(at, ())))
            found[at] = known.setdefault(shape, len(known))
        return found

    def detail(self, at: int) -> str:
        """The command line without the program, which stands before it."""
        command = (self.procs[at]["cmdline"] or "")[:400].strip()
        if command.startswith('"'):
            head, _, rest = command[1:].partition('"')
        else:
            head, _, rest = command.partition(" ")
        own = base_name(self.procs[at]["exe"] or "").removesuffix(".exe")
        words = rest if base_name(head).removesuffix(".exe") == own else command
        return drawable(words, 100)


def _lines(graph: Graph, marked_rows: set[int], most: int) -> tuple[list[ProcessLine], int, int]:
    """The lines to draw, how many processes they show, and how many have a parent or a child."""
    tree = _Tree(graph, marked_rows)
    roots = [at for at in tree.children if tree.procs[at]["parent_id"] is None]
    trees = {root: tree.below(root) for root in roots}
    n_all = sum(len(each) for each in trees.values())
    share_marked = len(tree.marked) < n_all / 2  # where most is marked, marks tell nothing

    def weight(root: int) -> tuple[int, int, int]:
        marked = len(tree.marked.intersection(trees[root])) if share_marked else 0
        return -marked, -len(trees[root]), root

    lines: list[ProcessLine] = []
    shown = 0
    for root in sorted(roots, key=weight):
        if len(lines) >= most - 1:
            break
        shown += _draw(tree, root, lines, share_marked, most)
    return lines, shown, n_all


def _draw(tree: _Tree, root: int, lines: list[ProcessLine], marks: bool, most: int) -> int:
    """Adds the lines of one tree, as far as there is room; gives how many processes they show."""
    shown, shapes = 0, tree.shapes(root)
    waiting: list[tuple[list[int], int, int]] = [([root], 0, -1)]
    while waiting and len(lines) < most:
        group, depth, above = waiting.pop()
        at = group[0]
        name = tree.name(at) + (f" x{len(group)}" if len(group) > 1 else "")
        marked = marks and not tree.marked.isdisjoint(group)
        lines.append(ProcessLine(depth, above, name, tree.detail(at), tree.right(group), marked))
        shown += len(group)
        here = len(lines) - 1
        groups: dict[object, list[int]] = {}
        for child in (child for each in group for child in tree.children.get(each, ())):
            groups.setdefault((shapes[child], child in tree.marked), []).append(child)
        # what leads to a mark is drawn while there is room
        order = sorted(groups.values(), key=lambda each: marks and not any(child in tree.leading for child in each))
        waiting.extend((each, depth + 1, here) for each in reversed(order))
    return shown
