"""The nearest right name in an error message."""

from __future__ import annotations

from catray.errors import CatrayError, nearest


def test_nearest_names_the_most_alike() -> None:
    assert nearest("epoch", ["patience", "epochs", "name"]) == " Did you mean 'epochs'?"
    assert nearest("Shoes > Bots", (p for p in ("Shoes > Boots", "Bags"))) == " Did you mean 'Shoes > Boots'?"


def test_nearest_ignores_case_but_shows_it() -> None:
    assert nearest("FOOTWEAR", ["Footwear", "footnote"]) == " Did you mean 'Footwear'?"


def test_nearest_says_nothing_where_nothing_is_near() -> None:
    assert nearest("epochs", ["workspace", "taxonomy"]) == ""
    assert nearest("epochs", []) == ""


def test_an_error_is_its_message() -> None:
    assert str(CatrayError("feeds.csv: no column 'id'")) == "feeds.csv: no column 'id'"
