"""The three deployments of the service: an ingress in front of two stages.

The ingress checks and prepares a product, asks the text stage, and the multimodal stage where the cascade says so.
Where a stage is full, down or too slow, the other one's answer comes with `degraded: true`; only if there is none is it
an error. A stage holds a Predictor and answers whatever calls wait as one batch; a call is one prepared product (pixels
and ids, not files).

How many replicas, on what, and how long their queues are stands in configs/serve.yaml; what is written here is for one
machine of any size: fractions of a CPU, so that both stages and the ingress fit on one.
"""

# No postponed annotations here: Serve pickles the FastAPI app by value, and FastAPI then could not resolve them.
import asyncio
import json
import logging
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException

from catray import __version__, schema
from catray.encoders.prepare import Prepared
from catray.serving import schemas
from catray.serving.cascade import answers, needs_text
from catray.serving.schemas import BadRequest, Categorized, Problem, Product, ServeArgs
from catray.taxonomy import Taxonomy, read_taxonomy

if TYPE_CHECKING:
    from catray.fusion.model import Stage
    from catray.serving.predictor import Answer

logger = logging.getLogger(__name__)

# A replica may hold twice the largest batch: the next one fills while one runs (ray#43288).
BATCH = 32
Call = tuple[Prepared, int]
"""(one product, how many alternatives)"""


class _Stage:
    """One stage. `model` is a folder that every node can read."""

    stage: "Stage"

    def __init__(self, model: str, device: str = "auto", precision: str = "auto") -> None:
        from catray.serving.predictor import Predictor

        self.predictor = Predictor(model, device, precision, stages=(self.stage,))
        self.predictor.predict(self.predictor.embed([{"title": "warm up", "image": None}]), self.stage)

    def reconfigure(self, settings: dict[str, Any]) -> None:
        """`user_config` of serve.yaml: max_batch_size, batch_wait_timeout_s; changed without a restart."""
        if "max_batch_size" in settings:
            self.answer.set_max_batch_size(settings["max_batch_size"])
        if "batch_wait_timeout_s" in settings:
            self.answer.set_batch_wait_timeout_s(settings["batch_wait_timeout_s"])

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.005)
    async def answer(self, calls: Sequence[Call]) -> "list[Answer | None]":
        return await asyncio.to_thread(self._answer, calls)  # a forward pass in the event loop would stop health checks

    def _answer(self, calls: Sequence[Call]) -> "list[Answer | None]":
        from catray.serving.predictor import merge

        table = self.predictor.embed(merge([product for product, _ in calls]))
        return self.predictor.predict(table, self.stage, top_k=max(top_k for _, top_k in calls))

    async def __call__(self, product: Prepared, top_k: int) -> "Answer | None":
        answer: Answer | None = await self.answer((product, top_k))
        return answer


@serve.deployment(
    max_ongoing_requests=2 * BATCH,
    max_queued_requests=8 * BATCH,
    ray_actor_options={"num_cpus": 0.4},
    max_constructor_retry_count=2,
)
class TextStage(_Stage):
    """The light stage: titles and descriptions."""

    stage = "text"


@serve.deployment(
    max_ongoing_requests=2 * BATCH,
    max_queued_requests=2 * BATCH,
    ray_actor_options={"num_cpus": 0.4},
    max_constructor_retry_count=2,
)
class MultimodalStage(_Stage):
    """The stage that reads pictures too."""

    stage = "full"


# --- the ingress -----------------------------------------------------------------------------------------------------

DECODERS = 2  # pictures decoded at a time: each may take some hundred MB for a moment
api = FastAPI(title="catray", version=__version__, summary="A product in, a path of the taxonomy out.")


class StageFailed(Exception):
    """A stage gave no answer: it is full (`busy`), down or too slow."""

    def __init__(self, stage: str, busy: bool) -> None:
        super().__init__(f"the {stage} stage is {'busy' if busy else 'not available'}, try again later")
        self.busy = busy


def _short(probability: float) -> float:
    """Without the digits that float32 doesn't have."""
    return float(f"{probability:.6g}")


def _request_id(request: Request) -> str:
    """The id that Serve's proxy gave the request, or the client's own if it is a plain one."""
    given = request.headers.get("x-request-id", "")
    return given if re.fullmatch(r"[\w.-]{1,64}", given) else uuid.uuid4().hex


def _problem(request: Request, status: int, detail: str, field: str | None = None) -> JSONResponse:
    problem = Problem(detail=detail, field=field, request_id=_request_id(request))
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return JSONResponse(problem.model_dump(), status, headers)


@api.exception_handler(BadRequest)
async def _bad_request(request: Request, error: BadRequest) -> JSONResponse:
    return _problem(request, 422, str(error), error.field)


@api.exception_handler(StageFailed)
async def _stage_failed(request: Request, error: StageFailed) -> JSONResponse:
    return _problem(request, 429 if error.busy else 503, str(error))


@api.exception_handler(HTTPException)
async def _http(request: Request, error: HTTPException) -> JSONResponse:
    return _problem(request, error.status_code, str(error.detail))


