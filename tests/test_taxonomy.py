"""The taxonomy: formats, refusals, ids, structure; checked on random trees, on Google's, and at 50,000 nodes."""

from __future__ import annotations

import json
import unicodedata
from itertools import chain as joined
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catray.errors import CatrayError
from catray.taxonomy import Taxonomy, diff, format_path, parse_path, path_id, read_taxonomy

SHOP = [("Shoes", "Boots"), ("Bags",), ("Shoes", "Sandals"), ("Bags", "Boots", "Zip")]

# few names, so that random trees share prefixes and use one name under several parents
names = st.sampled_from(["A", "b", "B", "Ä", "3 - in - 1", "Hats & Caps", "靴", "#1", "{x}"])
paths = st.lists(st.lists(names, min_size=1, max_size=5).map(tuple), min_size=1, max_size=25)
trees = paths.map(Taxonomy.from_paths)


def listed(taxonomy: Taxonomy) -> list[tuple[str, ...]]:
    return [taxonomy.path(n) for n in range(len(taxonomy))]


def read(folder: Path, text: str, name: str = "t.txt") -> Taxonomy:
    (folder / name).write_text(text, encoding="utf-8")
    return read_taxonomy(folder / name)


# --- structure -------------------------------------------------------------------------------------------------------


def test_nodes_are_breadth_first_with_siblings_in_first_seen_order() -> None:
    tree = Taxonomy.from_paths(SHOP)
    assert tree.names == ("Shoes", "Bags", "Boots", "Sandals", "Boots", "Zip")
    assert tree.parents.tolist() == [-1, -1, 0, 0, 1, 4]
    assert tree.level.tolist() == [1, 1, 2, 2, 2, 3]
    assert tree.group.tolist() == [0, 0, 1, 1, 2, 5]
    assert tree.is_leaf.tolist() == [False, False, True, True, False, True]
    assert (
        tree.children(-1).tolist() == [0, 1] and tree.children(0).tolist() == [2, 3] and tree.children(2).tolist() == []
    )
    assert tree.ancestors(5) == [1, 4, 5] and tree.descendants(1).tolist() == [1, 4, 5]
    assert tree.descendants(-1).tolist() == list(range(6))


def test_equal_names_under_different_parents_are_different_nodes() -> None:
    tree = Taxonomy.from_paths(SHOP)
    assert tree.index(("Shoes", "Boots")) != tree.index(("Bags", "Boots"))
    assert len(set(tree.ids)) == len(tree)


def test_arrays_can_not_be_changed() -> None:
    tree = Taxonomy.from_paths(SHOP)
    for array in (tree.parents, tree.level, tree.group, tree.is_leaf):
        with pytest.raises(ValueError):
            array[0] = 0


@given(paths)
def test_every_prefix_of_every_path_is_a_node_and_nothing_else(paths: list[tuple[str, ...]]) -> None:
    tree = Taxonomy.from_paths(paths)
    assert set(listed(tree)) == {path[:n] for path in paths for n in range(1, len(path) + 1)}


@given(trees)
def test_path_and_index_are_inverse(tree: Taxonomy) -> None:
    assert [tree.index(path) for path in listed(tree)] == list(range(len(tree)))


@given(trees)
def test_ancestors_children_descendants_levels_agree(tree: Taxonomy) -> None:
    for node in range(len(tree)):
        chain = tree.ancestors(node)
        assert chain[-1] == node and len(chain) == tree.level[node]
        assert all(tree.parents[below] == above for above, below in pairwise(chain))
        assert tree.children(node).tolist() == [c for c in range(len(tree)) if tree.parents[c] == node]
        assert tree.descendants(node).tolist() == [d for d in range(len(tree)) if node in tree.ancestors(d)]
        assert tree.is_leaf[node] == (len(tree.children(node)) == 0)


@given(trees)
def test_groups_partition_the_nodes_into_siblings_side_by_side(tree: Taxonomy) -> None:
    assert np.all(np.diff(tree.group) >= 0) and np.all(np.diff(tree.level) >= 0)
    found = [tree.children(parent).tolist() for parent in range(-1, len(tree))]
    assert list(joined.from_iterable(found)) == list(range(len(tree)))
    for parent, children in enumerate(found, -1):
        assert all(tree.group[child] == parent + 1 for child in children)


