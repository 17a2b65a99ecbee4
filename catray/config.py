"""Every setting, as frozen pydantic models; one YAML file describes one workspace.

    variables: {data_root: data}          # declared here, used as ${data_root}, set with --set data_root=DIR
    workspace: workspaces/fashion
    taxonomy: ${data_root}/taxonomy.txt

Paths are taken as given: relative ones count from the working directory.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from catray.errors import CatrayError, nearest


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# --- catalog ---------------------------------------------------------------------------------------------------------


class SplitColumn(Settings):
    """A category path held by one column: a list, or a text to split."""

    column: str
    separator: str | list[str] = Field(">", description="of a list, the first that the text holds")

    @field_validator("separator")
    @classmethod
    def _not_empty(cls, value: str | list[str]) -> str | list[str]:
        if not value or "" in ([value] if isinstance(value, str) else value):
            raise ValueError('a separator must have a character: `>`, or `[">", "/"]` to try several in order')
        return value


PathField = SplitColumn | list[str]
"""A category path: one column, or a list of templates, one a level (empty levels are left out)."""


class Fields(Settings):
    """How a feed's columns become catalog columns. Texts are templates: `images/{id}.jpg`, `{brand} {title}`."""

    product_id: str
    platform: str | None = Field(None, description="default: the feed's name")
    title: str = ""
    description: str = ""
    image: str = Field("", description="the image's name in `images`, or `{column}` that holds its bytes")
    native_path: PathField | None = None
    path: PathField | None = Field(None, description="the canonical path, where the feed has it")


class Feed(Settings):
    enabled: bool = True
    files: str | list[str] = Field(description="paths or glob patterns")
    format: Literal["auto", "csv", "tsv", "jsonl", "json", "xml", "parquet"] = "auto"
    delimiter: str | None = Field(None, description="of csv and tsv; default: told from the file")
    encoding: str | None = Field(None, description="utf-8, cp1252, utf-16 ...; default: told from the file")
    images: str | None = Field(
        None,
        description="a folder, zip, tar, or a pattern of them; without it `fields.image` gives bytes, base64 or a URL",
    )
    fields: Fields

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = "\t" if value in ("\\t", "tab") else value
        if value is not None and (len(value) != 1 or not value.isascii() or value in "\"'\r\n\0"):
            raise ValueError("expected one ASCII character that is no quote and no line end, for instance `;`")
        return value

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                "x".encode(value)
                codecs.getincrementaldecoder(value)
        except (LookupError, ValueError):
            raise ValueError("no such encoding: for instance utf-8, cp1252 or utf-16") from None
        return value


class Labels(Settings):
    """A CSV file that gives the canonical paths: one product a line."""

    file: str
    platform: str = "{platform}"
    product_id: str = "{id}"
    path: PathField = SplitColumn(column="path")
    where: dict[str, list[str]] = Field({}, description="only lines whose column has one of these values")


class ImageLimits(Settings):
    max_bytes: int = Field(20_000_000, gt=0)
    max_pixels: int = Field(50_000_000, gt=0)


class Downloads(Settings):
    """How pictures behind URLs are fetched."""

    per_host: int = Field(4, gt=0, description="requests at once to one host, in one process")
    total: int = Field(16, gt=0, description="requests at once, in one process")
    timeout_s: float = Field(30, gt=0, description="from asking to the last byte, redirects included")
    max_bytes: int = Field(20_000_000, gt=0)
    max_redirects: int = Field(5, ge=0)
    retries: int = Field(3, ge=0, description="after 429, 5xx and broken connections")
    backoff_s: float = Field(0.5, ge=0, description="wait before the first retry, doubled with each; less by chance")
    max_wait_s: float = Field(30, ge=0, description="the longest wait, whatever Retry-After says")
    give_up: int = Field(20, gt=0, description="connections failed or put off in a row; then the host is left alone")
    cache: str | None = Field(None, description="folder of answers that have an ETag or a date, asked for again by it")
    allow_private: bool = Field(False, description="for tests: any address, any port")


