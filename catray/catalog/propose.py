"""A mapping for an unknown feed, from a sample of it: `propose(files)` judges columns by values first, then by names.

    print(to_yaml(propose("shop/products.csv"), "shop"))

Each field is a guess with its reason, how sure it is, and runner-ups; a person edits what comes out.
"""

from __future__ import annotations

import re
from itertools import combinations

from catray.catalog.mapping import PLACEHOLDER
from catray.catalog.profile import Column, Table, determined, sample_feed
from catray.catalog.proposal import Guess, Proposal, Setting, best_of, to_yaml
from catray.catalog.propose_paths import canonical_guess, path_guesses
from catray.catalog.propose_pictures import image_guess
from catray.catalog.propose_texts import text_guesses
from catray.config import SplitColumn

__all__ = ["Guess", "Proposal", "propose", "to_yaml"]

FEW_ROWS = 20
HOST = re.compile(r"^(?:\w+:)?(?://)?([^/\s]+)")


def propose(files: str, images: str | None = None, sample: int = 2000) -> Proposal:
    """A mapping for the feed `files` (a path or glob pattern), judged by about `sample` of its rows.

    `images`: the folder or archive of its pictures; by default one beside the feed whose names fit a column.
    Errors: CatrayError for a missing, unreadable or empty feed, or where `images` is no such place.
    """
    table = sample_feed(files, sample)
    platform = _platform(table)
    ids = _id_guesses(table, platform)
    image, location = image_guess(table, images)
    paths = path_guesses(table, _columns(platform))
    canonical = canonical_guess(paths, table) if len(paths) > 1 else None
    paths = [guess for guess in paths if guess is not canonical] or paths
    # A second tree may be the common taxonomy's as well, whatever its name.
    canonical = canonical or next((guess for guess in paths[1:] if not _is_flat(guess)), None)
    native = best_of(paths, "no column holds a category path, and none is named as a category")
    title, description = text_guesses(table, {*_columns(ids, image, native), *_columns(*paths[:1])})
    fields = {
        "product_id": ids,
        "platform": platform,
        "title": title,
        "description": description,
        "image": image,
        "native_path": native,
        "path": _canonical(canonical),
    }
    used = _columns(*fields.values(), others=True)
    unused = {name: column.example(24) for name, column in table.columns.items() if name not in used}
    if len(table.rows) < FEW_ROWS:
        fields = {k: Guess(g.setting, g.reason, 0.7 * g.confidence, g.others) for k, g in fields.items()}
    return Proposal(files, len(table.rows), fields, location, tuple(_hints(table, fields)), unused)


def _is_flat(guess: Guess) -> bool:
    return isinstance(guess.setting, list) and len(guess.setting) == 1


def _canonical(guess: Guess | None) -> Guess:
    if guess is None:
        return Guess(None, "the path in your own taxonomy, for training: set it where the feed has it")
    setting = guess.setting
    reason = "the path in your own taxonomy, for training: uncomment the line if that is what it gives"
    return Guess(None, reason, 0.0, (setting,) if setting else ())


def _hints(table: Table, fields: dict[str, Guess]) -> list[str]:
    hints = []
    if len(table.rows) < FEW_ROWS:
        few = "1 row" if len(table.rows) == 1 else f"{len(table.rows)} rows"
        hints.append(f"Only {few} to judge by: the names of the columns weigh more than they should.")
    if table.broken:
        fault, count = table.faults.most_common(1)[0]
        hints.append(f"{table.broken:,} of the sampled rows can't be read, {count:,} of them because: {fault}.")
    if len(table.columns) < 2:
        hints.append("The feed has one column only: is its format, or a CSV file's separator, another one?")
    if fields["product_id"].setting is None:
        hints.append(f"No product_id: {fields['product_id'].reason}. Without one every row is rejected.")
    elif fields["product_id"].confidence < 0.5:
        hints.append(f"product_id is doubtful: {fields['product_id'].reason}.")
    if fields["title"].setting is None and fields["description"].setting is None:
        hints.append("No column reads like a title or a description.")
    return hints


def _columns(*guesses: Guess, others: bool = False) -> set[str]:
    """The columns that the guesses name, with `others` their runner-ups too."""
    names: set[str] = set()
    for guess in guesses:
        settings: list[Setting | None] = [guess.setting, *(guess.others if others else ())]
        for setting in settings:
            if isinstance(setting, SplitColumn):
                names.add(setting.column)
            else:
                templates = [setting] if isinstance(setting, str) else setting or []
                names |= {name for template in templates for name in PLACEHOLDER.findall(template)}
    return names


