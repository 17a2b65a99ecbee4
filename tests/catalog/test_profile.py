from __future__ import annotations

from pathlib import Path

import pytest

from catray.catalog.column_names import meaning
from catray.catalog.profile import Column, as_list, determined, sample_feed


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("12", "number"),
        (12.0, "number"),
        ("899.0", "decimal"),
        ("19,99 €", "decimal"),
        ("EUR 1.299,00", "decimal"),
        ("2024-01-31", "date"),
        ("31.01.2024", "date"),
        (True, "boolean"),
        ("https://a.b/c.jpg?w=3", "image_url"),
        ("www.a.de/p/1", "url"),
        ('["https://a.b/c.jpg"]', "image_url"),
        (["https://a.b/c"], "url"),
        ("shop.de", "host"),
        ("a b/1.JPG", "image_file"),
        (b"\xff", "bytes"),
        ("QUJD" * 80, "base64"),
        ('{"a": 1}', "structure"),
        ([{"a": 1}], "structure"),
        ("BP.100004", "text"),
        ("Red shirt", "text"),
        ("Men / Shirts", "text"),
    ],
)
def test_kinds(value: object, kind: str) -> None:
    assert Column("c", [value, None, ""]).kinds == {kind: 1.0}


def test_lists() -> None:
    assert as_list("['a', 'b']") == as_list('["a", "b"]') == as_list(("a", "b")) == ["a", "b"]
    assert as_list("[new] a") is None
    assert as_list("[" * 5000 + "]") is None


def test_separator() -> None:
    assert Column("c", ["A >> B", "C >> D"]).separator == (">>", 1.0)
    assert Column("c", ["A / b > B", "C > D"]).separator == (">", 1.0)
    assert Column("c", ['["A >> B"]']).separator == (">>", 1.0)
    assert Column("c", ["A", "> B"]).separator == ("", 0.0)


def test_determined() -> None:
    coarse = Column("coarse", ["x", "x", "y", "y", "x", "y"])
    assert determined(Column("fine", ["a", "a", "b", "b", "c", "d"]), coarse) == (1.0, pytest.approx(4 / 6))
    assert determined(Column("unique", list("abcdef")), coarse) == (0.0, 0.0)
    assert determined(Column("other", ["a", "b", "a", "b", "a", "b"]), coarse)[0] < 0.5


def test_the_sample_is_from_all_over_the_feed(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text("id,shop\n" + "".join(f"{i},{i // 1000}\n" for i in range(5000)) + "1,2,3\n", encoding="utf-8")
    table = sample_feed(str(path), 200)
    assert 180 <= len(table.rows) <= 220
    assert set(table.columns["shop"].counts) == set("01234")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("uniq_id", "id"),
        ("Artikelnr.", "id"),
        ("productDisplayName", "title"),
        ("Artikelbezeichnung", "title"),
        ("Libellé", "title"),
        ("prodotto.titolo", "title"),
        ("Produktbeschreibung", "description"),
        ("medien.bild", "image"),
        ("category_name", "category"),
        ("image_id", "image"),
        ("brand_name", "brand"),
        ("baseColour", "other"),
        ("tienda", "platform"),
    ],
)
def test_meaning(name: str, role: str) -> None:
    scores = meaning(name)
    assert max(scores, key=lambda key: scores[key]) == role
