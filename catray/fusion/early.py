"""Early fusion: every modality projected and normalized, concatenated with the mask, then one trunk and one head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from catray.fusion.batch import Batch
from catray.fusion.hierarchy import Hierarchy
from catray.fusion.trunk import Inputs, Views


class Early(nn.Module):
    """forward(batch) -> logits (B, N)."""

    def __init__(
        self, hierarchy: Hierarchy, inputs: Inputs, hidden: int, dropout: float, modality_dropout: float
    ) -> None:
        super().__init__()
        self.hierarchy = hierarchy
        self.views = Views(inputs, hidden, dropout, modality_dropout)
        count = len(inputs.modalities)
        self.trunk = nn.Sequential(
            nn.Linear(count * (hidden + 1), hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(hidden, hierarchy.nodes)

    def forward(self, batch: Batch) -> Tensor:
        views, mask = self.views(batch)
        return self.head(self.trunk(torch.cat([*views, mask.float()], dim=1)))

    def loss(self, batch: Batch, target: Tensor) -> Tensor:
        """Mean loss of products with the nodes `target` (B,) int64."""
        return self.hierarchy.loss(self(batch), target)
