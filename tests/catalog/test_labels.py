from __future__ import annotations

from pathlib import Path

import pytest

from catray.catalog.labels import read_labels
from catray.config import Labels
from catray.errors import CatrayError


def test_read_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("platform,id,path,match\ns,1,A > B,direct\ns,2,A > C,unclear\ns,3,,direct\n")
    labels = Labels(file=str(file), where={"match": ["direct"]})
    assert read_labels(labels) == {("s", "1"): ("A", "B")}
    with pytest.raises(CatrayError, match="no such file"):
        read_labels(Labels(file=str(tmp_path / "none.csv")))
    with pytest.raises(CatrayError, match=r"no column 'matc'.*Did you mean 'match'"):
        read_labels(Labels(file=str(file), where={"matc": ["direct"]}))
    file.write_text("platform,id,path\ns,1,A > B\ns,2,A,too many\n")
    with pytest.raises(CatrayError, match=r"labels.csv: line 3: 4 fields"):
        read_labels(Labels(file=str(file)))


def test_the_real_labels_are_read_whole(shared_data: Path) -> None:
    paths = read_labels(Labels(file=str(shared_data / "labels.csv"), where={"match": ["direct", "approx"]}))
    assert sum(platform == "luma" for platform, _ in paths) == 443
    assert sum(platform == "flipkart" for platform, _ in paths) == 216
