"""The model card: what was trained on what, how well it does, and what it should not be used for."""

from __future__ import annotations

from typing import Any

from catray import __version__
from catray.config import Config
from catray.taxonomy import Taxonomy

LABELS = {"hF": "hierarchical F1", "exact_path": "exact path", "leaf_macro_f1": "leaf macro-F1", "loss": "loss (nats)"}

_HEADS = {
    ("text", "full"): "Two heads in one file: `text` (the light stage) and `full` (every modality).",
    ("full",): "One head, `full`: no modality that the light text stage reads was trained on.",
}


def model_card(
    config: Config,
    taxonomy: Taxonomy,
    catalog: dict[str, Any],
    embeddings: dict[str, Any],
    modalities: list[str],
    metrics: dict[str, Any],
) -> str:
    """Markdown. `catalog` and `embeddings` are the manifests, `metrics` is metrics.json."""
    model, rows = config.model, metrics["rows"]
    heads = [head for head in ("text", "full") if head in metrics]
    lines = [
        f"# Model `{model.name}`",
        "",
        f"Categorizes products into a taxonomy of {len(taxonomy):,} nodes ({int(taxonomy.is_leaf.sum()):,} leaves, "
        f"{int(taxonomy.level.max())} levels; `taxonomy.json`, {taxonomy.hash}). "
        f"{_HEADS[tuple(heads)]} Trained by catray {__version__} in {metrics['seconds']:.0f} s.",
        "",
        "## Data",
        "",
        "| split | labelled products | of these down to a leaf | leaves |",
        "|---|---|---|---|",
        *(f"| {s} | {r['labelled']:,} | {r['leaf']:,} | {r['leaves']:,} |" for s, r in rows.items()),
        "",
        f"The catalog holds {catalog.get('products', 0):,} products. Products with a title of the same "
        "words, or a picture of the same perceptual hash, share a split.",
        "",
        "## Inputs",
        "",
        "| modality | encoder |",
        "|---|---|",
        *(
            f"| {m} | {_encoder(embeddings['encoders'].get(m, embeddings['encoders'].get('clip')))} |"
            for m in modalities
        ),
        "",
        "## Settings",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in model.model_dump().items() if value is not None),
        f"| seed | {config.seed} |",
        "",
        "## Validation",
        "",
        "| | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
        *(
            f"| {label} | " + " | ".join(f"{metrics[h][key]:.4f}" for h in heads) + " |"
            for key, label in LABELS.items()
        ),
        "| epochs | " + " | ".join(str(metrics[h]["epochs"]) for h in heads) + " |",
        "",
        "The validation split chose the epoch, so these figures flatter a little; `catray evaluate` measures on the "
        "test split, with intervals.",
        "",
        "## Limits",
        "",
        f"- {int(taxonomy.is_leaf.sum()) - rows['train']['leaves']:,} leaves of the taxonomy have no training product; "
        "the model hardly ever chooses them.",
        "- It always answers with a leaf, also for a product that has no place in the taxonomy.",
        "- Probabilities are calibrated on the validation split, by one temperature a head ("
        + ", ".join(f"{head} {metrics[head]['temperature']:.2f}" for head in heads)
        + "): on other shops they flatter.",
        "- Shops whose texts or pictures differ from the training feeds' will see lower accuracy.",
        "",
    ]
    return "\n".join(lines)


def _encoder(description: Any) -> str:
    if not isinstance(description, dict):
        return str(description) if description else "unknown"
    return ", ".join(f"{key} {value}" for key, value in description.items())
