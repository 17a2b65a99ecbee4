"""Joining Ray: the cluster that RAY_ADDRESS names, or one on this machine without dashboard or open port."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from catray.errors import CatrayError


def connect() -> None:
    """Join once a process; later calls change nothing."""
    import ray

    if ray.is_initialized():
        return
    debug = bool(os.environ.get("CATRAY_DEBUG"))
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not debug:  # Ray's core warns at every actor of Ray Data, about what is harmless (ray#53727)
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with contextlib.nullcontext() if debug else _silent_core():
        ray.init(
            address=os.environ.get("RAY_ADDRESS", "local"),
            include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
            logging_level=logging.ERROR,
            log_to_driver=debug,
        )


@contextmanager
def _silent_core() -> Iterator[None]:
    """Drops what Ray's core writes to the terminal while it starts; what goes wrong then comes as an exception."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def quiet_data() -> None:
    """Ray Data's own progress bars off: the stages print theirs."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@contextmanager
def user_errors() -> Iterator[None]:
    """A CatrayError of a task or an actor comes out as itself, not as what Ray wrapped it in."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        message = user_message(str(error))
        if message is None:
            raise
        raise CatrayError(message) from error


def user_message(text: str) -> str | None:
    """The message of the CatrayError in a traceback; Ray hands on the text of an error, not always the error."""
    found = re.findall(r"\bCatrayError: (.+)", text)
    return str(found[-1]) if found else None
