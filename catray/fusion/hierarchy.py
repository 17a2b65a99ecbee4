"""Hierarchy: dynamic masking as a segment softmax over sibling groups (ARCHITECTURE.md, "the mathematics").

A head gives one logit a node. A log-softmax inside every sibling group turns them into log p(node | parent), and
log p(path) is the sum along the path. That is the paper's dynamic masking (at each level only the children of the
chosen parent compete) for any ragged depth, without padded masks: cost and memory are linear in the number of nodes.

Notable: nodes stand in breadth-first order with siblings adjacent (Taxonomy), so that sibling groups and levels are
slices; everything is by row, so a row's probabilities cannot depend on other rows (HiClass #159), and a leaf is a node
without children at whatever depth (HiClass #162).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from catray.taxonomy import Taxonomy


class Hierarchy(nn.Module):
    """The taxonomy as tensors. N nodes, G sibling groups; the buffers follow the module to its device, unsaved."""

    group: Tensor  # (N,) sibling group, dense 0..G-1
    leaf: Tensor  # (N,) bool
    paths: Tensor  # (N, depth) nodes from the top to the node, -1 behind its end
    first_group: Tensor  # (N + 1,) group of the children of node n at n + 1 (top level at 0), -1 for leaves
    parents: Tensor  # (N,) -1 for the top level

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__()
        parents = np.asarray(taxonomy.parents, dtype=np.int64)
        level = np.asarray(taxonomy.level, dtype=np.int64)
        nodes = len(parents)
        present, group = np.unique(parents, return_inverse=True)
        children = np.full(nodes + 1, -1, dtype=np.int64)
        children[present + 1] = np.arange(len(present))
        paths = np.full((nodes, int(level.max())), -1, dtype=np.int64)
        for node in range(nodes):  # parents come first in breadth-first order
            if parents[node] >= 0:
                paths[node] = paths[parents[node]]
            paths[node, level[node] - 1] = node
        self.nodes, self.groups, self.depth = nodes, len(present), int(level.max())
        # (start, stop) of every level, and the parents of its nodes counted from the start of the level above
        starts = np.searchsorted(level, np.arange(1, self.depth + 2))
        self.levels = [(int(a), int(b)) for a, b in pairwise(starts)]
        for name, value in {
            "group": group.reshape(-1),
            "leaf": np.asarray(taxonomy.is_leaf, dtype=bool),
            "paths": paths,
            "first_group": children,
            "parents": parents,
        }.items():
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def conditional(self, logits: Tensor) -> Tensor:
        """log p(node | parent), (B, N), of logits (B, N): a log-softmax inside every sibling group."""
        # nodes first: the reductions then add whole rows of B contiguous numbers
        x = logits.float().t().contiguous()
        index = self.group.unsqueeze(1).expand_as(x)
        top = x.new_full((self.groups, x.shape[1]), -torch.inf)
        top = top.scatter_reduce(0, index, x.detach(), "amax")  # a constant shift: no gradient through it
        shifted = x - top.index_select(0, self.group)
        total = x.new_zeros(self.groups, x.shape[1]).index_add(0, self.group, shifted.exp())
        return (shifted - total.log().index_select(0, self.group)).t()

    def joint(self, conditional: Tensor) -> Tensor:
        """log p(path to node), (B, N): log p(node | parent) summed from the top down."""
        parts: list[Tensor] = []
        above = 0
        for start, stop in self.levels:
            part = conditional[:, start:stop]
            if parts:
                part = part + parts[-1].index_select(1, self.parents[start:stop] - above)
            parts.append(part)
            above = start
        return torch.cat(parts, dim=1)

    def losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B,) sum of the cross entropies along the path to `target` ((B,) int64 nodes); teacher forcing.

        A target at an inner node trains the levels that its path has, and no other.
        """
        path = self.paths.index_select(0, target)
        terms = self.conditional(logits).gather(1, path.clamp_min(0))
        return -torch.where(path >= 0, terms, torch.zeros_like(terms)).sum(1)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean of `losses` over the rows; scalar."""
        return self.losses(logits, target).mean()
