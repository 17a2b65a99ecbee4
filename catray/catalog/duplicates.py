"""Near-duplicate groups: products that share a normalized title or a perceptual image hash, transitively.

The split is drawn by group, so that such twins are never on both sides of it. The hash must be the same to the bit: a
picture saved again at a much lower quality is missed, unless the title tells.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from catray.config import SplitShares

WORDS = re.compile(r"\w+")


def title_token(title: str) -> str | None:
    """The title without case, accents, punctuation and word order; None for a blank one."""
    text = unicodedata.normalize("NFKD", title).casefold()
    words = WORDS.findall("".join(c for c in text if not unicodedata.combining(c)))
    if not words:
        return None
    return "t:" + hashlib.blake2b(" ".join(sorted(words)).encode("utf-8", "replace"), digest_size=8).hexdigest()


def groups(keys: Sequence[str], tokens: Sequence[Sequence[str | None]]) -> list[str]:
    """The group of each product: connected components of the graph product - token.

    tokens: one sequence (a title token a product, an image hash a product ...) each as long as `keys`.
    A group is named by the smallest token in it, or by the key of a product that has none: its name depends neither
    on order nor on the products' number.
    """
    n = len(keys)
    rows: list[int] = []
    columns: list[int] = []
    index: dict[str, int] = {}
    for sequence in tokens:
        for i, token in enumerate(sequence):
            if token is not None:
                rows.append(i)
                columns.append(n + index.setdefault(token, len(index)))
    size = n + len(index)
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    name: dict[int, str] = {}
    for token, i in index.items():
        c = int(component[n + i])
        if c not in name or token < name[c]:
            name[c] = token
    names = (name.get(int(component[i]), keys[i]) for i in range(n))
    return [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest() for text in names]


def split_of(group: str, shares: SplitShares, seed: int) -> str:
    """train, val or test by a hash of the group: adding products moves nobody."""
    digest = hashlib.blake2b(f"{seed}/{group}".encode(), digest_size=8).digest()
    u = int.from_bytes(digest, "big") / 2**64
    return "train" if u < shares.train else "val" if u < shares.train + shares.val else "test"
