"""Lexical features: hashed word and character n-grams, the same ids in every process and on every machine.

They tell what a sentence encoder blurs: brands, model names, sizes, rare words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from zlib import crc32

from catray.encoders.presets import LexicalSpec

# Letters, digits, and the vowel signs of Indic scripts, Thai and Lao, which are marks and not \w.
_WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff])+")
_CODE = re.compile(r"\d{5,}")


def lexical_ids(text: str, spec: LexicalSpec) -> list[int]:
    """Ids in 0 .. spec.buckets - 1, ascending, each once; none for a text without a word.

    Words are NFKC-normalized and casefolded. Numbers of up to four digits are words (sizes, counts, years), without
    character n-grams; longer ones (article numbers) are all one word.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    words = ["#" if _CODE.fullmatch(word) else word for word in words]
    low, high = spec.characters
    ids: set[int] = set()
    for word in words:
        ids.update(_of_word(word, spec.buckets, low, high))
    for length in range(2, spec.words + 1):
        for i in range(len(words) - length + 1):
            ids.add(crc32(" ".join(words[i : i + length]).encode()) % spec.buckets)
    return sorted(ids)


@lru_cache(maxsize=100_000)
def _of_word(word: str, buckets: int, low: int, high: int) -> tuple[int, ...]:
    """The word itself and the n-grams of `<word>`, whose marks tell a beginning and an end from a middle."""
    ids = {crc32(word.encode()) % buckets}
    if not word.isdigit() and word != "#":
        marked = f"<{word[:64]}>"
        for length in range(low, min(high, len(marked) - 1) + 1):
            for i in range(len(marked) - length + 1):
                ids.add(crc32(b"~" + marked[i : i + length].encode()) % buckets)
    return tuple(ids)
