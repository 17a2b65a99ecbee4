"""Late fusion: a trunk and a head a modality, and a small network that decides product by product whom to trust.

Every modality m gives logits z_m from its own trunk. A combiner reads the hidden states, the masks, and of each
modality's distribution p_m its expected node embedding (p_m times a learned table) and its confidence (top and mean log
probability). It returns a positive weight w_m a modality (masked ones: none) and a small residual:

    logits = sum_m w_m z_m + residual

Adding z_m is adding log p_m: they differ by a constant a sibling group, which the segment softmax removes; so this is a
product of experts, p proportional to prod_m p_m ** w_m, whose exponents depend on the product. The weights start at
1 / M each (the plain average) and the residual at zero. The modalities' heads are trained by a loss of their own as
well, so that each can stand alone where the others are missing.
(TorchMultimodal calls "encode, then fuse" late fusion; here late means that each modality has its own head.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from catray.fusion.batch import Batch
from catray.fusion.hierarchy import Hierarchy
from catray.fusion.trunk import Inputs, Views

TABLE = 32
"""Width of the learned node table through which the combiner reads a distribution over N nodes."""
AUXILIARY = 0.5
"""Weight of the modalities' own losses (their mean) beside the fused one."""


class Late(nn.Module):
    """forward(batch) -> logits (B, N)."""

    def __init__(
        self, hierarchy: Hierarchy, inputs: Inputs, hidden: int, dropout: float, modality_dropout: float
    ) -> None:
        super().__init__()
        self.hierarchy = hierarchy
        self.views = Views(inputs, hidden, dropout, modality_dropout)
        count, nodes = len(inputs.modalities), hierarchy.nodes
        self.trunks = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))
            for _ in range(count)
        )
        self.heads = nn.ModuleList(nn.Linear(hidden, nodes) for _ in range(count))
        self.table = nn.Linear(nodes, TABLE, bias=False)
        self.mix = nn.Sequential(
            nn.Linear(count * (hidden + TABLE + 3), hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.trust = nn.Linear(hidden, count)
        self.residual = nn.Linear(hidden, nodes)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)

    def forward(self, batch: Batch) -> Tensor:
        return self.fuse(batch)[0]

    def fuse(self, batch: Batch) -> tuple[Tensor, list[Tensor], Tensor]:
        """(fused logits (B, N), [logits (B, N) of each modality], mask (B, M) after modality dropout)."""
        views, mask = self.views(batch)
        hidden = [trunk(x) for trunk, x in zip(self.trunks, views, strict=True)]
        logits = [head(x) for head, x in zip(self.heads, hidden, strict=True)]
        present = mask.float()
        features = []
        for m, z in enumerate(logits):
            # the combiner judges the distributions, it does not bend them: no gradient into the heads from here
            joint = self.hierarchy.joint(self.hierarchy.conditional(z.detach()))
            p = joint.exp()
            top = joint.masked_fill(~self.hierarchy.leaf, -torch.inf).amax(1)
            entropy = -(p * joint.clamp_min(-50) * self.hierarchy.leaf).sum(1)
            read = torch.cat([hidden[m], self.table(p), torch.stack([top.clamp_min(-10), entropy], dim=1)], dim=1)
            features.append(torch.cat([read * present[:, m : m + 1], present[:, m : m + 1]], dim=1))
        mixed = self.mix(torch.cat(features, dim=1))
        # softplus with its value at zero brought to 1: weights are positive, and sum to 1 at the start
        raw = functional.softplus(self.trust(mixed) + 0.5413) * present
        weight = raw / present.sum(1, keepdim=True).clamp_min(1)
        fused = self.residual(mixed)
        for m, z in enumerate(logits):
            fused = fused + weight[:, m : m + 1] * z
        return fused, logits, mask

    def loss(self, batch: Batch, target: Tensor) -> Tensor:
        """Mean loss of products with the nodes `target` (B,) int64: the fused one and the modalities' own."""
        fused, logits, mask = self.fuse(batch)
        loss = self.hierarchy.loss(fused, target)
        if len(logits) < 2:
            return loss
        own = sum((self.hierarchy.losses(z, target) * mask[:, m]).sum() for m, z in enumerate(logits))
        return loss + AUXILIARY * own / mask.sum().clamp_min(1)
