"""What a client may send and what it gets: bodies, limits, messages. Everything here takes hostile input; no torch.

A request is JSON (the picture in base64) or a form (the picture as a file), and becomes a Product either way.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from fastapi import Request
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from catray.catalog.images import KEPT_FORMATS, KEPT_MODES, conform
from catray.config import ImageLimits, ServingConfig
from catray.encoders.prepare import Prepared, compose_text, prepare_image, prepare_rows
from catray.encoders.presets import Preset
from catray.errors import nearest

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What the service decodes: not all that Pillow can, some of which run other programs or are seldom tested."""
MAX_TEXT_BYTES = 1_000_000  # of everything in a request but its picture
ORIENTATION = 0x0112
_DEFAULTS = ServingConfig.model_fields


class ServeArgs(BaseModel):
    """`args` of serve.yaml."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="the model's folder")
    threshold: float = Field(default=_DEFAULTS["threshold"].default, ge=0, le=1)
    max_image_bytes: int = Field(default=_DEFAULTS["max_image_bytes"].default, gt=0)
    device: str = "auto"
    precision: str = "auto"
    deadline_s: float = Field(default=20.0, gt=0, description="how long the ingress waits for a stage")


class BadRequest(Exception):
    """The client's mistake: answered with 422, the field and the message."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class Product(BaseModel):
    """The body of POST /v1/categorize: a title, a description or a picture, or several of them."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"title": "red running shoes, size 42", "top_k": 3}]},
    )

    title: str | None = None
    description: str | None = None
    image: str | None = Field(None, description="JPEG, PNG, WebP, GIF or BMP in base64; a data: URL will do")
    top_k: int = Field(3, ge=0, le=50, description="how many alternatives to give")
    stage: Literal["text", "full"] | None = Field(None, description="the stage to answer; default: as the cascade says")


class Level(BaseModel):
    name: str
    probability: float = Field(description="of this child, given its parent")


class Alternative(BaseModel):
    path: list[str]
    node_id: str
    probability: float


class ModelVersion(BaseModel):
    name: str
    taxonomy: str = Field(description="hash of the taxonomy")


class Categorized(BaseModel):
    """The answer of POST /v1/categorize."""

    path: list[str] = Field(description="top first; empty where the model abstained")
    node_id: str | None
    probability: float = Field(description="joint, of the whole path")
    levels: list[Level]
    alternatives: list[Alternative] = Field(description="the next best leaves, the best first")
    stage: Literal["text", "full"] | None = Field(description="the stage that answered")
    decision: Literal["accepted", "abstained"]
    degraded: bool = Field(description="the stage that should have answered could not; another one did")
    model: ModelVersion
    request_id: str


class Problem(BaseModel):
    """The body of every error."""

    detail: str
    field: str | None = None
    request_id: str


_FILE = {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP, GIF or BMP"}
_JSON_SCHEMA = Product.model_json_schema()
_FORM_SCHEMA = {**_JSON_SCHEMA, "properties": {**_JSON_SCHEMA["properties"], "image": _FILE}}
CONTENT = {"application/json": {"schema": _JSON_SCHEMA}, "multipart/form-data": {"schema": _FORM_SCHEMA}}
"""The request body's description for OpenAPI."""


# --- from requests to products ----------------------------------------------------------------------------------------


async def read(request: Request, max_image_bytes: int) -> tuple[Product, bytes | None]:
    """The product of a request, JSON or form, and its picture. Errors: BadRequest; HTTPException for another type."""
    limit = max_image_bytes * 4 // 3 + MAX_TEXT_BYTES  # base64 makes four characters of three bytes
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BadRequest("image", f"the request is too large: an image may have {max_image_bytes:,} bytes")
        return message

    limited = Request(request.scope, receive)
    body = await limited.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = kind in ("multipart/form-data", "application/x-www-form-urlencoded")
    if not body:
        return Product.model_validate({}), None
    if not kind or "json" in kind or (form and body.lstrip()[:1] == b"{"):  # curl -d sends JSON as a form
        return await asyncio.to_thread(parse_json, body)
    if not form:
        raise HTTPException(415, "send application/json or multipart/form-data")
    try:
        fields = await limited.form(max_files=2, max_fields=20, max_part_size=MAX_TEXT_BYTES)
    except Exception as error:  # a broken form raises HTTPException, LookupError, UnicodeError and others
        reason = error.detail if isinstance(error, HTTPException) else "not a form that can be read"
        raise BadRequest("body", reason) from None
    texts = {name: value for name, value in fields.items() if isinstance(value, str) and value}
    image = None
    for name, value in fields.items():
        if isinstance(value, UploadFile):
            if name != "image":
                raise BadRequest(name[:100], "unknown file: the picture's field is `image`")
            content = await value.read()
            image = content if content or value.filename else None  # a browser's empty file field is no picture
    return parse_form(texts, image), image


