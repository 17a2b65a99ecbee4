"""The service over HTTP: one real Serve with the real stages, and one whose second stage fails on demand."""

import base64
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from catray.config import Config
from catray.errors import CatrayError
from catray.serving.app import build_app, serve
from catray.serving.predictor import Predictor
from catray.serving.schemas import ServeArgs

RAISE, SLOW, CRASH = 41, 42, 43  # values of top_k that make the faulty stage fail


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def client(ray_session: None, workspace: Config) -> Iterator[httpx.Client]:
    from ray import serve as ray_serve

    changes = {"port": free_port(), "max_image_bytes": 50_000, "threshold": 0.5}
    config = workspace.model_copy(update={"serving": workspace.serving.model_copy(update=changes)})
    address = serve(config, blocking=False)
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
    ray_serve.shutdown()


@pytest.fixture(scope="module")
def faulty(client: httpx.Client, workspace: Config) -> str:
    """Where an application answers whose stage 2 raises, sleeps or dies as top_k tells it."""
    from ray import serve as ray_serve

    from catray.serving.deployments import Ingress

    @ray_serve.deployment(ray_actor_options={"num_cpus": 0.1})
    class Sure:
        async def __call__(self, product, top_k):
            from types import SimpleNamespace  # an Answer, without loading torch

            return SimpleNamespace(node=2, probability=0.25, levels=[0.25], alternatives=[])

    small = {"max_ongoing_requests": 1, "max_queued_requests": 1, "graceful_shutdown_timeout_s": 1}

    @ray_serve.deployment(ray_actor_options={"num_cpus": 0.1}, **small)
    class Faulty:
        async def __call__(self, product, top_k):
            import asyncio
            import os

            if top_k == 41:
                raise ZeroDivisionError("a secret of the inside")
            if top_k == 42:
                await asyncio.sleep(60)
            if top_k == 43:
                os._exit(1)

    folder = str(workspace.folder("models", "main"))
    args = ServeArgs(model=folder, deadline_s=2, device="cpu")
    ray_serve.run(Ingress.bind(Sure.bind(), Faulty.bind(), args), name="faulty", route_prefix="/faulty")
    return "/faulty/v1/categorize"


URL = "/v1/categorize"


@pytest.mark.ray
def test_batch_and_service_give_the_same_answers(client, products, model_folder) -> None:
    predictor = Predictor(model_folder, "cpu", "fp32")
    expected = predictor.categorize(predictor.embed(products), 0.5).to_pylist()

    def ask(product) -> httpx.Response:
        image = base64.b64encode(product["image"]).decode() if product["image"] else None
        return client.post(URL, json={k: product[k] for k in ("title", "description")} | {"image": image})

    with ThreadPoolExecutor(16) as pool:  # so that the stages batch them, each time in another way
        answers = list(pool.map(ask, products))
    for answer, row in zip(answers, expected, strict=True):
        if row["decision"] == "abstained":
            assert answer.status_code == 422
            continue
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["path"], said["node_id"], said["stage"]) == (row["path"], row["node_id"], row["stage"])
        assert said["probability"] == pytest.approx(row["probability"], abs=1e-3)
        assert [level["name"] for level in said["levels"]] == row["path"]
        assert [level["probability"] for level in said["levels"]] == pytest.approx(row["level_probabilities"], abs=1e-3)
        assert said["decision"] == "accepted" and said["degraded"] is False
    assert {row["stage"] for row in expected} == {"text", "full", None}


@pytest.mark.ray
def test_title_image_or_both_as_a_form(client, picture) -> None:
    files = {"image": ("shoe.jpg", picture(1))}
    said = client.post(URL, data={"title": "red boots", "stage": "text"}, files=files).json()
    assert said["stage"] == "text" and len(said["alternatives"]) == 3
    image = client.post(URL, files=files).json()
    assert image["stage"] == "full" and image["decision"] == "accepted"
    both = client.post(URL, data={"title": "red boots", "stage": "full", "top_k": "5"}, files=files).json()
    assert both["stage"] == "full" and len(both["alternatives"]) == 5
    assert both["probability"] != image["probability"]
    encoded = client.post(URL, data={"description": "red boots", "top_k": 0})
    assert encoded.status_code == 200 and encoded.json()["alternatives"] == []
    form = {"content-type": "application/x-www-form-urlencoded"}
    mistaken = client.post(URL, content=json.dumps({"title": "red boots"}), headers=form)
    assert mistaken.status_code == 200  # curl -d without a content type
    nothing_chosen = client.post(URL, data={"title": "red boots"}, files={"image": ("", b"")})
    assert nothing_chosen.status_code == 200  # a browser's empty file field
    assert image["request_id"] and image["model"]["name"] == "main" and len(image["model"]["taxonomy"]) >= 8
    given = client.post(URL, json={"title": "a"}, headers={"x-request-id": "mine-1"})
    assert given.json()["request_id"] == given.headers["x-request-id"] == "mine-1"