@pytest.mark.parametrize("shape", ["wide", "bushy", "deep"])
def test_fifty_thousand_nodes(shape: str) -> None:
    if shape == "wide":
        tree = Taxonomy.from_paths([(f"{i}",) for i in range(50_000)])
    elif shape == "bushy":
        tree = Taxonomy.from_paths([(f"{i // 2500}", f"{i // 50}", f"{i}") for i in range(49_000)])
    else:
        tree = Taxonomy.from_paths([tuple(f"{i}" for i in range(50_000))])
    assert len(tree) == 50_000
    assert Taxonomy.from_json(tree.to_json()).hash == tree.hash
    assert len(tree.descendants(-1)) == 50_000 and tree.index(tree.path(49_999)) == 49_999
    with pytest.raises(CatrayError):
        tree.index(("0", "nowhere"))


def test_one_node() -> None:
    tree = Taxonomy.from_paths([("Everything",)])
    assert len(tree) == 1 and tree.is_leaf.tolist() == [True] and tree.descendants(0).tolist() == [0]


# --- looking up ------------------------------------------------------------------------------------------------------


def test_lookup_forgives_white_space_and_unicode_form_but_not_case() -> None:
    tree = Taxonomy.from_paths([("Möbel", "Tisch  groß ")])
    assert tree.names == ("Möbel", "Tisch groß")
    assert tree.get((unicodedata.normalize("NFD", "Möbel"), "Tisch\tgroß")) == 1
    assert tree.get(("möbel",)) is None and tree.get(()) is None and tree.get(("Möbel", "Tisch groß", "x")) is None


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        (("Shoes", "Bots"), "Did you mean 'Shoes > Boots'?"),
        (("shoes",), "Did you mean 'Shoes'?"),
        (("Bags", "Boots", "Zipp"), "Did you mean 'Bags > Boots > Zip'?"),
        (("Zip",), "The nearest is 'Bags > Boots > Zip'."),
        (("Shoes", "Qqqqqqqqqqqqqqqqqqqqq"), "The nearest is 'Shoes'."),
        (("Qqqq",), "has no 'Qqqq'."),
        ((), "has no ''."),
    ],
)
def test_an_unknown_path_names_the_nearest(path: tuple[str, ...], nearest: str) -> None:
    with pytest.raises(CatrayError) as error:
        Taxonomy.from_paths(SHOP).index(path)
    assert str(error.value).endswith(nearest)


def test_paths_as_text() -> None:
    assert parse_path(" A>B  c > D ") == ("A", "B c", "D")
    assert format_path(("A", "B")) == "A > B"
    for text in ("", " > A", "A > > B", "A >"):
        with pytest.raises(ValueError):
            parse_path(text)


@given(trees)
def test_text_of_a_path_reads_back(tree: Taxonomy) -> None:
    assert [parse_path(format_path(path)) for path in listed(tree)] == listed(tree)


# --- ids and versions ------------------------------------------------------------------------------------------------


@given(paths, paths)
def test_ids_do_not_depend_on_the_other_paths(some: list[tuple[str, ...]], more: list[tuple[str, ...]]) -> None:
    small, large = Taxonomy.from_paths(some), Taxonomy.from_paths(more + some)
    assert all(large.ids[large.index(path)] == small.ids[n] == path_id(path) for n, path in enumerate(listed(small)))


def test_ids_survive_renaming_and_moving() -> None:
    old = Taxonomy.from_paths(SHOP)
    value = old.to_json()
    by_name = {node["name"]: node for node in value["nodes"]}
    by_name["Sandals"]["name"] = "Sandals & Slippers"
    by_name["Zip"]["parent"] = by_name["Shoes"]["id"]
    value["nodes"].append({"name": "Clogs", "parent": by_name["Shoes"]["id"]})  # new: its id is made from its path
    new = Taxonomy.from_json(value)
    assert new.ids[new.index(("Shoes", "Sandals & Slippers"))] == path_id(("Shoes", "Sandals"))
    assert new.ids[new.index(("Shoes", "Zip"))] == path_id(("Bags", "Boots", "Zip"))
    change = diff(old, new)
    assert change.added == (path_id(("Shoes", "Clogs")),) and change.removed == ()
    assert change.renamed == (path_id(("Shoes", "Sandals")),) and change.moved == (path_id(("Bags", "Boots", "Zip")),)
    assert diff(new, old).removed == change.added


def test_known_ids_are_kept() -> None:
    ids = {("Shoes",): "187", ("Bags", "Boots"): "7", ("Hats",): "9"}
    tree = Taxonomy.from_paths(SHOP, ids)
    assert tree.ids[tree.index(("Shoes",))] == "187" and tree.ids[tree.index(("Bags", "Boots"))] == "7"
    assert tree.ids[tree.index(("Shoes", "Boots"))] == path_id(("Shoes", "Boots"))


