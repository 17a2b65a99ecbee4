"""Joining Ray: the cluster that RAY_ADDRESS names, or one on this machine without dashboard or open port."""

from __future__ import annotations

import logging
import os


def connect() -> None:
    """Join once a process; later calls change nothing."""
    import ray

    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(
        address=os.environ.get("RAY_ADDRESS", "local"),
        include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        logging_level=logging.ERROR,
        log_to_driver=bool(os.environ.get("CATRAY_DEBUG")),
    )


def quiet_data() -> None:
    """Ray Data's own progress bars off: the stages print theirs."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
