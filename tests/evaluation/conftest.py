"""An evaluated split without any model: drawn pictures, five shops, hostile titles, two models and a reference."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from catray.evaluation import confidence
from catray.evaluation.compare import compare, trust
from catray.evaluation.examples import Evaluated
from catray.evaluation.report import write_report
from catray.taxonomy import Taxonomy

HOSTILE = [
    "<script>document.title = 'taken'</script>",
    '"><img src=x onerror="document.title = `taken`">',
    "<style>body { display: none }</style>",
    "${7*7} {{ 7*7 }} &amp; <b>$x^2$</b>",
    "<a href='https://example.com/'>click</a>",
]
PATHS = [
    ("Footwear", "Shoes", "Sneakers"),
    ("Footwear", "Shoes", "Boots"),
    ("Footwear", "Sandals"),
    ("Apparel", "Tops", "Shirts"),
    ("Apparel", "Tops", "Knits & <b Wool"),
    ("Apparel", "Dresses"),
    ("Bags", "Backpacks"),
    ("Bags", "Totes"),
]
SHOPS = ["northwind", "la-moda", "schuhhaus", "<i>evil</i> $hop$", "tiny"]
LABELS = {"text": "text head", "full": "full head", "cascade": "cascade", "tfidf_svm": "TF-IDF + linear SVM"}


def draw(kind: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 300), tuple(rng.integers(225, 256, 3).tolist()))
    color = tuple(rng.integers(30, 200, 3).tolist())
    pen = ImageDraw.Draw(image)
    x, y = rng.integers(20, 60, 2).tolist()
    shape = [pen.ellipse, pen.rectangle][kind % 2]
    shape((x, y + 12 * kind, 230 - x, 280 - y), fill=color, outline="black", width=3)
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


class Outline(HTMLParser):
    """The tags of a page, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@dataclass(frozen=True)
class Sample:
    taxonomy: Taxonomy
    evaluated: Evaluated
    metrics: dict[str, Any]
    pictures: dict[str, bytes | None]

    def write(self, file: Path, examples: int = 8) -> str:
        write_report(
            file,
            self.taxonomy,
            self.evaluated,
            self.metrics,
            [("Model", "main: late fusion of text, image"), ("Seed", "0")],
            "seed: 0\nmodel:\n  name: main\n",
            lambda keys: {key: self.pictures[key] for key in keys},
            examples=examples,
        )
        return file.read_text(encoding="utf-8")


def make_sample(
    n: int = 600, seed: int = 0, reference: bool = True, resamples: int = 200, perfect: bool = False
) -> Sample:
    rng = np.random.default_rng(seed)
    taxonomy = Taxonomy.from_paths(PATHS)
    leaves = np.array([taxonomy.index(path) for path in PATHS])
    truth = rng.choice(leaves, n, p=np.array([5, 4, 3, 3, 2, 2, 1, 1]) / 21)
    titles = [HOSTILE[i % len(HOSTILE)] if i % 11 == 0 else f"{taxonomy.names[truth[i]]} no. {i}" for i in range(n)]
    keys = [f"shop/{i:04d}" for i in range(n)]

    def answers(right: float) -> tuple[np.ndarray, np.ndarray]:
        probability = np.clip(rng.beta(5, 1.2, n), 0, 1).astype(np.float32)
        ok = rng.random(n) < np.where(probability > 0.7, right + 0.05, right - 0.25)
        return np.where(ok | perfect, truth, rng.choice(leaves, n)), probability

    text, full = answers(0.84), answers(0.93)
    pictured = rng.random(n) > 0.1
    by_text = (text[1] >= 0.9) | ~pictured
    nodes = {"text": text[0], "full": full[0], "cascade": np.where(by_text, text[0], full[0])}
    if not perfect:
        for answer in nodes.values():
            answer[3] = -1  # neither text nor picture
    probability = np.where(by_text, text[1], full[1])
    if reference:
        nodes["tfidf_svm"] = answers(0.8)[0]
    shops = [SHOPS[min(int(rng.integers(9)), 3)] for _ in range(n - 4)] + [SHOPS[4]] * 4
    groups = [f"g{i // 2}" for i in range(n)]
    against = "tfidf_svm" if reference else None
    metrics = compare(taxonomy, truth, nodes, LABELS, groups, shops, "cascade", against, resamples, seed)
    sure = {"text": text, "full": full, "cascade": (nodes["cascade"], probability)}
    metrics |= {
        "model": "main",
        "split": "test",
        "cascade": {"threshold": 0.9, "text_share": float(by_text.mean())},
        "confidence": {name: trust(p, answer == truth) for name, (answer, p) in sure.items()},
        "threshold_curve": confidence.threshold_curve(taxonomy, truth, text, full[0], pictured, np.linspace(0, 1, 41)),
    }
    evaluated = Evaluated(
        keys=keys,
        titles=titles,
        platforms=shops,
        truth=truth,
        predicted=nodes["cascade"],
        probability=probability,
        stages=["text" if light else "full" for light in by_text],
        probabilities={LABELS[name]: pair for name, pair in sure.items()},
        train_counts=np.bincount(truth, minlength=len(taxonomy)) * 8,
    )
    kind = {int(leaf): i for i, leaf in enumerate(leaves)}
    pictures = {
        key: draw(kind[int(node)], i) if pictured[i] else None
        for i, (key, node) in enumerate(zip(keys, truth, strict=True))
    }
    pictures[keys[0]] = b"GIF89a broken"
    return Sample(taxonomy, evaluated, metrics, pictures)


@pytest.fixture(scope="session")
def sample() -> Sample:
    return make_sample()


@pytest.fixture(scope="session")
def new_sample() -> Callable[..., Sample]:
    return make_sample


@pytest.fixture(scope="session")
def hostile() -> list[str]:
    return HOSTILE


@pytest.fixture(scope="session")
def outline() -> Callable[[str], Outline]:
    return Outline
