"""Decoding: from probabilities to one valid path a product.

greedy    the paper's: the best child of the best child, level by level
best_leaf joint: the leaf whose whole path is the most probable

Ties go to the first node in both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from catray.fusion.hierarchy import Hierarchy


def greedy(conditional: Tensor, hierarchy: Hierarchy) -> Tensor:
    """(B,) leaf reached by taking the most probable child at every level. conditional (B, N): log p(node | parent)."""
    x = conditional.t()
    index = hierarchy.group.unsqueeze(1).expand_as(x)
    best = x.new_full((hierarchy.groups, x.shape[1]), -torch.inf).scatter_reduce(0, index, x, "amax")
    nodes = torch.arange(hierarchy.nodes, device=x.device).unsqueeze(1).expand_as(x)
    first = torch.where(x == best.index_select(0, hierarchy.group), nodes, hierarchy.nodes)
    child = nodes.new_full(best.shape, hierarchy.nodes).scatter_reduce(0, index, first, "amin")  # (G, B)
    node = torch.full((x.shape[1],), -1, device=x.device)
    columns = torch.arange(x.shape[1], device=x.device)
    for _ in range(hierarchy.depth):
        group = hierarchy.first_group[node + 1]
        node = torch.where(group >= 0, child[group.clamp_min(0), columns], node)
    return node


def best_leaf(joint: Tensor, hierarchy: Hierarchy) -> Tensor:
    """(B,) leaf with the highest joint probability. joint (B, N): log p(path to node)."""
    return joint.masked_fill(~hierarchy.leaf, -torch.inf).argmax(1)
