"""The category tree: any depth, ragged, 1 to 50,000 nodes; a node is its path, not its name.

    read_taxonomy("fashion.txt")      a path a line, `A > B > C` (inner nodes may be listed or implied)
    read_taxonomy("google.txt")       Google's product taxonomy, `id - A > B`
    read_taxonomy("taxonomy.json")    ours: [{"id", "name", "parent"}, ...], bare or under "nodes"

Names are kept in Unicode NFC with single spaces, compared case-sensitively, and may hold anything but `>`. An id is
made once, from the path at which a node first appears, and kept from then on in the JSON, also when the node is renamed
or moved.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from catray.artifact import write_json
from catray.errors import CatrayError, nearest

NodePath = tuple[str, ...]
GOOGLE_LINE = re.compile(r"(\d+) - (.+)")
JSON_START = re.compile(r'\s*(\{\s*["}]|\[\s*[{\]])')
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NOT_IN_NAMES = re.compile("[>\ud800-\udfff]")  # the separator, and halves of characters that no file can hold


def clean_name(name: str) -> str:
    """NFC; control characters and runs of white space to one space."""
    return " ".join(CONTROL.sub(" ", unicodedata.normalize("NFC", name)).split())


def parse_path(text: str) -> NodePath:
    """`A > B` (or `A>B`) -> ("A", "B"), each name cleaned. ValueError for an empty name."""
    names = tuple(map(clean_name, text.split(">")))
    if not all(names):
        raise ValueError("an empty name")
    return names


def format_path(path: Sequence[str]) -> str:
    return " > ".join(path)


def path_id(path: Sequence[str]) -> str:
    """12 hex digits of the path: the id of a node that appears there for the first time."""
    return hashlib.blake2b("\x1f".join(path).encode(), digest_size=6).hexdigest()


class Taxonomy:
    """Nodes 0..N-1 in breadth-first order, siblings side by side in the order they were first seen; immutable.

    names, ids (N,); parents (N,) int64, ascending, -1 for a top-level node; level (N,) int64, 1 for a top-level node;
    group (N,) int64, the sibling group, parents + 1; is_leaf (N,) bool. The virtual root is no node.
    """

    def __init__(self, names: Sequence[str], parents: Sequence[int], ids: Sequence[str | None], what: str = "node"):
        """From nodes in any order; an id that is None is made from the path.

        CatrayError, with the nodes' numbers (from 1, as `what`), for a cycle, an unknown parent, duplicate siblings or
        ids, an empty name or one with `>`.
        """

        def at(*nodes: int) -> str:
            return " and ".join(f"{what} {n + 1} ({names[n]!r})" for n in nodes)

        names = [clean_name(name) for name in names]
        if not names:
            raise CatrayError("the taxonomy has no node: it needs at least one")
        children: list[list[int]] = [[] for _ in range(len(names) + 1)]
        for node, (name, parent) in enumerate(zip(names, parents, strict=True)):
            if not name:
                raise CatrayError(f"{at(node)}: an empty name: give it one")
            if bad := NOT_IN_NAMES.search(name):
                raise CatrayError(f"{at(node)}: {bad[0]!r} can't stand in a name: write something else for it")
            if not -1 <= parent < len(names):
                raise CatrayError(f"{at(node)}: unknown parent {parent}")
            children[parent + 1].append(node)
        order = list(children[0])
        for node in order:  # grows as it goes
            order += children[node + 1]
        if len(order) < len(names):
            walk = {(node := min(set(range(len(names))) - set(order))): None}
            while (node := parents[node]) not in walk:
                walk[node] = None
            loop = list(walk)[list(walk).index(node) :]
            raise CatrayError(f"a cycle of parents: {at(*loop)} lie under one another: give one of them another parent")
        place = np.full(len(names) + 1, -1, dtype=np.int64)  # the last entry is the place of parent -1
        place[order] = np.arange(len(order))
        self.names: NodePath = tuple(names[n] for n in order)
        self.parents: np.ndarray = place[np.asarray(parents, dtype=np.int64)[order]]
        self._index: dict[tuple[int, str], int] = {}
        levels: list[int] = []
        for node, (parent, name) in enumerate(zip(self.parents.tolist(), self.names, strict=True)):
            twin = self._index.setdefault((parent, name), node)
            if twin != node:
                raise CatrayError(f"{at(order[twin], order[node])} are siblings of one name: rename or remove one")
            levels.append(levels[parent] + 1 if parent >= 0 else 1)
        # Parents ascend, so the children of node n are the range starts[n + 1] .. starts[n + 2].
        self._starts = np.searchsorted(self.parents, np.arange(-1, len(order) + 1))
        self.level: np.ndarray = np.array(levels, dtype=np.int64)
        self.group: np.ndarray = self.parents + 1
        self.is_leaf: np.ndarray = self._starts[1:-1] == self._starts[2:]
        for array in (self.parents, self.level, self.group, self.is_leaf, self._starts):
            array.flags.writeable = False
        self.ids: tuple[str, ...] = self._ids([ids[n] for n in order])
        first: dict[str, int] = {}
        for node, name in enumerate(self.ids):
            twin = first.setdefault(name, node)
            if twin != node:
                raise CatrayError(f"{at(order[twin], order[node])} have one id, {name!r}: give one of them another")

    def _ids(self, given: Sequence[str | None]) -> tuple[str, ...]:
        """`given`, the missing ones made as `path_id` does, from the parent's digest: linear also in a deep tree."""
        if all(given):
            return tuple(id for id in given if id)
        digests: list[Any] = []
        for parent, name in zip(self.parents.tolist(), self.names, strict=True):
            digest = digests[parent].copy() if parent >= 0 else hashlib.blake2b(digest_size=6)
            digest.update((("\x1f" if parent >= 0 else "") + name).encode())
            digests.append(digest)
        return tuple(id or digest.hexdigest() for id, digest in zip(given, digests, strict=True))

    @classmethod
    def from_paths(cls, paths: Iterable[Sequence[str]], ids: Mapping[NodePath, str] | None = None) -> Taxonomy:
        """From leaf (or any) paths; inner nodes are implied. `ids` gives known ids, others are made from the path."""
        index: dict[tuple[int, str], int] = {}  # (parent, name) -> node, in the order of its making
        for path in paths:
            if isinstance(path, str) or not path:
                raise CatrayError(f"{path!r} is no path: expected at least one name in a list or tuple")
            node = -1
            for name in map(clean_name, path):
                node = index.setdefault((node, name), len(index))
        known: list[str | None] = [None] * len(index)
        for path, id in (ids or {}).items():
            node = -1
            for name in map(clean_name, path):
                node = index.get((node, name), len(index))
            if 0 <= node < len(index):
                known[node] = id
        return cls([name for _, name in index], [parent for parent, _ in index], known)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Taxonomy) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    @cached_property
    def hash(self) -> str:
        """16 hex digits over ids, names and parents in order."""
        text = json.dumps([self.ids, self.names, self.parents.tolist()])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def path(self, node: int) -> NodePath:
        return tuple(self.names[n] for n in self.ancestors(node))

    def get(self, path: Sequence[str]) -> int | None:
        """The node at `path`, None where there is none (or the path is empty)."""
        node = self._deepest(path)
        return node if node >= 0 and self.level[node] == len(path) else None

    def _deepest(self, path: Sequence[str]) -> int:
        """The deepest node along `path`; -1 where the taxonomy lacks even the first name."""
        node = -1
        for name in path:
            child = self._index.get((node, name))
            if child is None:  # cleaned only now: the usual name is clean already
                child = self._index.get((node, clean_name(name)))
            if child is None:
                break
            node = child
        return node

    def index(self, path: Sequence[str]) -> int:
        """The node at `path`. CatrayError, with the nearest path, where there is none."""
        node = self.get(path)
        if node is not None:
            return node
        wanted, above = format_path(path), self._deepest(path)
        # Siblings first; then every path that is not much longer.
        for nodes in (self.children(above), np.flatnonzero(self.level <= len(path) + 1)):
            if hint := nearest(wanted, (format_path(self.path(n)) for n in nodes.tolist())):
                raise CatrayError(f"the taxonomy has no {wanted!r}.{hint}")
        same = self.names.index(path[-1]) if path and path[-1] in self.names else above
        hint = f" The nearest is {format_path(self.path(same))!r}." if same >= 0 else ""
        raise CatrayError(f"the taxonomy has no {wanted!r}.{hint}")

    def ancestors(self, node: int) -> list[int]:
        """From the top level down to the node itself."""
        chain = []
        while node >= 0:
            chain.append(int(node))
            node = self.parents[node]
        return chain[::-1]

    def children(self, node: int) -> np.ndarray:
        """Children in order; of the virtual root for -1."""
        return np.arange(self._starts[node + 1], self._starts[node + 2])

    def descendants(self, node: int) -> np.ndarray:
        """The node and all below it, ascending; all nodes for -1."""
        ranges, low, high = [], node, node + 1
        while low < high:  # breadth-first: a level of the subtree is one range
            ranges.append(np.arange(low, high))
            low, high = self._starts[low + 1], self._starts[high + 1]
        return np.concatenate(ranges)[node < 0 :]

    def to_json(self) -> dict[str, Any]:
        nodes = [
            {"id": self.ids[n], "name": self.names[n], "parent": self.ids[p] if p >= 0 else None}
            for n, p in enumerate(self.parents.tolist())
        ]
        return {"nodes": nodes}

    @classmethod
    def from_json(cls, value: Any) -> Taxonomy:
        """CatrayError, with the entry's number, for anything amiss. An entry without `id` gets one from its path."""
        nodes = value.get("nodes") if isinstance(value, dict) else value
        if not isinstance(nodes, list):
            raise CatrayError('expected {"nodes": [{"id", "name", "parent"}, ...]}')
        place: dict[str, int] = {}
        for i, node in enumerate(nodes):
            kinds = [type(node.get(key)) for key in ("name", "id", "parent")] if isinstance(node, dict) else [None]
            if kinds[0] is not str or not {*kinds} <= {str, type(None)}:
                raise CatrayError(f"entry {i + 1}: expected texts `name`, `id` and `parent`, found {node!r:.120}")
            if node.get("id"):
                place.setdefault(node["id"], i)
        parents = []
        for i, node in enumerate(nodes):
            parent = node.get("parent") or None
            if parent is not None and parent not in place:
                unknown = f"entry {i + 1} ({node['name']!r}): its parent {parent!r} is no entry's id."
                raise CatrayError(unknown + nearest(parent, place))
            parents.append(-1 if parent is None else place[parent])
        return cls([node["name"] for node in nodes], parents, [node.get("id") for node in nodes], what="entry")

    def write(self, path: str | Path) -> None:
        """As JSON, atomically; `read_taxonomy` gives the same taxonomy back."""
        write_json(path, self.to_json())


