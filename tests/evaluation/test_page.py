"""The frame: everything is escaped, nothing is fetched, thumbnails are small and never fail."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import pytest
from markupsafe import Markup
from PIL import Image

from catray.evaluation import page
from catray.evaluation.page import Cell, Section, render_page, table

EVIL = "<script>alert(1)</script>\"'&"


def test_everything_is_escaped(outline: Any) -> None:
    body = (
        table([EVIL, "n"], [[EVIL, 1], [Cell(EVIL, 2, True, EVIL), None]], EVIL, sortable=True)
        + page.tiles([(EVIL, EVIL, EVIL)])
        + page.facts([(EVIL, EVIL)])
        + page.gallery([page.card(page.picture(None, EVIL), EVIL, [(EVIL, EVIL)], "bad")], EVIL)
        + page.details(EVIL, Markup("<p>kept</p>"))
    )
    html = render_page(EVIL, [Section(EVIL, body, EVIL)] * 3, lead=EVIL, kicker=EVIL, foot=EVIL)
    assert "<p>kept</p>" in html
    assert "<script>alert" not in html
    assert len(outline(html).all("script")) == 1  # the page's own


def test_the_page_fetches_nothing_and_is_accessible(outline: Any) -> None:
    html = render_page("A title", [Section("One", table(["a"], [["x"]], "caption"))])
    found = outline(html)
    policy = next(m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;") and "http" not in policy
    assert found.all("html") == [{"lang": "en"}]
    assert not re.search(r"https?:|@import|url\((?!#)", html)
    assert not found.all("link") and len(found.all("h1")) == 1
    assert found.all("caption") and found.all("th")[0]["scope"] == "col"
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_cells() -> None:
    html = str(table(["a", "b", "c"], [["x", 1234, 0.5], ["y", None, float("nan")], [True, 2, Cell("3 %", 3)]], "t"))
    assert "1,234" in html and 'data-sort="1234"' in html and ">0.500<" in html and 'data-sort="3"' in html
    assert html.count("–") == 2 and ">yes<" in html
    assert html.count('<th scope="col" class="n">') == 2  # numbers to the right; the column of texts is not
    assert "<tbody>" in str(table(["a"], [], "empty"))


def jpeg(size: tuple[int, int], mode: str = "RGB", kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "red" if mode == "RGB" else 0).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (jpeg((1600, 800)), (160, 80)),
        (jpeg((30, 40)), (30, 40)),
        (jpeg((500, 500), "RGBA", "PNG"), (160, 160)),
        (jpeg((500, 5), "P", "GIF"), (160, 2)),
        (jpeg((400, 300), "CMYK"), (160, 120)),
    ],
)
def test_thumbnails(data: bytes, expected: tuple[int, int], outline: Any) -> None:
    markup = str(page.picture(data, EVIL))
    image = outline(markup).all("img")[0]
    assert image["alt"] == EVIL
    head, encoded = str(image["src"]).split(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as small:
        assert small.size == expected


def test_transparent_pictures_lie_on_white() -> None:
    data = page.thumbnail(jpeg((20, 20), "RGBA", "PNG"), 160)
    assert data is not None
    with Image.open(io.BytesIO(data)) as small:
        assert min(small.convert("RGB").getpixel((5, 5))) > 250


@pytest.mark.parametrize("data", [None, b"", b"no picture", jpeg((300, 300))[:400], jpeg((9000, 9000), "L", "PNG")])
def test_no_picture_no_failure(data: bytes | None) -> None:
    assert "no picture" in page.picture(data, "alt") and "<img" not in page.picture(data, "alt")
