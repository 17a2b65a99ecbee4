"""Predictor: a model folder and the encoders it was trained on; products or embeddings in, paths out.

    predictor = Predictor("workspaces/demo/models/main")
    table = predictor.embed([{"title": "red sneakers", "image": None}])     # or a table of embeddings
    predictor.predict(table, "text", top_k=3)                               # one stage
    predictor.categorize(table, threshold=0.9)                              # the cascade, as a table

Batch prediction and the service run this same class, so a product gets the same answer from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from catray import schema
from catray.encoders.device import choose_device
from catray.encoders.encoders import Encoders, Prepared, prepare_rows, preset_of
from catray.errors import CatrayError
from catray.fusion.batch import Batch
from catray.fusion.model import Model, Stage
from catray.serving.cascade import answers, needs_text

ENCODER_OF = {"text": "text", "image": "image", "clip_text": "clip", "clip_image": "clip"}


@dataclass(frozen=True)
class Answer:
    """One stage's answer for one product."""

    node: int
    probability: float
    """joint, of the whole path"""
    levels: list[float]
    """p(child | parent) along the path"""
    alternatives: list[tuple[int, float]]
    """(leaf, joint probability) of the next best, the best first"""


class Predictor:
    """`stages` says which are wanted: only what these read is loaded, so the text stage loads no image encoder.

    Encoders load at their first use: predicting from embeddings needs none. Errors: CatrayError for a folder that holds
    no model, or encoders that can't be loaded.
    """

    def __init__(
        self,
        folder: str | Path,
        device: str = "auto",
        precision: str = "auto",
        stages: Sequence[Stage] = ("text", "full"),
    ) -> None:
        self.device, self.precision, self.stages = device, precision, stages
        self.model = Model.load(folder, choose_device(device)[0])
        self.reads = [m for m in self.model.modalities if any(m in self.model.reads(stage) for stage in stages)]
        self.sees_images = any(schema.MASK_OF[m] == "has_image" for m in self.model.modalities)

    @cached_property
    def encoders(self) -> Encoders:
        parts = {ENCODER_OF[m] for m in self.reads if m in ENCODER_OF}
        return Encoders.from_description(self.model.encoders, self.device, self.precision, parts)

    def embed(self, products: Prepared | Iterable[Mapping[str, Any]]) -> pa.Table:
        """Prepared products, or mappings of title, description and image (bytes): embeddings as the schema has them."""
        if not isinstance(products, Prepared):
            products = prepare_rows(products, preset_of(self.model.encoders))
        return self.encoders.encode(products)

    def predict(self, table: pa.Table, stage: Stage, top_k: int = 0) -> list[Answer | None]:
        """One stage's answers for a table of embeddings; None where the product has nothing that the stage reads."""
        if stage not in self.stages:
            raise CatrayError(f"this predictor was loaded without the {stage} stage")
        if not table.num_rows:
            return []
        batch = Batch.from_table(table, self.model.reads(stage))
        if not batch.mask:
            return [None] * table.num_rows
        found = self.model.predict(batch, stage, log_joint=top_k > 0)
        return [
            None
            if node < 0
            else Answer(
                int(node),
                float(found.probability[i]),
                found.level_probabilities[i],
                self._alternatives(found.log_joint[i], int(node), top_k) if found.log_joint is not None else [],
            )
            for i, node in enumerate(found.nodes)
        ]

    def _alternatives(self, log_joint: np.ndarray, chosen: int, count: int) -> list[tuple[int, float]]:
        leaves = np.flatnonzero(self.model.taxonomy.is_leaf)
        leaves = leaves[leaves != chosen]
        best = leaves[np.argsort(-log_joint[leaves], kind="stable")[:count]]
        return [(int(leaf), float(np.exp(log_joint[leaf]))) for leaf in best]

    def categorize(self, table: pa.Table, threshold: float) -> pa.Table:
        """The cascade over a table of embeddings -> schema.PREDICTIONS, in the same order.

        `key` is null where the table has none. An abstained product has a null path, node_id and stage.
        """
        has_text, has_image = (table[name].to_pylist() for name in ("has_text", "has_image"))
        if not self.sees_images:
            has_image = [False] * table.num_rows
        asks = [i for i, there in enumerate(has_text) if needs_text(has_text=there)]
        text: list[Answer | None] = [None] * table.num_rows
        for i, answer in zip(asks, self.predict(_rows(table, asks), "text"), strict=True):
            text[i] = answer
        stages = [
            answers(
                has_text=has_text[i],
                has_image=has_image[i],
                probability=answer.probability if answer else None,
                threshold=threshold,
            )
            for i, answer in enumerate(text)
        ]
        harder = [i for i, stage in enumerate(stages) if stage == "full"]
        chosen = list(text)
        for i, answer in zip(harder, self.predict(_rows(table, harder), "full"), strict=True):
            chosen[i] = answer
        keys = table["key"].to_pylist() if "key" in table.column_names else [None] * table.num_rows
        rows = [self._row(*row) for row in zip(keys, chosen, stages, strict=True)]
        return pa.Table.from_pylist(rows, schema=schema.PREDICTIONS)

    def _row(self, key: str | None, answer: Answer | None, stage: Stage | None) -> dict[str, Any]:
        row: dict[str, Any] = {"key": key, "path": None, "node_id": None, "probability": 0.0}
        row |= {"level_probabilities": [], "decision": "abstained", "stage": None}
        if answer is not None:
            taxonomy = self.model.taxonomy
            row |= {"path": list(taxonomy.path(answer.node)), "node_id": taxonomy.ids[answer.node]}
            row |= {"probability": answer.probability, "level_probabilities": answer.levels}
            row |= {"decision": "accepted", "stage": stage}
        return row


def merge(products: Sequence[Prepared]) -> Prepared:
    """Products that were prepared apart, as one batch. At least one; all for the same preset."""
    first = products[0]
    if len(products) == 1:
        return first
    lexical = None
    if first.lexical is not None:
        parts = [product.lexical for product in products if product.lexical is not None]
        ids, lengths = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        lexical = (ids, lengths)
    return Prepared(
        [text for product in products for text in product.texts],
        np.concatenate([product.has_text for product in products]),
        np.concatenate([product.has_image for product in products]),
        {shape: np.concatenate([product.images[shape] for product in products]) for shape in first.images},
        lexical,
    )


def _rows(table: pa.Table, rows: list[int]) -> pa.Table:
    return table.take(pa.array(rows, pa.int64()))  # typed, for the list may be empty