@given(trees)
def test_nothing_differs_from_itself(tree: Taxonomy) -> None:
    change = diff(tree, tree)
    assert (change.added, change.removed, change.renamed, change.moved) == ((), (), (), ())


@given(trees)
def test_json_round_trip(tree: Taxonomy) -> None:
    back = Taxonomy.from_json(json.loads(json.dumps(tree.to_json())))
    assert (back.names, back.ids, back.parents.tolist()) == (tree.names, tree.ids, tree.parents.tolist())
    assert back == tree and back.hash == tree.hash and hash(back) == hash(tree)


def test_hash_covers_ids_names_parents_and_order() -> None:
    tree = Taxonomy(["A", "B", "C"], [-1, 0, 0], ["1", "2", "3"])
    others = [
        Taxonomy(["A", "B", "C"], [-1, 0, 0], ["1", "2", "4"]),
        Taxonomy(["A", "B", "D"], [-1, 0, 0], ["1", "2", "3"]),
        Taxonomy(["A", "B", "C"], [-1, 0, 1], ["1", "2", "3"]),
        Taxonomy(["A", "C", "B"], [-1, 0, 0], ["1", "3", "2"]),
    ]
    assert len({tree.hash, *(other.hash for other in others)}) == 5 and tree not in others


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_path_a_line(tmp_path: Path) -> None:
    text = "\ufeff# ours\r\n\r\nShoes > Boots\r\n  Shoes>Sandals  \r\nShoes\r\n#Bags\r\nBags > Tote > Canvas > S"
    tree = read(tmp_path, text)
    found = (
        "Shoes | Bags | Shoes > Boots | Shoes > Sandals | Bags > Tote | Bags > Tote > Canvas | Bags > Tote > Canvas > S"
    )
    assert [format_path(p) for p in listed(tree)] == found.split(" | ")


def test_googles_lines_keep_their_ids(tmp_path: Path) -> None:
    tree = read(tmp_path, "# Google_Product_Taxonomy_Version: 2021-09-21\n1 - Animals\n3237 - Animals > Live Animals\n")
    assert tree.ids == ("1", "3237") and listed(tree)[1] == ("Animals", "Live Animals")
    leaves = read(tmp_path, "3237 - Animals > Live Animals\n2 - Animals > Food\n")  # inner nodes implied
    assert leaves.ids == (path_id(("Animals",)), "3237", "2")


@pytest.mark.parametrize(
    "text",
    [
        "3 - in - 1 > x\n",
        "3 - in - 1 > x\nJackets > Down\n",
        "3 - in - 1 > x\n3 - in - 1 > y\n",
        "3 - in - 1\n3 - in - 1 > y\n",
        "2 - in - 1 > x\n3 - in - 1 > y\nJackets\n",
    ],
)
def test_a_name_with_a_number_is_no_id(tmp_path: Path, text: str) -> None:
    tree = read(tmp_path, text)
    assert set(listed(tree)) >= {parse_path(line) for line in text.splitlines()}
    assert tree.ids == tuple(path_id(path) for path in listed(tree))


@pytest.mark.parametrize("text", ["{x} > y\n", "[Sale] > y\n", '"A" > y\n'])
def test_a_name_with_brackets_is_no_json(tmp_path: Path, text: str) -> None:
    assert listed(read(tmp_path, text))[1] == parse_path(text)


@pytest.mark.parametrize("name", ["t.json", "t.txt"])
def test_json_bare_or_under_nodes(tmp_path: Path, name: str) -> None:
    nodes = [{"id": "b", "name": "Boots", "parent": "s"}, {"id": "s", "name": "Shoes", "parent": None}]
    for value in (nodes, {"nodes": nodes}):
        tree = read(tmp_path, json.dumps(value), name)
        assert listed(tree) == [("Shoes",), ("Shoes", "Boots")] and tree.ids == ("s", "b")


@given(trees)
def test_write_and_read(tmp_path_factory: pytest.TempPathFactory, tree: Taxonomy) -> None:
    file = tmp_path_factory.getbasetemp() / "written.json"
    tree.write(file)
    assert read_taxonomy(file) == tree


