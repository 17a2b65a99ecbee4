from __future__ import annotations

import pytest

from catray.catalog.mapping import check_columns, clean, render, render_path
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
