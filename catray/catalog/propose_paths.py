"""Which columns hold a product's category: one with whole paths, a chain with a level a column, or a flat one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from catray.catalog.mapping import render_path
from catray.catalog.profile import Column, Table, determined
from catray.catalog.proposal import Guess
from catray.config import PathField, SplitColumn

NEVER_LEVELS = ("brand", "other", "platform", "image", "title", "description", "canonical")


def path_guesses(table: Table, taken: Iterable[str] = ()) -> list[Guess]:
    """Every sensible category path, best first; columns `taken` by other fields are left out."""
    columns = [c for c in table.columns.values() if c.name not in set(taken) and c.share("text", "boolean") > 0.6]
    whole = [column for column in columns if _holds_paths(column)]
    found = [_whole(column, table) for column in whole]
    levels = [column for column in columns if column not in whole and _may_be_level(column)]
    chain = _chain(levels, list(table.columns))
    if len(chain) < 2:
        chain = []
    else:
        found.append(_levels(chain))
    found += [_flat(column) for column in levels if column not in chain and column.named("category") >= 0.4]
    found = [guess for guess in found if guess.confidence > 0.15]
    return sorted(found, key=lambda guess: -guess.confidence)


def canonical_guess(guesses: list[Guess], table: Table) -> Guess | None:
    """The one of `guesses` whose column is named as a path of a common taxonomy, `canonical_path`; the best of them."""

    def named(guess: Guess) -> float:
        field = guess.setting
        return table.columns[field.column].named("canonical") if isinstance(field, SplitColumn) else 0.0

    best = max(guesses, key=named, default=None)
    return best if best is not None and named(best) >= 0.6 else None


# --- whole paths in one column ---------------------------------------------------------------------------------------


def _holds_paths(column: Column) -> bool:
    if column.length > 200 or column.named("title", "description", "other") > column.named("category", "canonical"):
        return False
    _, splits = column.separator
    named = column.named("category", "canonical") >= 0.4
    return column.lists > 0.8 or splits > (0.34 if named else 0.6)


def _whole(column: Column, table: Table) -> Guess:
    separator, splits = column.separator
    listed = column.lists > 0.8
    if listed and splits < 0.34:
        separator, shape = ">", "lists with a level an element"
    else:
        shape = f"{'lists of one text, ' if listed else ''}{splits:.0%} of the values are split by `{separator}`"
    field = SplitColumn(column=column.name, separator=separator)
    tops, leaves, broken = _tree(field, table)
    score = 0.3 + 0.55 * column.named("category") - 0.35 * column.named("canonical")
    score += 0.15 * (tops < 0.8 * leaves) - 0.3 * (len(column.counts) == len(column.filled) > 10) - 0.4 * broken
    reason = f"`{column.name}` holds paths ({shape}): {tops} top levels, {leaves} paths, e.g. {column.example()!r}"
    if broken:
        reason += "; its levels would keep brackets or quotes: the lists are written in a way that catray can't read"
    floor = 0.2 * (column.named("canonical") > 0)  # a runner-up at the least
    return Guess(field, reason, max(floor, score))


def _tree(field: PathField, table: Table) -> tuple[int, int, bool]:
    """(top levels, paths, whether levels keep the signs of a list's spelling)."""
    paths = {tuple(path) for row in table.rows if (path := render_path(field, row))}
    broken = sum(path[0][0] in "[{" or path[-1][-1] in "]}" for path in paths)
    return len({path[0] for path in paths}), len(paths), broken > 0.5 * len(paths)


# --- a level a column ------------------------------------------------------------------------------------------------


def _may_be_level(column: Column) -> bool:
    """A text of few values that isn't known to be something else."""
    if column.named(*NEVER_LEVELS) > max(0.55, column.named("category")) or column.lists > 0.5 or column.length > 60:
        return False
    few = len(column.counts) <= max(1, 0.65 * len(column.filled)) and 1 < len(column.counts) <= 2000
    return few or (column.named("category") >= 0.4 and len(column.filled) > 0)


def _chain(columns: list[Column], feed: list[str]) -> list[Column]:
    """The longest chain, top first, in which every level tells the one above it."""
    order = sorted(columns, key=lambda c: (-round(c.fill, 1), len(c.counts)))
    best: dict[str, list[Column]] = {}
    for column in order:
        above = [best[c.name] for c in order if c.name in best and _is_below(column, c, feed)]
        best[column.name] = [*max(above, key=_weight, default=[]), column]
    chains = [chain for chain in best.values() if any(c.named("category") >= 0.4 for c in chain) or len(chain) > 2]
    return max(chains, key=_weight, default=[])


def _weight(chain: list[Column]) -> float:
    return sum(1 + 2 * column.named("category") for column in chain)


def _is_below(fine: Column, coarse: Column, order: list[str]) -> bool:
    """Whether `fine` is a level below `coarse`; `order`: the feed's columns as they stand."""
    nested = sum(bool(f and c) for f, c in zip(fine.texts, coarse.texts, strict=True)) / max(1, len(fine.filled))
    rarer = fine.fill < 0.95 * coarse.fill
    if fine is coarse or nested < 0.95 or not (rarer or len(fine.counts) > len(coarse.counts)):
        return False
    gain, seen = determined(fine, coarse)
    numbered = [re.sub(r"\d+", "", column.name) for column in (fine, coarse) if re.search(r"\d", column.name)]
    if numbered:  # level2, level3: only among themselves
        return len(set(numbered)) == 1 < len(numbered) and (gain >= 0.6 or rarer)
    named = min(fine.named("category"), coarse.named("category"))
    if gain >= (0.7 if named >= 0.5 else 0.95) and seen >= 0.3:
        return determined(coarse, fine)[0] < 0.98  # else two names of the same thing
    # Departments for men and women have the same shelves; the last level of few products has no repeated values.
    few = len(coarse.counts) <= 8 or len(fine.filled) < 30
    return named >= 0.6 and few and order.index(fine.name) - order.index(coarse.name) == 1


def _levels(chain: list[Column]) -> Guess:
    names = max(column.named("category") for column in chain) + sum(c.named("category") for c in chain) / len(chain)
    told = [
        f"a value of `{fine.name}` has nearly always one of `{coarse.name}`"
        for coarse, fine in pairwise(chain)
        if determined(fine, coarse)[0] >= 0.6
    ]
    sizes = " > ".join(f"{column.name} ({len(column.counts)})" for column in chain)
    score = 0.4 + 0.2 * names + 0.05 * min(3, len(chain))
    reason = f"a level a column, {sizes} values: {', '.join(told) or 'they stand side by side'}"
    return Guess([f"{{{c.name}}}" for c in chain], reason, min(1.0, score - 0.15 * (not told)))


def _flat(column: Column) -> Guess:
    score = 0.2 + 0.55 * column.named("category") + 0.05 * (column.unique < 0.5)
    reason = f"`{column.name}` is named as a category and has {len(column.counts)} values, e.g. {column.example()!r}"
    return Guess([f"{{{column.name}}}"], reason, score * (len(column.counts) > 1 or len(column.filled) == 1))
