from __future__ import annotations

from typing import Any

import pytest

from catray.cluster import connect, user_errors, user_message
from catray.errors import CatrayError


def fails(row: dict[str, Any], error: Exception) -> dict[str, Any]:
    raise error


class Fails:
    def __init__(self) -> None:
        try:
            raise OSError("the disk")
        except OSError as error:
            raise CatrayError("no weights: install them") from error

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return row


@pytest.mark.ray
def test_a_user_s_error_comes_out_of_ray_as_itself(ray_session: None) -> None:
    import ray

    connect()  # there is a Ray already: it is used
    rows = ray.data.range(1)
    with pytest.raises(CatrayError, match=r"^the file is torn$"), user_errors():
        rows.map(fails, fn_kwargs={"error": CatrayError("the file is torn")}).take_all()
    with pytest.raises(CatrayError, match=r"^no weights: install them$"), user_errors():
        rows.map(Fails, compute=ray.data.ActorPoolStrategy(size=1), num_cpus=0.5).take_all()
    with pytest.raises(ray.exceptions.RayTaskError, match="ours to mend"), user_errors():
        rows.map(fails, fn_kwargs={"error": ValueError("ours to mend")}).take_all()


def test_the_last_message_of_a_traceback_counts() -> None:
    text = "x\ncatray.errors.CatrayError: first\n\nThe above ...\ncatray.errors.CatrayError: second: mend it\n"
    assert user_message(text) == "second: mend it"
    assert user_message("ValueError: no CatrayErrors here") is None
