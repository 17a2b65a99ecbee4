"""Titles, descriptions and shelves of the demo's shops, in English, German, French, Spanish and Italian.

A title is a shop's grammar (`{brand}|{model}|{noun}|- {color}`: a piece whose slot is empty is left out) filled with a
product's words. Whether the noun tells the leaf, or only the group (a `shoe`, a `top`), or stands there at all, is
chance: that is what makes the demo as hard as it is.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from catray.catalog.assortment import SEPARATOR, Item, data

LANGUAGES = ("en", "de", "fr", "es", "it")

TITLE_TELLS = 0.9
"""Share of the titles whose noun names the leaf (some nouns name two). The demo's difficulty: set so that TF-IDF and a
linear SVM reach about .82 hF on the titles of 3,000 products of 8 shops; tests/catalog/test_demo.py holds it there."""
TITLE_HINTS = 0.06  # share of the titles whose noun names the group alone; the rest have no noun
DESCRIPTION_TELLS = 0.6  # the same of descriptions
SUBTYPE_TOLD = 0.4  # share of the products with a hidden subtype whose title has a word for it

SLOT = re.compile(r"\{(\w+)\}")
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


@dataclass(frozen=True)
class Voice:
    """How a shop writes."""

    language: str
    titles: tuple[str, ...]  # grammars
    case: str = "as is"  # as is | title | upper | lower
    typos: float = 0.01  # share of the titles with a slip of the finger
    ascii: bool = False  # no accents, no umlauts
    pets: Mapping[str, str] = field(default_factory=dict)  # leaf -> the shop's own word for it
    pet_share: float = 0.0  # of the nouns


def title(item: Item, voice: Voice, rng: random.Random) -> str:
    vocabulary, language = data("vocabulary"), voice.language
    dice = rng.random()
    if dice < TITLE_TELLS:
        word = own_noun(item, voice, rng)
    else:
        word = hint(item, language, rng) if dice < TITLE_TELLS + TITLE_HINTS else ""
    words = {
        "brand": item.brand,
        "model": item.model,
        "noun": word,
        "color": vocabulary["colors"][item.color][language],
        "material": vocabulary["materials"][item.material][language] if rng.random() < 0.4 else "",
        "gender": vocabulary["genders"][item.gender][language] if rng.random() < 0.6 else "",
        "subtype": subtype_word(item, language) if rng.random() < SUBTYPE_TOLD else "",
        "extra": rng.choice(vocabulary["extras"][language]) if rng.random() < 0.15 else "",
    }
    text = fill(rng.choice(voice.titles), words)
    if rng.random() < voice.typos:
        text = slip(text, rng)
    return spell(text, voice)


def description(item: Item, voice: Voice, rng: random.Random) -> str:
    """One to three sentences."""
    vocabulary, language = data("vocabulary"), voice.language
    tells = rng.random() < DESCRIPTION_TELLS
    words = {
        "brand": item.brand,
        "model": item.model,
        "color": vocabulary["colors"][item.color][language],
        "season": rng.choice(vocabulary["seasons"][language]),
        "noun": own_noun(item, voice, rng) if tells else hint(item, language, rng),
    }
    opener = SLOT.sub(lambda m: words[m.group(1)], rng.choice(vocabulary["openers"][language]))
    material = vocabulary["materials"][item.material][language]
    sentences = [
        vocabulary["material_sentence"][language].replace("{material}", material),
        rng.choice(vocabulary["details"][item.path[0]][language]),
        rng.choice(vocabulary["closers"][language]),
    ]
    if item.subtype and rng.random() < 0.5:
        phrase = vocabulary["subtype_sentence"][language].replace("{subtype}", subtype_word(item, language))
        sentences.append(phrase)
    chosen = rng.sample(sentences, rng.choice((0, 1, 2)))
    if rng.random() < 0.75 or not chosen:
        chosen.insert(0, opener)
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in chosen)
    return text.translate(UMLAUTS) if voice.ascii else text


def shelf(item: Item, language: str, tree: str, rng: random.Random) -> tuple[str, ...]:
    """The shop's own category. `tree`: full (as deep as ours), gendered, flat (a noun) or coarse (a group)."""
    vocabulary = data("vocabulary")
    if rng.random() < 0.03:
        sale: str = vocabulary["sales"][language]
        return (sale,)
    groups = data("assortment")["groups"]
    names = [groups[SEPARATOR.join(item.path[:n])][language][1] for n in range(1, len(item.path))]
    word: str = item.leaf[language][0]
    word = word[0].upper() + word[1:]
    gender: str = vocabulary["genders"][item.gender][language]
    if tree == "full":
        return (*names, word)
    if tree == "gendered":
        return (gender, names[0], word)
    return (word,) if tree == "flat" else (gender, names[-1])


def noun(item: Item, language: str, rng: random.Random) -> str:
    """One of the words for the leaf, the first ones more often."""
    words: list[str] = item.leaf[language]
    return rng.choices(words, [3, 2, 1, 1][: len(words)])[0]


def own_noun(item: Item, voice: Voice, rng: random.Random) -> str:
    """One of the words for the leaf, or the shop's own, which nobody else would understand."""
    if voice.pets and rng.random() < voice.pet_share:
        return voice.pets[SEPARATOR.join(item.path)]
    return noun(item, voice.language, rng)


def hint(item: Item, language: str, rng: random.Random) -> str:
    """A word for one of the groups that the leaf lies in."""
    level = rng.randint(1, len(item.path) - 1)
    found: str = data("assortment")["groups"][SEPARATOR.join(item.path[:level])][language][0]
    return found


def subtype_word(item: Item, language: str) -> str:
    found: str = item.leaf["subtypes"][item.subtype][language] if item.subtype else ""
    return found


def fill(grammar: str, words: dict[str, str]) -> str:
    """`{brand}|{noun}|- {color}`: pieces whose slot is empty are left out."""
    pieces = []
    for piece in grammar.split("|"):
        slot = SLOT.search(piece)
        if slot is None or words[slot.group(1)]:
            pieces.append(SLOT.sub(lambda m: words[m.group(1)], piece))
    text = " ".join(pieces).replace(" ,", ",").strip(" ,-–·/")
    return text[:1].upper() + text[1:]


def slip(text: str, rng: random.Random) -> str:
    """Two letters swapped, or one left out or doubled."""
    if len(text) < 4:
        return text
    i, kind = rng.randrange(1, len(text) - 1), rng.randrange(3)
    if kind == 0:
        text = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    else:
        text = text[:i] + text[i + 1 :] if kind == 1 else text[: i + 1] + text[i:]
    return " ".join(text.split())


def spell(text: str, voice: Voice) -> str:
    """The shop's letters: its case, and its accents if it has any."""
    if voice.ascii:
        text = unicodedata.normalize("NFKD", text.translate(UMLAUTS))
        text = "".join(c for c in text if not unicodedata.combining(c))
    if voice.case == "title":
        return " ".join(word[:1].upper() + word[1:] for word in text.split(" "))
    return {"upper": text.upper(), "lower": text.lower()}.get(voice.case, text)