@serve.deployment(max_ongoing_requests=256, max_queued_requests=512, ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Ingress:
    """HTTP in front of the two stages. Reads the model's description, not its weights."""

    def __init__(self, text: DeploymentHandle, full: DeploymentHandle, args: ServeArgs) -> None:
        from catray.encoders.encoders import preset_of

        folder = Path(args.model)
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.args, self.stages = args, {"text": text, "full": full}
        self.description, self.preset = description, preset_of(description["encoders"])
        self.taxonomy: Taxonomy = read_taxonomy(folder / "taxonomy.json")
        self.version = schemas.ModelVersion(name=folder.name, taxonomy=self.taxonomy.hash)
        self.sees_images = any(schema.MASK_OF[m] == "has_image" for m in description["modalities"])
        self.decoders = asyncio.Semaphore(DECODERS)

    @api.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/v1/taxonomy")
    async def taxonomy_(self) -> dict[str, Any]:
        return {"hash": self.taxonomy.hash, **self.taxonomy.to_json()}

    @api.get("/v1/model")
    async def model(self) -> dict[str, Any]:
        return {
            **self.version.model_dump(),
            "catray": __version__,
            "preset": self.preset.name,
            "modalities": self.description["modalities"],
            "nodes": len(self.taxonomy),
            "threshold": self.args.threshold,
            "max_image_bytes": self.args.max_image_bytes,
        }

    @api.post(
        "/v1/categorize",
        response_model=Categorized,
        responses={code: {"model": Problem} for code in (415, 422, 429, 503)},
        openapi_extra={"requestBody": {"required": True, "content": schemas.CONTENT}},
    )
    async def categorize(self, request: Request) -> Categorized:
        """The product's path in the taxonomy, from a title, a description, a picture, or several of them."""
        product, image = await schemas.read(request, self.args.max_image_bytes)
        if image is None:
            prepared = schemas.prepare(product, None, self.preset, self.args.max_image_bytes)
        else:
            async with self.decoders:
                prepared = await asyncio.to_thread(
                    schemas.prepare, product, image, self.preset, self.args.max_image_bytes
                )
        has_text, has_image = bool(prepared.has_text[0]), bool(prepared.has_image[0]) and self.sees_images
        if product.stage == "text" and not has_text:
            raise BadRequest("stage", "the text stage needs a title or a description")
        answer, stage, degraded = await self._cascade(prepared, has_text, has_image, product)
        return self._answer(answer, stage if answer else None, degraded, product.top_k, request)

    async def _cascade(
        self, prepared: Prepared, has_text: bool, has_image: bool, product: Product
    ) -> "tuple[Answer | None, str | None, bool]":
        """(answer, the stage that gave it, whether it is another than it should be). Errors: StageFailed."""
        light = schemas.without_images(prepared)
        text: Answer | None = None
        failure: StageFailed | None = None
        if needs_text(has_text=has_text, asked=product.stage):
            try:
                text = await self._ask("text", light, product.top_k)
            except StageFailed as error:
                if product.stage == "text":
                    raise
                failure = error
        stage = answers(
            has_text=has_text,
            has_image=has_image,
            probability=text.probability if text else None,
            threshold=self.args.threshold,
            asked=product.stage,
        )
        if stage != "full":
            return text, stage, False
        try:
            return await self._ask("full", prepared, product.top_k), stage, failure is not None
        except StageFailed:
            if product.stage == "full" and has_text:  # the text stage has not been asked yet
                text = await self._ask("text", light, product.top_k)
            if text is None:
                raise
            return text, "text", True

    async def _ask(self, stage: str, product: Prepared, top_k: int) -> "Answer | None":
        try:
            async with asyncio.timeout(self.args.deadline_s):
                answer: Answer | None = await self.stages[stage].remote(product, top_k)
                return answer
        except BackPressureError:
            raise StageFailed(stage, busy=True) from None
        except (RayError, RayServeException, TimeoutError) as error:
            logger.warning("no answer from the %s stage: %s: %s", stage, type(error).__name__, error)
            raise StageFailed(stage, busy=False) from None

    def _answer(self, answer: "Answer | None", stage: Any, degraded: bool, top_k: int, request: Request) -> Categorized:
        common: dict[str, Any] = {"degraded": degraded, "model": self.version, "request_id": _request_id(request)}
        if answer is None:
            nothing: dict[str, Any] = {"path": [], "node_id": None, "probability": 0, "levels": [], "alternatives": []}
            return Categorized(stage=None, decision="abstained", **nothing, **common)
        path = self.taxonomy.path(answer.node)
        return Categorized(
            path=list(path),
            node_id=self.taxonomy.ids[answer.node],
            probability=_short(answer.probability),
            levels=[schemas.Level(name=n, probability=_short(p)) for n, p in zip(path, answer.levels, strict=True)],
            alternatives=[
                schemas.Alternative(
                    path=list(self.taxonomy.path(n)), node_id=self.taxonomy.ids[n], probability=_short(p)
                )
                for n, p in answer.alternatives[:top_k]
            ],
            stage=stage,
            decision="accepted",
            **common,
        )
