"""Fixtures that many tests share: one local Ray a session, the real feeds where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
hypothesis.settings.register_profile("catray", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("catray")


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=500_000_000, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("CATRAY_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "labels.csv").is_file():
        pytest.skip("the real feeds are not at hand (set CATRAY_SHARED_DATA)")
    return folder
