"""The training loop of one head: plain torch, no Ray; `fit` runs it inside Ray Train's workers.

AdamW with a warm-up and a cosine; the weights that are scored and kept are an exponential moving average of the trained
ones (steadier, above all for rare leaves); stops when the validation hF has not improved for `patience` epochs, and
keeps the best epoch's weights. With several workers each takes its share of every batch, so that the number of workers
changes the speed and not the model.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from catray.config import ModelConfig
from catray.fusion.batch import Batch
from catray.fusion.decoding import best_leaf
from catray.fusion.hierarchy import Hierarchy
from catray.fusion.trunk import DenseView, LexicalView, Views

AVERAGE = 0.99
WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""
LOGITS = 200_000_000
"""The most numbers that `sample_logits` returns."""


@dataclass(frozen=True)
class Score:
    """Of one epoch on the validation rows."""

    loss: float
    hF: float
    exact_path: float
    leaf_macro_f1: float
    """Mean F1 of the paths that are a label of some row."""


class Objective(nn.Module):
    """The head's loss as a forward pass, which is what DDP wraps."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, batch: Batch, target: Tensor) -> Tensor:
        loss: Tensor = self.head.loss(batch, target)  # type: ignore[operator]
        return loss


def fit_views(head: nn.Module, batch: Batch, rows: Tensor, words: tuple[Tensor, Tensor] | None) -> None:
    """Set what the views take from the training rows: means, deviations, and `words`, the `vocabulary`."""
    views = head.views
    assert isinstance(views, Views)
    for name, view in views.views.items():
        present = rows[batch.mask[name][rows]]
        if isinstance(view, DenseView):
            view.fit(batch.dense[name][present].float())
        elif isinstance(view, LexicalView):
            assert words is not None
            view.fit(*words)


def score(head: nn.Module, hierarchy: Hierarchy, batch: Batch, targets: Tensor, size: int = 2048) -> Score:
    """Score a head on labelled products. Read for stopping and for the model card; evaluation/ has the full report."""
    device = hierarchy.group.device
    head.eval()
    loss = shared = said = true = right = 0.0
    counts = torch.zeros(3, hierarchy.nodes, dtype=torch.int64, device=device)  # labelled, predicted, both
    with torch.inference_mode():
        for start in range(0, len(targets), size):
            rows = torch.arange(start, min(start + size, len(targets)))
            target = targets[rows].to(device)
            logits = head(batch.select(rows).to(device))
            joint = hierarchy.joint(hierarchy.conditional(logits))
            chosen = best_leaf(joint, hierarchy)
            path, truth = hierarchy.paths[chosen], hierarchy.paths[target]
            loss += float(hierarchy.losses(logits, target).sum())
            same = (path == truth) & (truth >= 0)
            shared, said, true = shared + int(same.sum()), said + int((path >= 0).sum()), true + int((truth >= 0).sum())
            right += int((chosen == target).sum())
            for i, nodes in enumerate((target, chosen, target[chosen == target])):
                counts[i] += torch.bincount(nodes, minlength=hierarchy.nodes)
    labelled = counts[:, counts[0] > 0].double()
    f1 = float((2 * labelled[2] / (labelled[0] + labelled[1])).mean()) if labelled.shape[1] else 0.0
    count = max(1, len(targets))
    return Score(loss / count, 2 * shared / max(1.0, said + true), right / count, f1)


@torch.inference_mode()
def sample_logits(
    head: nn.Module, hierarchy: Hierarchy, batch: Batch, targets: Tensor, seed: int, size: int = 2048
) -> tuple[Tensor, Tensor]:
    """(logits (b, N), targets (b,)) of labelled products; of a seeded sample where all take more than a gigabyte."""
    device = hierarchy.group.device
    rows = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    rows = rows[: LOGITS // hierarchy.nodes + 1].sort().values
    head.eval()
    logits = [head(batch.select(part).to(device)) for part in rows.split(size)]
    return torch.cat(logits), targets[rows].to(device)


def train_head(
    head: nn.Module,
    hierarchy: Hierarchy,
    train: tuple[Batch, Tensor],
    val: tuple[Batch, Tensor],
    config: ModelConfig,
    seed: int,
    report: Callable[[dict[str, float]], None] = lambda metrics: None,
    prepare: Callable[[nn.Module], nn.Module] = lambda module: module,
    rank: int = 0,
    workers: int = 1,
) -> list[dict[str, float]]:
    """Train `head` in place, leave the best epoch's averaged weights in it, return the history (one dict an epoch).

    `report` is called once an epoch by every worker with the same figures; `prepare` is Ray Train's prepare_model.
    """
    device = hierarchy.group.device
    objective = prepare(Objective(head))
    average = copy.deepcopy(head)
    batch, targets = train
    count = len(targets)
    share = max(1, config.batch_size // workers)
    steps = max(1, math.ceil(count / (share * workers)))
    optimizer = torch.optim.AdamW(parameter_groups(head, config.weight_decay), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps * config.epochs))
    torch.manual_seed(seed * 1000 + rank)  # dropout differs between the workers
    history: list[dict[str, float]] = []
    best, best_state, waited = -1.0, copy.deepcopy(head.state_dict()), 0
    done = 0
    for epoch in range(1, config.epochs + 1):
        objective.train()
        total = 0.0
        for rows in batches(count, share, workers, rank, seed * 1000 + epoch):
            loss = objective(batch.select(rows).to(device), targets[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            update_average(average, head, min(AVERAGE, done / (done + 9)))
            total += float(loss.detach())
        result = score(average, hierarchy, *val)
        metrics = {"epoch": epoch, "train_loss": total / steps, **{f"val_{k}": v for k, v in asdict(result).items()}}
        history.append(metrics)
        waited += 1
        if result.hF > best:
            best, best_state, waited = result.hF, copy.deepcopy(average.state_dict()), 0
        report(metrics)
        if waited >= config.patience:
            break
    head.load_state_dict(best_state)
    return history


def batches(count: int, share: int, workers: int, rank: int, seed: int) -> Iterator[Tensor]:
    """This worker's rows of every batch of an epoch. All workers get as many batches, of (nearly) the same size:
    they wait for each other at every step."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    for start in range(0, count, share * workers):
        whole = order[start : start + share * workers]
        mine = whole[rank::workers]
        yield mine if len(mine) else whole[:1]


def parameter_groups(head: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; biases, norms and the vectors that stand for missing modalities do not."""
    decayed = [p for p in head.parameters() if p.ndim > 1]
    free = [p for p in head.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def rate(step: int, total: int) -> float:
    """Factor on the learning rate: a linear rise, then a cosine to a hundredth."""
    rise = max(1, round(WARM_UP * total))
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


@torch.no_grad()
def update_average(average: nn.Module, head: nn.Module, keep: float) -> None:
    targets: list[Tensor] = list(average.parameters())
    sources: list[Tensor] = list(head.parameters())
    torch._foreach_lerp_(targets, sources, 1 - keep)
