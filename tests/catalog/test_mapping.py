from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catray.catalog.mapping import as_text, check_columns, clean, lookup, render, render_path
from catray.config import Feed, Fields, SplitColumn
from catray.errors import CatrayError

ROW = {"id": 12.0, "brand": "ACME ", "title": "Big\tshoe\n", "none": None, "cats": ["Men", "Shoes"], "a": {"b": "deep"}}


def test_render() -> None:
    assert render("{brand} {title}", ROW) == "ACME Big shoe"
    assert render("{id}", ROW) == "12"
    assert render("{none} {a.b}", ROW) == "deep"
    assert render("images/{none}.jpg", ROW, strict=True) == ""
    assert render("images/{id}.jpg", ROW, strict=True) == "images/12.jpg"
    assert clean("e\u0301\x00x") == "é x"


@pytest.mark.parametrize(
    ("field", "row", "expected"),
    [
        (["{a.b}", "{none}", "{brand}"], ROW, ["deep", "ACME"]),
        (SplitColumn(column="cats"), ROW, ["Men", "Shoes"]),
        (SplitColumn(column="c", separator=">>"), {"c": '["Home >> Bath >> Towel..."]'}, ["Home", "Bath", "Towel..."]),
        (SplitColumn(column="c"), {"c": "[new] A > B"}, ["[new] A", "B"]),
        (SplitColumn(column="c"), {"c": ""}, None),
        (SplitColumn(column="c"), {"c": "Home &gt; Bath &amp; Towels > <b>New</b>"}, ["Home", "Bath & Towels", "New"]),
        (SplitColumn(column="c", separator="/"), {"c": "Men/Shoes / "}, ["Men", "Shoes"]),
        (SplitColumn(column="c", separator=[">>", ">", "/", "|"]), {"c": "A/B > C"}, ["A/B", "C"]),
        (SplitColumn(column="c", separator=[">>", ">", "/", "|"]), {"c": "A | B"}, ["A", "B"]),
        (SplitColumn(column="c", separator=[">>", ">", "/", "|"]), {"c": "A"}, ["A"]),
        (SplitColumn(column="c", separator="\n"), {"c": "A\nB c"}, ["A", "B c"]),
        (SplitColumn(column="c"), {"c": "['Men', \"Men's shoes\", None]"}, ["Men", "Men's shoes"]),
        (
            SplitColumn(column="c"),
            {"c": [["Men", "Shoes > Boots"], [["Chelsea"]]]},
            ["Men", "Shoes", "Boots", "Chelsea"],
        ),
        (SplitColumn(column="c"), {"c": "[__import__('os')]"}, ["[__import__('os')]"]),
        (SplitColumn(column="c.0"), {"c": ["A > B", "C"]}, ["A", "B"]),
        (None, ROW, None),
    ],
)
def test_render_path(field: object, row: dict, expected: list[str] | None) -> None:
    assert render_path(field, row) == expected  # type: ignore[arg-type]


def test_a_missing_column_names_the_nearest() -> None:
    feed = Feed(files="x.csv", fields=Fields(product_id="{id}", title="{titel}"))
    with pytest.raises(
        CatrayError, match=r"no column 'titel', which catalog.feeds.shop.fields.title names. Did you mean 'title'"
    ):
        check_columns("shop", feed, "x.csv", ["id", "title"])
    check_columns("shop", feed, "x.csv", ["id", "titel"])
    nested = Feed(files="x.jsonl", fields=Fields(product_id="{id}", image="{images.3.url}"))
    check_columns("shop", nested, "x.jsonl", ["id", "images", "images.0", "images.0.url"])


def test_lookup_reaches_into_lists() -> None:
    row = {"images": [{"url": "a"}, {"url": "b"}], "x.y": 1, "n": {"0": "zero"}}
    assert lookup(row, "images.1.url") == "b" and lookup(row, "x.y") == 1 and lookup(row, "n.0") == "zero"
    for name in ("images.2.url", "images.-1.url", "images.url", "images.99999999999", "x.y.0"):
        assert lookup(row, name) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Soft<br/>cotton</p><ul><li>red</li><li>blue</li></ul>", "Soft cotton red blue"),
        ("<B>bo</B>ld, H<sub>2</sub>O", "bold, H2O"),
        ("<a href=\"x?a > b\" title='y'>link</a>", "link"),
        ('a<script>if (a < b) { x("</p>") }</script >b<STYLE>p {}</STYLE>c', "a b c"),
        ("a<!-- <b> not > this -->b", "a b"),
        ("<!DOCTYPE html><?xml version='1.0'?><o:p>word</o:p>", "word"),
        ("a < b and 5 > 3, 2<3", "a < b and 5 > 3, 2<3"),
        ("AT&T, R&D, Pen&parasol, ?a=1&copy=2 &unknown; &", "AT&T, R&D, Pen&parasol, ?a=1&copy=2 &unknown; &"),
        ("size <XL> <3 <-", "size <XL> <3 <-"),
        ("Tom &amp; Jerry&#39;s &eacute;&nbsp;&lt; 5 &quot;x&quot; &#x1F45F;", 'Tom & Jerry\'s é < 5 "x" 👟'),
        ("&lt;p&gt;escaped&lt;/p&gt; &amp;amp;amp; more", "escaped & more"),
        ("never <!-- closed, <script> neither", "never <!-- closed, neither"),
        ("e<b>\u0301</b> \x00 \x85 tab\t.", "é tab ."),
    ],
)
def test_html_is_gone_and_text_is_kept(text: str, expected: str) -> None:
    assert clean(text) == expected


PIECES = ["<", ">", "&", ";", "&amp;", "&lt;", "gt;", "<b>", "</p>", "<!--", "-->", "<script>", "#38;", " ", "\n", "\0"]
PIECES += ["a", "b", "é", "e", "\u0301", "\u0338", "\u037e", '"', "'", "/", "\u2028", "\xa0", "x"]


@given(st.lists(st.sampled_from(PIECES)).map("".join) | st.text())
def test_cleaning_clean_text_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once == unicodedata.normalize("NFC", once)
    assert not any(unicodedata.category(c) == "Cc" for c in once) and "  " not in once
    assert as_text([text, [text]]) == clean(f"{once} {once}") == render("{a.0} {a.1.0}", {"a": [text, [text]]})


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=["Cc", "Cs"])))
def test_text_without_markup_keeps_its_words(text: str) -> None:
    assert clean(text).split() == unicodedata.normalize("NFC", text).split()


@pytest.mark.parametrize(
    "piece", ["<!--", "<a ", '<a "', "<a '", "&amp;", "&", "<script>", "<style", "<![", "&lt;b&gt;"]
)
def test_hostile_markup_takes_linear_time(piece: str) -> None:
    started = time.monotonic()
    clean(piece * 30_000)
    assert render_path(SplitColumn(column="c"), {"c": "[" * 4000 + piece * 100})
    assert time.monotonic() - started < 3


def test_a_path_that_only_looks_like_a_list_is_text() -> None:
    for text in ("[" + "-" * 4000 + "1]", "[" * 90 + "]" * 89, "[1 +", "[" + "9" * 4900 + "]"):
        assert render_path(SplitColumn(column="c", separator="|"), {"c": text})
