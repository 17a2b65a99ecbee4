"""The `tiny` preset's models, for tests: the true architectures, two layers small, with seeded random weights.

Made as directories on first use, so that they go through the same loaders as real weights.
"""

from __future__ import annotations

import json
from pathlib import Path

from catray.encoders import compact
from catray.errors import CatrayError

REVISION = "tiny 1"
SIZE = 32


def directory(part: str) -> Path:
    if part not in BUILDERS:
        raise CatrayError(f"tiny:{part}: no such model (there are: {', '.join(BUILDERS)})")
    return compact.make_once(compact.cache() / f"{REVISION.replace(' ', '-')}-{part}", BUILDERS[part])


def build_text(folder: Path) -> None:
    """RoBERTa of 2 layers and 32 dimensions, over bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokens = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
    )
    config = RobertaConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = RobertaModel(config)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)


def build_image(folder: Path) -> None:
    """timm's test_vit at 32 px."""
    import timm
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_vit", pretrained=False, img_size=SIZE, num_classes=0)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architecture": "test_vit",
        "num_classes": 0,
        "model_args": {"img_size": SIZE},
        "pretrained_cfg": {
            "input_size": [3, SIZE, SIZE],
            "fixed_input_size": True,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def build_clip(folder: Path) -> None:
    """CLIP of two layers a tower, 32 dimensions and 32 px; the tokenizer is the one that open_clip ships."""
    import torch
    from open_clip import CLIP
    from safetensors.torch import save_file

    model_cfg = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIP(**model_cfg)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    config = {"model_cfg": model_cfg, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


BUILDERS = {"text": build_text, "image": build_image, "clip": build_clip}
