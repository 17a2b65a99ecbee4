"""The command line as a user meets it: its own process, exit codes, one line an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from catray.config import Feed

ROOT = Path(__file__).parents[1]


def catray(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "catray.cli", *args], capture_output=True, text=True, cwd=ROOT)


def test_help_and_version() -> None:
    help = catray("--help")
    assert help.returncode == 0
    for verb in ("doctor", "demo", "ingest", "embed", "train", "evaluate", "predict", "recategorize", "serve"):
        assert verb in help.stdout
    assert catray("--version").stdout.startswith("catray ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--config", "none.yaml"], "none.yaml: no such settings file"),
        (["--config", "configs/fashion.yaml"], "${data_root} has no value: give it with --set data_root=..."),
        (["--config", "configs/fashion.yaml", "--set", "data_rot=x"], "Did you mean 'data_root'?"),
        (
            ["--config", "configs/fashion.yaml", "--set", "data_root=x", "--set", "model.epoch=3"],
            "model.epoch: unknown setting. Did you mean 'epochs'?",
        ),
        (
            ["--config", "configs/fashion.yaml", "--set", "data_root=x", "--set", "model.epochs=many"],
            "model.epochs: Input should be a valid integer",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(args: list[str], message: str) -> None:
    for verb in ("ingest", "recategorize"):
        result = catray(verb, *args)
        assert result.returncode == 2
        assert message in result.stderr and "Traceback" not in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_stage_without_its_input_names_the_command_to_run(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"workspace: {tmp_path}/ws\ntaxonomy: {tmp_path}/t.txt\n")
    result = catray("recategorize", "--config", str(config), "--node", "A")
    assert (
        result.returncode == 2 and "catray ingest" in result.stderr + result.stdout
    ) or "no such taxonomy" in result.stderr


def test_doctor_says_how_to_mend() -> None:
    result = catray("doctor")
    assert result.returncode == 0, result.stderr
    for part in ("Python", "ray", "torch", "CUDA", "cuML", "cores", "memory", "preset compact", "preset paper"):
        assert part in result.stdout


def test_a_mapping_is_proposed_for_an_unknown_feed(tmp_path: Path) -> None:
    feed = tmp_path / "shop" / "feed.csv"
    feed.parent.mkdir()
    rows = "".join(f"SKU-{i:04d};Red cotton shirt number {i};Clothing > Shirts\n" for i in range(60))
    feed.write_text("artikel;name;category\n" + rows)
    result = catray("ingest", "--propose", str(feed))
    assert result.returncode == 0, result.stderr
    feeds = yaml.safe_load("feeds:\n" + result.stdout)["feeds"]
    fields = Feed.model_validate(feeds["shop"]).fields
    assert (fields.product_id, fields.title) == ("{artikel}", "{name}")
    result = catray("ingest")
    assert result.returncode == 2 and "--config FILE" in result.stderr
    result = catray("ingest", "--propose", str(tmp_path / "none.csv"))
    assert result.returncode == 2 and "no such file" in result.stderr
