from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from catray.catalog.duplicates import groups, split_of, title_token
from catray.config import SplitShares


def test_title_token() -> None:
    assert title_token("Red  SHOE, size 7") == title_token("shoe red (Size: 7)")
    assert title_token("Crème brûlée") == title_token("creme brulee")
    assert title_token("Red shoe") != title_token("Blue shoe")
    assert title_token("  - ") is None


def test_groups_join_by_title_or_picture_transitively() -> None:
    keys = ["a", "b", "c", "d", "e"]
    got = groups(keys, [["t1", "t1", None, "t2", None], [None, "i1", "i1", None, None]])
    assert got[0] == got[1] == got[2]
    assert len({got[0], got[3], got[4]}) == 3


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyzuvw") | st.none()), max_size=30), st.randoms()
)
def test_group_names_do_not_depend_on_order(rows: list[tuple[str, str | None]], random: object) -> None:
    keys = [f"k{i}" for i in range(len(rows))]
    one = dict(zip(keys, groups(keys, [[r[0] for r in rows], [r[1] for r in rows]]), strict=True))
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = [keys[i] for i in order]
    two = groups(shuffled, [[rows[i][0] for i in order], [rows[i][1] for i in order]])
    assert one == dict(zip(shuffled, two, strict=True))


def test_split_by_hash_is_stable_and_has_the_shares() -> None:
    shares = SplitShares()
    splits = [split_of(f"g{i}", shares, 0) for i in range(20_000)]
    assert splits == [split_of(f"g{i}", shares, 0) for i in range(20_000)]
    assert abs(splits.count("train") / 20_000 - 0.8) < 0.02 and abs(splits.count("test") / 20_000 - 0.1) < 0.02
    assert splits != [split_of(f"g{i}", shares, 1) for i in range(20_000)]
