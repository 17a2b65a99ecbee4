"""The category tree: any depth, ragged, 1 to 50,000 nodes; a node is its path, not its name.

    read_taxonomy("fashion.txt")      a path a line, `A > B > C` (inner nodes may be listed or implied)
    read_taxonomy("google.txt")       Google's product taxonomy, `id - A > B`
    read_taxonomy("taxonomy.json")    ours: ids, names and parents

An id is made once, from the path at which a node first appears, and kept from then on: it survives renaming and moving.
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

from catray.errors import CatrayError, nearest

NodePath = tuple[str, ...]
GOOGLE_LINE = re.compile(r"(\d+) - (.+)")


def parse_path(text: str) -> NodePath:
    """`A > B` -> ("A", "B"), each name in NFC with single spaces. ValueError for an empty name."""
    names = tuple(" ".join(unicodedata.normalize("NFC", name).split()) for name in text.split(">"))
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

    names, ids (N,); parents (N,) int64, -1 for a top-level node; level (N,) int64, 1 for a top-level node.
    The virtual root is no node.
    """

    def __init__(self, names: Sequence[str], parents: Sequence[int], ids: Sequence[str]) -> None:
        """Nodes in any order. CatrayError for a cycle, an unknown parent, duplicate siblings or ids, an empty name."""
        if not names:
            raise CatrayError("the taxonomy has no node")
        children: list[list[int]] = [[] for _ in range(len(names) + 1)]
        for node, parent in enumerate(parents):
            if not -1 <= parent < len(names):
                raise CatrayError(f"{names[node]!r} has an unknown parent ({parent})")
            children[parent + 1].append(node)
        order, paths = [], []
        queue: list[tuple[int, NodePath]] = [(-1, ())]
        for node, path in queue:  # grows as it goes
            for child in children[node + 1]:
                order.append(child)
                paths.append((*path, names[child]))
                queue.append((child, paths[-1]))
        if len(order) < len(names):
            rest = sorted(set(range(len(names))) - set(order))
            raise CatrayError(f"a cycle of parents through {', '.join(repr(names[n]) for n in rest[:5])}: cut it")
        place = np.full(len(names) + 1, -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        self.names: tuple[str, ...] = tuple(names[n] for n in order)
        self.ids: tuple[str, ...] = tuple(ids[n] for n in order)
        self.parents = place[np.asarray(parents, dtype=np.int64)[order]]
        self.level = np.array([len(path) for path in paths], dtype=np.int64)
        self.group = self.parents + 1
        self.is_leaf = np.bincount(self.parents[self.parents >= 0], minlength=len(order)) == 0
        self._paths: tuple[NodePath, ...] = tuple(paths)
        self._index = {path: node for node, path in enumerate(paths)}
        for array in (self.parents, self.level, self.group, self.is_leaf):
            array.flags.writeable = False
        if not all(self.names):
            raise CatrayError("a node has an empty name")
        if len(self._index) < len(paths):
            double = next(p for i, p in enumerate(paths) if self._index[p] != i)
            raise CatrayError(f"{format_path(double)} stands there twice: siblings need different names")
        if len(set(self.ids)) < len(self.ids):
            seen: set[str] = set()
            double_id = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise CatrayError(f"two nodes have the id {double_id!r}: ids must differ")

    @classmethod
    def from_paths(cls, paths: Iterable[Sequence[str]], ids: Mapping[NodePath, str] | None = None) -> Taxonomy:
        """From leaf (or any) paths; inner nodes are implied. `ids` gives known ids, others are made from the path."""
        ids = ids or {}
        index: dict[NodePath, int] = {}
        names: list[str] = []
        parents: list[int] = []
        for path in paths:
            parent = -1
            for depth in range(1, len(path) + 1):
                head = tuple(path[:depth])
                node = index.get(head)
                if node is None:
                    node = index[head] = len(names)
                    names.append(head[-1])
                    parents.append(parent)
                parent = node
        return cls(names, parents, [ids.get(path) or path_id(path) for path in index])

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Taxonomy) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    @cached_property
    def hash(self) -> str:
        """16 hex digits over ids, names and parents in order."""
        text = json.dumps([self.ids, self.names, self.parents.tolist()], ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def _children(self) -> list[np.ndarray]:
        order = np.argsort(self.group, kind="stable")
        bounds = np.searchsorted(self.group[order], np.arange(len(self) + 2))
        return [order[bounds[g] : bounds[g + 1]] for g in range(len(self) + 1)]

    def path(self, node: int) -> NodePath:
        return self._paths[node]

    def get(self, path: Sequence[str]) -> int | None:
        return self._index.get(tuple(path))

    def index(self, path: Sequence[str]) -> int:
        """The node at `path`. CatrayError, with the nearest path, where there is none."""
        node = self.get(path)
        if node is None:
            known = map(format_path, self._paths)
            raise CatrayError(f"the taxonomy has no {format_path(path)!r}.{nearest(format_path(path), known)}")
        return node

    def ancestors(self, node: int) -> list[int]:
        """From the top level down to the node itself."""
        chain = []
        while node >= 0:
            chain.append(node)
            node = int(self.parents[node])
        return chain[::-1]

    def children(self, node: int) -> np.ndarray:
        """Children in order; of the virtual root for -1."""
        return self._children[node + 1]

    def descendants(self, node: int) -> np.ndarray:
        """The node and all below it, ascending."""
        found, front = [node], [node]
        while front:
            front = [int(child) for parent in front for child in self.children(parent)]
            found += front
        return np.array(sorted(found), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        nodes = [
            {"id": self.ids[n], "name": self.names[n], "parent": self.ids[p] if p >= 0 else None}
            for n, p in enumerate(self.parents.tolist())
        ]
        return {"nodes": nodes}

    @classmethod
    def from_json(cls, value: Any) -> Taxonomy:
        """CatrayError where an entry lacks id or name, or names an unknown parent."""
        nodes = value.get("nodes") if isinstance(value, dict) else None
        if not isinstance(nodes, list):
            raise CatrayError('expected {"nodes": [{"id", "name", "parent"}, ...]}')
        for i, node in enumerate(nodes):
            if not isinstance(node, dict) or not isinstance(node.get("id"), str) or not isinstance(node.get("name"), str):
                raise CatrayError(f"entry {i + 1}: expected texts `id` and `name`")
        place = {node["id"]: i for i, node in enumerate(nodes)}
        for i, node in enumerate(nodes):
            if node.get("parent") is not None and node["parent"] not in place:
                raise CatrayError(f"entry {i + 1} ({node['name']!r}): unknown parent {node['parent']!r}")
        parents = [-1 if node.get("parent") is None else place[node["parent"]] for node in nodes]
        return cls([node["name"] for node in nodes], parents, [node["id"] for node in nodes])

    def write(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_taxonomy(path: str | Path) -> Taxonomy:
    """Read a file of one of the three formats. CatrayError with file and line for anything amiss."""
    path = Path(path)
    if not path.is_file():
        raise CatrayError(f"{path}: no such taxonomy file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("{"):
            return Taxonomy.from_json(json.loads(text))
        return _from_lines(text.splitlines())
    except UnicodeDecodeError as error:
        raise CatrayError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise CatrayError(f"{path}: line {error.lineno}: not valid JSON: {error.msg}") from error
    except CatrayError as error:
        raise CatrayError(f"{path}: {error}") from error


def _from_lines(lines: Sequence[str]) -> Taxonomy:
    rows = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise CatrayError("the file is empty: expected a path a line, `A > B > C`")
    google = all(GOOGLE_LINE.fullmatch(line) for _, line in rows)  # decided for the whole file
    first: dict[NodePath, int] = {}
    ids: dict[NodePath, str] = {}
    for number, line in rows:
        try:
            match = GOOGLE_LINE.fullmatch(line) if google else None
            path = parse_path(match.group(2) if match else line)
        except ValueError as error:
            raise CatrayError(f"line {number}: {error} in {line!r}") from error
        if path in first:
            raise CatrayError(f"line {number}: {format_path(path)} stands in line {first[path]} already: remove one")
        first[path] = number
        if match:
            ids[path] = match.group(1)
    return Taxonomy.from_paths(first, ids)


@dataclass(frozen=True)
class Difference:
    """What changed between two versions, by node id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[str, ...]
    moved: tuple[str, ...]


def diff(old: Taxonomy, new: Taxonomy) -> Difference:
    """Nodes by id: added, removed, renamed (other name), moved (other parent)."""

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
