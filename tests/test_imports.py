"""Holds the import directions of ARCHITECTURE.md: who may import whom, and where Ray may be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "catray"
BASE = {"errors", "schema", "taxonomy", "config", "artifact", "progress", "console", "cluster", "summaries", ""}
SECOND = {"catalog", "encoders", "fusion", "evaluation"}
THIRD = {"embedding", "training", "recategorization", "serving"}
RAY = {"cluster.py", "cli.py", "demo.py", "catalog/ingest.py", "catalog/demo.py"}
RAY_FOLDERS = {"embedding", "training"}
RAY_IN_SERVING = {"batch.py", "deployments.py", "app.py"}

FILES = sorted(PACKAGE.rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module: str) -> str:
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else ""


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_directions(file: Path) -> None:
    relative = file.relative_to(PACKAGE)
    home = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    for module in imported(file):
        if module.split(".")[0] != "catray":
            continue
        part = part_of(module)
        if home in SECOND:
            assert part not in (SECOND | THIRD) - {home}, f"{relative} imports {module}"
        elif home in THIRD:
            assert part not in THIRD - {home}, f"{relative} imports {module}"
        elif home in BASE:
            assert part not in SECOND | THIRD, f"{relative} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_ray_stays_in_the_outer_layer(file: Path) -> None:
    relative = file.relative_to(PACKAGE)
    allowed = (
        str(relative) in RAY
        or relative.parts[0] in RAY_FOLDERS
        or (relative.parts[0] == "serving" and relative.name in RAY_IN_SERVING)
    )
    if not allowed:
        assert not [m for m in imported(file) if m.split(".")[0] == "ray"], f"{relative} imports ray"


def test_no_pickle() -> None:
    for file in FILES:
        assert not {"pickle", "cloudpickle", "joblib", "dill", "marshal"} & {m.split(".")[0] for m in imported(file)}, (
            file
        )


def test_the_command_line_loads_nothing_heavy() -> None:
    heavy = ("ray", "torch", "numpy", "pyarrow", "sklearn")
    code = f"import sys, catray.cli; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
