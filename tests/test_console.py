from __future__ import annotations

import pytest

from catray.console import show


def test_numbers_to_the_right_text_to_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    show("stages", ["stage", "products"], [["ingest", "3,000"], ["fit", "12"]])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "stages",
        "stage   products",
        "------  --------",
        "ingest     3,000",
        "fit           12",
        "",
    ]


def test_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    show("none", ["a", "b"], [])
    assert "a  b" in capsys.readouterr().out