@pytest.mark.ray
def test_the_client_s_mistakes(client, picture) -> None:
    good, image = {"title": "red boots"}, picture(1)
    cases = [
        ({"json": {}}, "give a title, a description or an image"),
        ({"json": {"title": " ", "image": ""}}, "give a title, a description or an image"),
        ({"content": b""}, "give a title, a description or an image"),
        ({"data": {"title": ""}}, "give a title, a description or an image"),
        ({"json": {**good, "image": "!!"}}, "image: not valid base64"),
        ({"json": {**good, "image": base64.b64encode(image[:-100]).decode()}}, "image: can't be decoded"),
        ({"data": good, "files": {"image": image[:-100]}}, "image: can't be decoded"),
        ({"data": good, "files": {"image": b"no picture"}}, "image: not a picture"),
        ({"data": good, "files": {"image": ("a.jpg", b"")}}, "image: empty file"),
        ({"data": good, "files": {"image": b"\xff" * 50_001}}, "image: 50,001 bytes, the limit is 50,000"),
        ({"data": good, "files": {"image": b"\xff" * 3_000_000}}, "image: the request is too large"),
        ({"data": good, "files": {"photo": image}}, "photo: unknown file"),
        ({"files": {"image": image}, "data": {"stage": "text"}}, "stage: the text stage needs a title"),
        ({"json": {"titel": "x"}}, "titel: unknown field. Did you mean 'title'?"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "body: Invalid JSON"),
        ({"content": b"a", "headers": {"content-type": "multipart/form-data"}}, "body: "),
        ({"content": b"a", "headers": {"content-type": "multipart/form-data; boundary=b; charset=no"}}, "body: "),
    ]
    for request, message in cases:
        answer = client.post(URL, **request)
        assert answer.status_code == 422, (message, answer.text)
        assert message in answer.json()["detail"] and answer.json()["request_id"]
        assert "Traceback" not in answer.text and "catray/" not in answer.text
        if ":" in message:
            assert answer.json()["field"] == message.split(":")[0]
    wrong_type = client.post(URL, content=b"x", headers={"content-type": "text/plain"})
    assert wrong_type.status_code == 415 and "multipart/form-data" in wrong_type.json()["detail"]
    assert client.get(URL).status_code == 405
    assert client.get("/v2").json()["detail"] == "Not Found"
    assert client.post(URL, json=good).status_code == 200


@pytest.mark.ray
def test_what_the_service_says_of_itself(client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    model = client.get("/v1/model").json()
    assert model["name"] == "main" and model["threshold"] == 0.5 and "image" in model["modalities"]
    taxonomy = client.get("/v1/taxonomy").json()
    assert taxonomy["hash"] == model["taxonomy"] and len(taxonomy["nodes"]) == model["nodes"]
    body = client.get("/openapi.json").json()["paths"][URL]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}


@pytest.mark.ray
def test_a_failing_second_stage(client, faulty, picture) -> None:
    image = {"image": picture(1)}

    def ask(top_k: int, **fields: str) -> httpx.Response:
        return client.post(faulty, data={"stage": "full", "top_k": str(top_k), **fields}, files=image)

    answer = ask(RAISE, title="red boots")
    assert answer.status_code == 200, answer.text
    assert answer.json()["degraded"] is True and answer.json()["stage"] == "text" and answer.json()["path"]
    alone = ask(RAISE)
    assert alone.status_code == 503 and alone.headers["retry-after"]
    assert "secret" not in alone.text and "full stage is not available" in alone.json()["detail"]

    with ThreadPoolExecutor(6) as pool:  # one runs, one waits, the others find the queue full
        titled = list(pool.map(lambda _: ask(SLOW, title="red boots"), range(6)))
        bare = list(pool.map(lambda _: ask(SLOW), range(6)))
    assert all(answer.status_code == 200 and answer.json()["degraded"] for answer in titled)
    codes = [answer.status_code for answer in bare]
    assert set(codes) == {429, 503} and codes.count(429) >= 3
    assert all(answer.headers["retry-after"] for answer in bare)

    dying = ask(CRASH, title="red boots")
    assert dying.status_code == 200 and dying.json()["degraded"] is True
    after = ask(0, title="red boots")
    assert after.status_code == 200


@pytest.mark.ray
def test_no_model_and_no_port(client, workspace, tmp_path) -> None:
    with pytest.raises(CatrayError, match="run `catray train` first"):
        serve(workspace, tmp_path)
    assert build_app(ServeArgs(model=str(workspace.folder("models", "main")))) is not None