def parse_json(body: bytes) -> tuple[Product, bytes | None]:
    """(product, the picture's bytes or None). Errors: BadRequest."""
    try:
        product = Product.model_validate_json(body)
    except ValidationError as error:
        raise _explain(error) from None
    return product, _from_base64(product.image) if product.image else None


def parse_form(fields: dict[str, Any], image: bytes | None) -> Product:
    """The text fields of a form, as they came; `image` was sent as a file. Errors: BadRequest."""
    if "image" in fields and image is None:
        raise BadRequest("image", "a form takes the picture as a file: curl -F image=@shoe.jpg")
    try:
        return Product.model_validate({name: value for name, value in fields.items() if name != "image"})
    except ValidationError as error:
        raise _explain(error) from None


def prepare(product: Product, image: bytes | None, preset: Preset, max_image_bytes: int) -> Prepared:
    """What the stages take: the text cleaned, the picture decoded and resized. CPU work of up to some 100 ms.

    The picture goes the way that ingest and embed send it, so that service and batch see the same pixels.
    Errors: BadRequest for a picture over the limits or broken, and where there is nothing to go by.
    """
    if image is None and not compose_text(product.title, product.description):
        raise BadRequest(None, "nothing to go by: give a title, a description or an image")
    if image is not None:
        image = _conform(image, ImageLimits.model_validate({"max_bytes": max_image_bytes}))
    row = {"title": product.title, "description": product.description, "image": image}
    prepared = prepare_rows([row], preset)
    spec = preset.image or preset.clip
    if image is not None and spec is not None and not prepared.has_image[0]:
        try:
            prepare_image(image, spec.size, spec.fit)
        except ValueError as error:
            raise BadRequest("image", str(error)) from None
    return prepared


def without_images(product: Prepared) -> Prepared:
    """The same products as the text stage gets them."""
    images = {shape: pixels[:0] for shape, pixels in product.images.items()}
    return replace(product, has_image=np.zeros_like(product.has_image), images=images)


def _conform(data: bytes, limits: ImageLimits) -> bytes:
    """Bytes that `prepare_rows` decodes. Limits come before any pixel; odd formats become JPEG, as in ingest."""
    if not data:
        raise BadRequest("image", "empty file")
    if len(data) > limits.max_bytes:
        raise BadRequest("image", f"{len(data):,} bytes, the limit is {limits.max_bytes:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = header.size
            if width * height > limits.max_pixels:
                raise ValueError(f"{width} x {height} pixels, the limit is {limits.max_pixels:,} in all")
            usual = header.format in KEPT_FORMATS and header.mode in KEPT_MODES
            usual = usual and getattr(header, "n_frames", 1) == 1 and header.getexif().get(ORIENTATION, 1) == 1
        return data if usual else conform(data, limits)[0]
    except UnidentifiedImageError:
        raise BadRequest("image", f"not a picture that can be read ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise BadRequest("image", f"too many pixels, the limit is {limits.max_pixels:,} in all") from None
    except ValueError as error:
        raise BadRequest("image", str(error)) from None
    except Exception as error:  # Pillow raises OSError, SyntaxError, struct.error, zlib.error and others
        raise BadRequest("image", f"can't be decoded: {str(error) or type(error).__name__}") from None


def _from_base64(text: str) -> bytes:
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise BadRequest("image", "a data: URL must be of the form data:image/jpeg;base64,...")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("image", "not valid base64") from None


def _explain(error: ValidationError) -> BadRequest:
    """The first mistake, in words; never the input itself."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])[:100] or "body"
    if first["type"] == "extra_forbidden":
        return BadRequest(field, f"unknown field.{nearest(field, Product.model_fields)}")
    return BadRequest(field, first["msg"])
