from __future__ import annotations

import json
from collections.abc import Callable
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catray.encoders.lexical import lexical_ids
from catray.encoders.presets import LexicalSpec

SPEC = LexicalSpec()
WORDS_ONLY = LexicalSpec(words=1, characters=(99, 99))
ANY_TEXT = st.text(st.characters(), max_size=80)  # lone surrogates too


def similarity(one: str, two: str) -> float:
    a, b = set(lexical_ids(one, SPEC)), set(lexical_ids(two, SPEC))
    return len(a & b) / len(a | b)


def test_ids_are_words_pairs_and_character_ngrams() -> None:
    """Written out, because every trained model holds weights by these ids."""
    grams = ["<re", "red", "ed>", "<red", "red>", "<sh", "sho", "hoe", "oe>", "<sho", "shoe", "hoe>"]
    grams += ["<shoe", "shoe>"]
    keys = [b"red", b"shoe", b"red shoe", *(b"~" + gram.encode() for gram in grams)]
    assert lexical_ids("Red shoe", SPEC) == sorted({crc32(key) % 2**16 for key in keys})


def test_ids_are_the_same_in_every_process(python: Callable[..., str]) -> None:
    texts = ["Nike Air Max 90", "Crème brûlée", "कमीज", "中文 标题"]
    code = f"""
import json
from catray.encoders.lexical import lexical_ids
from catray.encoders.presets import LexicalSpec
print(json.dumps([lexical_ids(text, LexicalSpec()) for text in {texts!r}]))
"""
    ours = [lexical_ids(text, SPEC) for text in texts]
    for seed in ("1", "2"):
        assert json.loads(python(code, PYTHONHASHSEED=seed)) == ours


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("RED Shoe", "red shoe"),
        ("STRASSE", "straße"),
        ("cafe\u0301", "caf\u00e9"),
        ("Ｔシャツ", "Tシャツ"),
        ("size: 7, red!", "size 7 red"),
        ("snake_case", "snake case"),
        ("item 123456", "item 987654321"),
    ],
)
def test_the_same_words(one: str, two: str) -> None:
    assert lexical_ids(one, SPEC) == lexical_ids(two, SPEC)


@pytest.mark.parametrize(("one", "two"), [("café", "cafe"), ("size 7", "size 8"), ("air max", "max air"), ("1", "2")])
def test_other_words(one: str, two: str) -> None:
    assert lexical_ids(one, SPEC) != lexical_ids(two, SPEC)


def test_short_numbers_are_words_without_ngrams() -> None:
    assert lexical_ids("2024", SPEC) == [crc32(b"2024") % 2**16]
    assert lexical_ids("12345", SPEC) == [crc32(b"#") % 2**16]
    assert len(lexical_ids("a2024", SPEC)) > 1


@pytest.mark.parametrize("word", ["कमीज", "เสื้อยืด", "பாவாடை", "über", "e\u0301te\u0301", "женские"])
def test_marks_do_not_split_a_word(word: str) -> None:
    assert len(lexical_ids(word, WORDS_ONLY)) == 1


@pytest.mark.parametrize("text", ["", "  ", "-- !? __", "👟🔥", "\x00\x1f", "\ud800"])
def test_a_text_without_a_word_has_none(text: str) -> None:
    assert lexical_ids(text, SPEC) == []


def test_spelled_alike_is_near() -> None:
    assert similarity("sneaker", "sneakers") > 0.4
    assert similarity("sneaker", "lampshade") < 0.1


def test_pair_length_is_a_setting() -> None:
    counts = [len(lexical_ids("one two three four", LexicalSpec(words=n, characters=(99, 99)))) for n in (1, 2, 3, 4)]
    assert counts == [4, 7, 9, 10]


def test_an_endless_word_has_few_ids() -> None:
    text = "".join(chr(97 + i * i % 26) for i in range(1_000_000))
    assert 1 < len(lexical_ids(text, SPEC)) < 200


@given(ANY_TEXT, st.integers(1, 5000), st.integers(1, 4))
def test_ids_are_ascending_unique_and_within_the_buckets(text: str, buckets: int, words: int) -> None:
    ids = lexical_ids(text, LexicalSpec(buckets, words))
    assert ids == sorted(set(ids))
    assert all(0 <= i < buckets for i in ids)


@given(ANY_TEXT)
def test_a_part_of_a_text_has_a_part_of_its_ids(text: str) -> None:
    assert set(lexical_ids(text, SPEC)) <= set(lexical_ids(f"{text} and more", SPEC))