# --- platform and id -------------------------------------------------------------------------------------------------


def _platform(table: Table) -> Guess:
    hosts = [
        Column(column.name, [m.group(1) if (m := HOST.match(text)) else "" for text in column.texts])
        for column in table.columns.values()
        if column.share("url", "image_url") > 0.5 and column.lists < 0.3
    ]
    found: list[Guess] = []
    constant = ""
    for column in table.columns.values():
        if column.fill < 0.95 or column.length > 40 or column.share("text", "host", "url", "number", "boolean") < 0.9:
            continue
        named = column.named("platform")
        if named >= 0.9 and len(column.counts) == 1:
            constant = f": `{column.name}` is {column.example()!r} everywhere"
        if not 2 <= len(column.counts) <= min(50, max(3, len(table.rows) // 10)):
            continue
        if column.named("brand", "category", "gender", "other", "title") > named:
            continue
        tells = any(determined(host, column)[0] >= 0.95 and len(host.counts) > 1 for host in hosts)
        score = 0.6 * named + 0.35 * tells + 0.15 * (column.share("host", "url") > 0.9)
        if score >= 0.45:
            reason = f"`{column.name}` has {len(column.counts)} values, e.g. {column.example(30)!r}"
            reason += ", and each web host of the feed has one of them" if tells else ""
            found.append(Guess(f"{{{column.name}}}", f"several shops in one feed: {reason}", min(1.0, score + 0.2)))
    found.sort(key=lambda guess: -guess.confidence)
    return best_of(found, f"no column tells several shops apart{constant}; the feed's name is the platform")


def _id_guesses(table: Table, platform: Guess) -> Guess:
    shops = next((table.columns[name].texts for name in _columns(platform)), [""] * len(table.rows))
    found: list[Guess] = []
    urls: list[Guess] = []
    repeated: list[Column] = []
    for column in table.columns.values():
        if column.fill < 0.8 or column.share("decimal", "date", "bytes", "structure", "boolean", "image_url") > 0.1:
            continue
        keys = [(shop, text) for shop, text in zip(shops, column.texts, strict=True) if text]
        again = len(keys) - len(set(keys))
        short = (
            column.length <= 64 and column.words <= 1.05 and not column.share("image_file", "url") and not column.lists
        )
        if again > max(1, 0.02 * len(keys)):
            if short:
                repeated.append(column)
            continue
        known = f"`{column.name}` is filled in {column.fill:.0%} of the rows and " + (
            f"nearly unique ({again} repeated)" if again else "unique"
        )
        if column.share("url") > 0.9 and column.lists < 0.1:
            urls.append(Guess(f"{{{column.name}}}", f"no short id; {known}, but an address", 0.3))
        elif short:
            wrong = column.named("title", "description", "image", "category", "brand", "other", "gender")
            named = column.named("id")
            score = 0.4 + 0.45 * named + 0.1 * (column.length <= 20) + 0.05 * (not again) - 0.3 * wrong * (named < 0.7)
            why = f"{known}, e.g. {column.example(40)!r}" + ("; its name is one of ids" if named >= 0.7 else "")
            if score >= 0.4:
                found.append(Guess(f"{{{column.name}}}", why, score))
    found.sort(key=lambda guess: -guess.confidence)
    if len(found) > 1 and found[0].confidence - found[1].confidence < 0.05:
        first = found[0]
        why = f"{first.reason}; {found[1].setting} is as good: prefer the one that stays the same from feed to feed"
        found[0] = Guess(first.setting, why, min(first.confidence, 0.7))
    found = found or _pair(table, repeated, shops) or urls
    known_as = max(repeated, key=lambda c: c.named("id"), default=None)
    why = ""
    if known_as is not None and known_as.named("id") >= 0.7:
        why = f"; `{known_as.name}` is named as one, but its values repeat"
    return best_of(found, f"no column is filled, short and unique{why}: add a column of row numbers")


def _pair(table: Table, columns: list[Column], shops: list[str]) -> list[Guess]:
    """Two columns that are unique together, one of them named as an id: a style and a size."""
    for one, two in combinations(sorted(columns, key=lambda c: -c.named("id"))[:8], 2):
        if one.named("id") < 0.7 or min(one.fill, two.fill) < 0.95 or len(two.counts) < 2:
            continue
        keys = {(shop, a, b) for shop, a, b in zip(shops, one.texts, two.texts, strict=True)}
        if len(keys) >= 0.98 * len(table.rows):
            why = f"no column is unique by itself; `{one.name}` and `{two.name}` together are"
            return [Guess(f"{{{one.name}}}-{{{two.name}}}", why, 0.45)]
    return []
