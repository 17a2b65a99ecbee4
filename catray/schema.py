"""Column names and Arrow schemas of every artifact: the contract between the stages (see ARCHITECTURE.md).

Rows are joined by `key` = `platform/product_id`, never by position.
"""

from __future__ import annotations

import pyarrow as pa

SPLITS = ("train", "val", "test")
DENSE_MODALITIES = ("text", "image", "clip_text", "clip_image")
MODALITIES = (*DENSE_MODALITIES, "lexical")
MASK_OF = {
    "text": "has_text",
    "clip_text": "has_text",
    "lexical": "has_text",
    "image": "has_image",
    "clip_image": "has_image",
}
"""The mask column that says whether a row has the modality."""

CATALOG = pa.schema(
    [
        ("key", pa.string()),
        ("platform", pa.string()),
        ("product_id", pa.string()),
        ("title", pa.string()),  # "" where missing, never null
        ("description", pa.string()),  # "" where missing, never null
        ("image", pa.binary()),  # encoded bytes (JPEG, PNG, WebP); null where missing or broken
        ("image_error", pa.string()),  # why `image` is null although the feed named one; else null
        ("native_path", pa.list_(pa.string())),  # the shop's own category, top first; null where unknown
        ("path", pa.list_(pa.string())),  # canonical path, top first; null where unlabelled
        ("group", pa.string()),  # near-duplicate group
        ("split", pa.string()),  # one of SPLITS, by hash of the group
    ]
)

REJECTS = pa.schema(
    [
        ("feed", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),  # 1-based line (CSV, JSONL) or row (Parquet)
        ("key", pa.string()),  # null where it could not be made
        ("reason", pa.string()),
        ("raw", pa.string()),  # the row as it came, as JSON
    ]
)

PREDICTIONS = pa.schema(
    [
        ("key", pa.string()),
        ("path", pa.list_(pa.string())),
        ("node_id", pa.string()),
        ("probability", pa.float32()),  # joint, of the whole path
        ("level_probabilities", pa.list_(pa.float32())),  # p(child | parent) along the path
        ("decision", pa.string()),  # accepted | abstained (neither text nor image)
        ("stage", pa.string()),  # text | full
    ]
)


def embeddings(dims: dict[str, int], lexical: bool) -> pa.Schema:
    """Schema of the embedding files: `dims` is {dense modality: dimension}.

    A missing modality is zeros and a false mask, never null.
    """
    fields = [("key", pa.string()), ("has_text", pa.bool_()), ("has_image", pa.bool_())]
    fields += [(name, pa.list_(pa.float16(), dim)) for name, dim in dims.items()]
    if lexical:
        fields.append(("lexical", pa.list_(pa.int32())))
    return pa.schema(fields)