def read_taxonomy(path: str | Path) -> Taxonomy:
    """Read a file of one of the three formats. CatrayError with file and line (or JSON entry) for anything amiss."""
    path = Path(path)
    if not path.is_file():
        raise CatrayError(f"{path}: no such taxonomy file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if not text.strip():
            raise CatrayError("the file is empty: expected a path a line, `A > B > C`")
        if path.suffix.lower() == ".json" or JSON_START.match(text):
            return Taxonomy.from_json(json.loads(text))
        return _from_lines(text.split("\n"))
    except UnicodeDecodeError as error:
        raise CatrayError(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise CatrayError(f"{path}: line {error.lineno}: not valid JSON: {error.msg}") from error
    except CatrayError as error:
        raise CatrayError(f"{path}: {error}") from error


def _from_lines(lines: Sequence[str]) -> Taxonomy:
    rows = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise CatrayError("the file has comments only: expected a path a line, `A > B > C`")
    google = _is_google(rows)
    lines_of: dict[NodePath, int] = {}
    ids: dict[NodePath, str] = {}
    holder: dict[str, int] = {}
    for number, line in rows:
        match = GOOGLE_LINE.fullmatch(line) if google else None
        try:
            path = parse_path(match[2] if match else line)
        except ValueError as error:
            raise CatrayError(f"line {number}: {error} in {line!r}: write one name between every two '>'") from error
        if path in lines_of:
            raise CatrayError(f"line {number}: {line!r} stands in line {lines_of[path]} already: remove one of them")
        lines_of[path] = number
        if match:
            ids[path] = match[1]
            if holder.setdefault(match[1], number) != number:
                mend = "give each line its own (where the numbers belong to the names, write the taxonomy as JSON)"
                raise CatrayError(f"line {number}: line {holder[match[1]]} has the id {match[1]} already: {mend}")
    return Taxonomy.from_paths(lines_of, ids)


def _is_google(rows: Sequence[tuple[int, str]]) -> bool:
    """Whether every line is `id - A > B`, decided for the whole file: a name such as `3 - in - 1` is no id.

    Ids differ from line to line, and Google's file lists inner nodes too, so a lone `3 - in - 1 > x` is a plain path.
    CatrayError where a few lines of a file of ids lack one.
    """
    matches = [GOOGLE_LINE.fullmatch(line) for _, line in rows]
    ids = [match[1] for match in matches if match]
    if 2 * len(set(ids)) <= len(ids) or len(ids) < 0.9 * len(rows):
        return False
    for (number, line), match in zip(rows, matches, strict=True):
        if not match:
            raise CatrayError(f"line {number}: {line!r} has no id, but nearly all lines have one: write `id - A > B`")
    return len(rows) > 1 or ">" not in rows[0][1]


@dataclass(frozen=True)
class Difference:
    """What changed between two versions, by node id; removed in the old order, the others in the new."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[str, ...]
    moved: tuple[str, ...]


def diff(old: Taxonomy, new: Taxonomy) -> Difference:
    """Nodes by id: added, removed, renamed (other name), moved (under a parent of another id); a node can be both."""

    def table(taxonomy: Taxonomy) -> dict[str, tuple[str, str | None]]:
        return {n["id"]: (n["name"], n["parent"]) for n in taxonomy.to_json()["nodes"]}

    before, after = table(old), table(new)
    both = [i for i in after if i in before]
    return Difference(
        added=tuple(i for i in after if i not in before),
        removed=tuple(i for i in before if i not in after),
        renamed=tuple(i for i in both if after[i][0] != before[i][0]),
        moved=tuple(i for i in both if after[i][1] != before[i][1]),
    )