def node(name: Any, id: Any = None, parent: Any = None) -> dict[str, Any]:
    return {"name": name, "id": id, "parent": parent}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("# nothing\n", "comments only"),
        ("A\nB > > C\n", "line 2: an empty name in 'B > > C'"),
        ("A >\n", "line 1: an empty name"),
        ("A > B\n\nC\nA  >  B\n", "line 4: 'A  >  B' stands in line 1 already: remove one"),
        ("1 - A\n2 - A > B\n2 - A > C\n", "line 3: line 2 has the id 2 already: give each line its own"),
        ("".join(f"{i} - A{i}\n" for i in range(20)) + "B\n", "line 21: 'B' has no id, but nearly all lines have one"),
        ('{"nodes": [\n{"id": 1,]}', "line 2: not valid JSON"),
        ('{"tree": []}', 'expected {"nodes"'),
        ("[]", "the taxonomy has no node"),
        (
            json.dumps([{"id": "a"}]),
            "entry 1: expected texts `name`, `id` and `parent`, found {'id': 'a'}",
        ),
        (json.dumps([node("A", 7)]), "entry 1: expected texts"),
        (json.dumps([node("A", "a"), node(" ", "b")]), "entry 2 (''): an empty name"),
        (json.dumps([node("A > B", "a")]), "entry 1 ('A > B'): '>' can't stand in a name"),
        (json.dumps([node("A\ud800", "a")]), "can't stand in a name"),
        (json.dumps([node("A", "shoes"), node("B", "b", "shoe")]), "'shoe' is no entry's id. Did you mean 'shoes'?"),
        (json.dumps([node("A", "a"), node("B", "a")]), "entry 1 ('A') and entry 2 ('B') have one id, 'a': give one"),
        (json.dumps([node("A", "a"), node("C", "c"), node(" A", "b")]), "entry 1 ('A') and entry 3 ('A') are siblings"),
        (
            json.dumps([node("Z", "z"), node("X", "x", "a"), node("A", "a", "b"), node("B", "b", "a")]),
            "a cycle of parents: entry 3 ('A') and entry 4 ('B') lie under one another",
        ),
        (json.dumps([node("A", "a", "a")]), "a cycle of parents: entry 1 ('A')"),
    ],
)
def test_refusals_name_the_file_and_the_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(CatrayError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 't.txt'}: ") and "\n" not in str(error.value)
    assert told in str(error.value)


def test_names_in_two_unicode_forms_are_one_name(tmp_path: Path) -> None:
    with pytest.raises(CatrayError, match=r"line 2: .* stands in line 1 already"):
        read(tmp_path, "Möbel\n" + unicodedata.normalize("NFD", "Möbel"))


def test_a_made_id_that_is_taken_is_refused() -> None:
    with pytest.raises(CatrayError, match="have one id"):
        Taxonomy.from_paths([("A",), ("B",)], {("A",): path_id(("B",))})


def test_missing_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(CatrayError, match="no such taxonomy file"):
        read_taxonomy(tmp_path / "none.txt")
    (tmp_path / "t.txt").write_bytes("Möbel".encode("latin-1"))
    with pytest.raises(CatrayError, match="byte 1 is not UTF-8"):
        read_taxonomy(tmp_path / "t.txt")


@pytest.mark.parametrize("path", ["A > B", ()])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(CatrayError, match="is no path"):
        Taxonomy.from_paths([path])


@pytest.mark.parametrize("parents", [[-1, 2], [-1, -2]])
def test_an_unknown_parent_index_is_refused(parents: list[int]) -> None:
    with pytest.raises(CatrayError, match=r"node 2 \('B'\): unknown parent"):
        Taxonomy(["A", "B"], parents, [None, None])


# --- the real ones ---------------------------------------------------------------------------------------------------


def test_fashion(shared_data: Path) -> None:
    tree = read_taxonomy(shared_data / "taxonomy" / "fashion.txt")
    assert tree.is_leaf.sum() == 163 and tree.level.max() == 3
    assert tree.get(("Footwear", "Shoes")) is not None
    twins = [tree.index(("Accessories", above, "Messenger Bag")) for above in ("Accessories", "Bags")]
    assert twins[0] != twins[1]


def test_google(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "taxonomy" / "google.txt"
    tree = read_taxonomy(file)
    assert len(tree) == 5595 and tree.level.max() == 7
    numbered = "".join(f"{7 * i} - {line}\n" for i, line in enumerate(file.read_text(encoding="utf-8").splitlines()))
    with_ids = read(tmp_path, numbered)
    assert with_ids.names == tree.names and all(id.isdigit() for id in with_ids.ids)
