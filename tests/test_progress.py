from __future__ import annotations

import pytest

from catray import progress as module


def test_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.0)
    with module.progress("embed", total=10) as bar:
        bar.update(4)
        bar.update(6)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("embed: 4 of 10 products") and lines[1].startswith("embed: 10 of 10")


def test_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with module.progress("embed", total=10) as bar:
        bar.update(10)
    assert capsys.readouterr().err == ""