class SplitShares(Settings):
    train: float = Field(0.8, ge=0, le=1)
    val: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _sum(self) -> SplitShares:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError(f"the shares must sum to 1, they sum to {self.train + self.val + self.test:g}")
        return self


class CatalogConfig(Settings):
    feeds: dict[str, Feed] = {}
    labels: Labels | None = None
    images: ImageLimits = ImageLimits()
    downloads: Downloads = Downloads()
    split: SplitShares = SplitShares()
    shard_size: int = Field(1000, gt=0, description="products a file: the unit of work and of resuming")


# --- later stages ----------------------------------------------------------------------------------------------------


class EmbeddingConfig(Settings):
    preset: Literal["compact", "paper", "multilingual", "fashion", "tiny"] = "compact"
    text: str | None = Field(None, description="hub id or local directory instead of the preset's")
    image: str | None = Field(None, description="timm name or local directory instead of the preset's")
    clip: str | None = Field(None, description="open_clip name or local directory instead of the preset's")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    batch_size: int = Field(64, gt=0)


class ModelConfig(Settings):
    name: str = Field("main", pattern=r"^[A-Za-z0-9._-]+$")
    fusion: Literal["early", "late"] = "late"
    modalities: list[Literal["text", "image", "clip_text", "clip_image", "lexical"]] | None = Field(
        None, description="default: all that the embeddings hold"
    )
    hidden: int = Field(512, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    modality_dropout: float = Field(0.1, ge=0, lt=1)
    epochs: int = Field(20, gt=0)
    patience: int = Field(5, gt=0, description="epochs without a better validation score before stopping")
    batch_size: int = Field(256, gt=0, description="at most; a small catalog takes smaller batches")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    workers: int = Field(1, gt=0, description="Ray Train workers")


class EvaluationConfig(Settings):
    name: str = Field("main", pattern=r"^[A-Za-z0-9._-]+$")
    split: Literal["val", "test"] = "test"
    bootstrap: int = Field(1000, ge=0, description="resamples by group for the intervals")
    baseline: bool = Field(True, description="also fit TF-IDF + linear SVM on the same split")
    examples: int = Field(12, ge=0, description="pictures right, and as many wrong, in the report")


class HiddenLabels(Settings):
    """A CSV file of labels that no stage but the scoring of recategorization reads."""

    file: str
    key: str = "key"
    label: str = "label"


class RecategorizationConfig(Settings):
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+$", description="default: from the node's path")
    node: str | None = Field(None, description="a path of the taxonomy, `A > B`")
    space: list[Literal["text", "image", "clip_text", "clip_image"]] | None = Field(
        None, description="embeddings to cluster in; default: text and image"
    )
    backend: Literal["auto", "cpu", "cuml"] = "auto"
    neighbors: int = Field(15, gt=1, description="UMAP; fewer in a node of fewer than 150 products")
    components: int = Field(10, gt=1, description="dimensions that UMAP reduces to before clustering")
    min_cluster_size: int | None = Field(None, gt=1, description="default: 1.5 % of the products, at least 10")
    largest: float = Field(0.6, gt=0, le=1, description="a cluster with a larger share is divided, where it has parts")
    gallery: int = Field(10, ge=0, description="pictures a cluster in the report")
    hidden: HiddenLabels | None = None


class ServingConfig(Settings):
    threshold: float = Field(0.9, ge=0, le=1, description="the text stage answers at or above this probability")
    host: str = "127.0.0.1"
    port: int = Field(8000, gt=0, lt=65536)
    max_image_bytes: int = Field(10_000_000, gt=0)


class Config(Settings):
    workspace: str
    taxonomy: str
    seed: int = 0
    catalog: CatalogConfig = CatalogConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    model: ModelConfig = ModelConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    recategorization: RecategorizationConfig = RecategorizationConfig()
    serving: ServingConfig = ServingConfig()

    def folder(self, *parts: str) -> Path:
        """A folder of the workspace: `folder("models", "main")`."""
        return Path(self.workspace, *parts)


# --- reading ---------------------------------------------------------------------------------------------------------


def load_config(path: str | Path, overrides: tuple[str, ...] | list[str] = ()) -> Config:
    """Read a YAML file and apply `dotted.key=value` overrides (values are YAML).

    Errors: CatrayError for a missing file, bad YAML, an unknown key (with the nearest right one) or a wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise CatrayError(f"{path}: no such settings file (see configs/ for examples)")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise CatrayError(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise CatrayError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise CatrayError(f"{path}: expected a mapping of settings, found {type(raw).__name__}")
    variables = raw.pop("variables", None) or {}
    if not isinstance(variables, dict):
        raise CatrayError(f"{path}: variables: expected a mapping, found {type(variables).__name__}")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise CatrayError(f"--set {override}: expected key=value")
        try:
            value = yaml.safe_load(text) if text else ""
        except yaml.YAMLError as error:
            raise CatrayError(f"--set {override}: the value is not valid YAML") from error
        if key in variables:
            variables[key] = value
        else:
            _set(raw, key, value, variables)
    known: dict[str, Any] = {}
    for name, value in variables.items():  # a variable may use those above it
        known[name] = _substitute(value, known, path)
    raw = {key: _substitute(value, known, path) for key, value in raw.items() if value is not None}
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise CatrayError(f"{path}: " + "; ".join(_explain(e) for e in error.errors())) from error


def _set(raw: dict[str, Any], key: str, value: Any, variables: dict[str, Any]) -> None:
    *parents, last = key.split(".")
    if not parents and last not in Config.model_fields:
        known = [*variables, *Config.model_fields]
        raise CatrayError(f"--set {key}=...: neither a setting nor a declared variable.{nearest(key, known)}")
    model: Any = Config
    for parent in parents:
        names_are_free = not isinstance(model, type)  # of feeds: one that the file lacks is misspelt
        model = _field_model(model, parent)
        child = raw.get(parent)
        if child is None and names_are_free:
            raise CatrayError(f"--set {key}=...: the file has no {parent!r} there.{nearest(parent, raw)}")
        if child is None:
            child = raw[parent] = {}
        if not isinstance(child, dict):
            raise CatrayError(f"--set {key}=...: {parent} has no settings below it")
        raw = child
    raw[last] = value


def _substitute(value: Any, variables: dict[str, Any], path: Path) -> Any:
    if isinstance(value, dict):
        return {k: _substitute(v, variables, path) for k, v in value.items()}
    if isinstance(value, list):
        return [_substitute(v, variables, path) for v in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise CatrayError(f"{path}: ${{{name}}} is not declared under `variables`.{nearest(name, variables)}")
        if variables[name] is None:
            raise CatrayError(f"{path}: ${{{name}}} has no value: give it with --set {name}=...")
        return str(variables[name])

    return re.sub(r"\$\{(\w+)\}", replace, value)


def _explain(error: Any) -> str:
    """One pydantic error as `model.epochs: what is wrong`, with the nearest right key for an unknown one."""
    location = [part for part in error["loc"] if part not in ("SplitColumn", "list[str]")]
    where = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        model: Any = Config
        for part in location[:-1]:
            model = _field_model(model, part)
        known = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else ()
        return f"{where}: unknown setting.{nearest(str(location[-1]), known)}"
    if error["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {error['msg'].removeprefix('Value error, ')} (found {error['input']!r:.80})"


def _field_model(model: Any, part: Any) -> Any:
    """The settings class under field `part` of `model`; of a dict of models, any key leads to its class."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        arguments = [a for a in getattr(model, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
        return arguments[0] if arguments else None
    field = model.model_fields.get(str(part))
    if field is None:
        return None
    annotation: Any = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if getattr(annotation, "__origin__", None) is dict:
        return annotation
    models = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
    return models[0] if models else None
