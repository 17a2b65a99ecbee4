"""Names for clusters from their products' titles: class-based TF-IDF (Grootendorst 2022, arXiv:2203.05794, eq. 2).

Words and two-word phrases. A term counts once a title, so that a shop that repeats itself in a title decides nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SMALLEST_SHARE, GOOD_SHARE = 0.05, 0.2


@dataclass(frozen=True)
class Term:
    text: str
    score: float
    inside: float
    """Share of the cluster's titles that hold it."""
    outside: float
    """Share of the node's other titles, noise included, that hold it."""


def terms_of(title: str) -> set[str]:
    """Words of two letters and more, casefolded, and pairs of neighbors."""
    words = [w for w in _WORD.findall(unicodedata.normalize("NFKC", title).casefold()) if len(w) > 1]
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}


def name_terms(titles: Sequence[str], labels: np.ndarray, count: int, top: int = 5) -> list[list[Term]]:
    """The `top` terms of each cluster 0..count-1, best first; fewer, or none, where the titles don't tell.

    Score = share of the cluster's titles that hold the term x log(1 + A / f): f is how many titles hold the term over
    all clusters, A the mean number of titles a cluster. Only terms that are more frequent inside than outside. Those
    in a fifth of the titles come first: a rare word that is all the cluster's own is no name for it.
    """
    found = [terms_of(title) for title in titles]
    inside = [Counter[str]() for _ in range(count)]
    total = Counter[str]()
    for terms, label in zip(found, labels.tolist(), strict=True):
        total.update(terms)
        if label >= 0:
            inside[label].update(terms)
    clustered = Counter[str]()
    for counter in inside:
        clustered.update(counter)
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    mean_size = float(sizes.mean()) if count else 0.0
    named = []
    for counter, size in zip(inside, sizes.tolist(), strict=True):
        candidates = []
        for text, hits in counter.items():
            share = hits / size
            rest = (total[text] - hits) / max(len(titles) - size, 1)
            if share >= SMALLEST_SHARE and hits >= 2 and share > rest:
                candidates.append(Term(text, share * float(np.log1p(mean_size / clustered[text])), share, rest))
        candidates.sort(key=lambda term: (term.inside < GOOD_SHARE, -term.score, term.text.count(" "), term.text))
        named.append(_without_parts(candidates, top))
    return named


def _without_parts(candidates: Sequence[Term], top: int) -> list[Term]:
    """The best terms, without a phrase beside its own words: "flip flops", not "flip", "flops" and "flip flops".

    Of those that share a word the best stands, but a phrase takes a word's place where it is nearly as frequent and its
    other word tells as much: "flip flops" for "flip", not "acme women" for "women".
    """
    scores = {term.text: term.score for term in candidates}
    chosen: list[Term] = []
    for term in candidates:
        words = set(term.text.split())
        rivals = [i for i, other in enumerate(chosen) if words & set(other.text.split())]
        if not rivals and len(chosen) < top:
            chosen.append(term)
        elif rivals and len(words) == 2 and all(chosen[i].text in words for i in rivals):
            near = all(term.inside >= 0.8 * chosen[i].inside for i in rivals)
            if near and all(scores.get(word, 0) >= 0.5 * term.score for word in words):
                chosen[rivals[0]] = term
                chosen = [other for i, other in enumerate(chosen) if i not in rivals[1:]]
    return chosen


def distinct_names(terms: Sequence[Sequence[Term]]) -> list[str]:
    """One name a cluster, no two alike: the best term, with further ones, then a number, where it is taken."""
    names: list[str] = []
    for i, own in enumerate(terms):
        texts = [term.text.capitalize() for term in own[:1]] + [term.text for term in own[1:]]
        options = [", ".join(texts[: k + 1]) for k in range(len(texts))] or ["Unnamed"]
        name = next((option for option in options if option not in names), f"{options[-1]} ({i + 1})")
        names.append(name)
    return names
