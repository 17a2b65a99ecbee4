"""Which columns hold the title and the description: the short and the long text, and the brand where titles lack it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from catray.catalog.profile import Column, Table
from catray.catalog.proposal import Guess, best_of


def text_guesses(table: Table, taken: Iterable[str]) -> tuple[Guess, Guess]:
    """(title, description); columns `taken` by other fields are left out."""
    columns = [
        c for c in table.columns.values() if c.name not in set(taken) and c.share("text") > 0.7 and c.lists < 0.5
    ]
    columns = [
        c for c in columns if c.named("brand", "other", "gender", "platform", "canonical") < 0.6 and c.length >= 3
    ]
    titles = sorted(((_title_score(c), c) for c in columns), key=lambda item: -item[0])
    titles = [(score, column) for score, column in titles if score >= 0.4]
    title = titles[0][1] if titles else None
    found = [
        Guess(
            f"{{{column.name}}}",
            f"`{column.name}` reads like a title: {column.words:.0f} words, {column.length:.0f} characters, "
            f"{column.unique:.0%} distinct, e.g. {column.example()!r}",
            score,
        )
        for score, column in titles
    ]
    bodies = [(_body_score(c, title), c) for c in columns if c is not title]
    bodies = sorted(((s, c) for s, c in bodies if s >= 0.35), key=lambda item: -item[0])
    texts = [
        Guess(
            f"{{{column.name}}}",
            f"`{column.name}` is the longer text: {column.words:.0f} words, filled in {column.fill:.0%} of the rows",
            score,
        )
        for score, column in bodies
    ]
    guess = best_of(found, "no column reads like a title")
    if title is not None:
        guess = _with_brand(guess, title, table)
    return guess, best_of(texts, "no further column reads like a text")


def _title_score(column: Column) -> float:
    fits = min(1.0, column.length / 12) * min(1.0, 160 / max(1.0, column.length))
    fits *= min(1.0, 0.3 + column.unique) * (1 - 0.7 * column.sentences) * min(1.0, 0.3 + column.fill)
    named = column.named("title") - 0.5 * column.named("description", "category", "image")
    return 0.5 * fits + 0.5 * max(0.0, named) - 0.1 * bool(re.search(r"(?i)sub|short|meta|seo|kurz", column.name))


def _body_score(column: Column, title: Column | None) -> float:
    longer = min(1.0, column.length / (2 * title.length)) if title is not None else min(1.0, column.length / 60)
    fits = longer * min(1.0, column.words / 6 if column.length < 60 else 1.0) * min(1.0, 0.4 + column.unique)
    fits *= 0.7 + 0.3 * column.sentences
    short = 0.1 * bool(re.search(r"(?i)short|kurz|meta|seo|court|breve|corta", column.name))
    return 0.55 * fits + 0.45 * column.named("description") - short - 0.2 * column.named("category", "image")


def _with_brand(guess: Guess, title: Column, table: Table) -> Guess:
    """`{brand} {title}` where there is a brand that the titles don't have already."""
    for brand in sorted(table.columns.values(), key=lambda column: -column.named("brand")):
        if brand.named("brand") < 0.6 or brand.share("text") < 0.7 or brand.length > 40 or brand.lists > 0.5:
            continue
        pairs = [(b.casefold(), t.casefold()) for b, t in zip(brand.texts, title.texts, strict=True) if b and t]
        have = sum(b in t for b, t in pairs) / max(1, len(pairs))
        if pairs and have < 0.5:
            reason = f"{guess.reason}; only {have:.0%} of the titles have the brand, which `{brand.name}` gives"
            others = (f"{{{title.name}}}", *guess.others)
            return Guess(f"{{{brand.name}}} {{{title.name}}}", reason, guess.confidence, others)
    return guess
