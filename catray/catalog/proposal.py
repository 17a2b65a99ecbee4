"""A proposed mapping and its YAML: each field with its guess, why, how sure, and what else it could be.

print(to_yaml(propose("shop/products.csv"), "shop"))    # goes under catalog.feeds; a person edits it
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from catray.config import PathField, SplitColumn

Setting = str | PathField
WIDTH = 116
ORDER = ("product_id", "platform", "title", "description", "image", "native_path", "path")


@dataclass(frozen=True)
class Guess:
    """`setting` None: not guessed, and `reason` says why. `others`: runner-ups, best first."""

    setting: Setting | None
    reason: str
    confidence: float = 0.0
    others: tuple[Setting, ...] = ()

    @property
    def certainty(self) -> str:
        return "sure" if self.confidence >= 0.8 else "likely" if self.confidence >= 0.55 else "a guess"


@dataclass(frozen=True)
class Proposal:
    """`fields`: a guess for each field of catray.config.Fields. `hints`: what the person should look at."""

    files: str
    rows: int
    fields: dict[str, Guess]
    images: str | None = None
    hints: tuple[str, ...] = ()
    unused: dict[str, str] = field(default_factory=dict)  # column -> an example


def best_of(guesses: list[Guess], none: str) -> Guess:
    """The first, with the next ones as its runner-ups; it is the less sure the nearer they come."""
    if not guesses:
        return Guess(None, none)
    first, rest = guesses[0], guesses[1:]
    near = max((guess.confidence for guess in rest), default=0.0)
    sure = first.confidence * min(1.0, 0.8 + (first.confidence - near))
    others = tuple(guess.setting for guess in rest[:3] if guess.setting is not None)
    return Guess(first.setting, first.reason, max(0.05, min(1.0, sure)), others)


def to_yaml(proposal: Proposal, name: str) -> str:
    """The feed's block for `catalog.feeds`; what is not guessed stands as a comment. `catray.config.Feed` reads it."""
    lines = [f"# Proposed from {proposal.rows:,} rows of the feed: check each line, then delete the comments."]
    lines += [line for hint in proposal.hints for line in _comment(f"! {hint}")]
    lines += [f"{_key(name)}:", f"  files: {_scalar(proposal.files)}"]
    if proposal.images:
        lines.append(f"  images: {_scalar(proposal.images)}")
    lines.append("  fields:")
    for setting in ORDER:
        guess = proposal.fields[setting]
        required = setting == "product_id" and guess.setting is None
        about = "" if guess.setting is None else f"{guess.certainty}: "
        lines += [f"    {line}" for line in _comment(f"{about}{guess.reason}")]
        if guess.setting is not None or required:
            lines.append(f"    {setting}: {_value(guess.setting or '')}")
        elif not guess.others:
            lines.append(f"    # {setting}:")
        # A path can't be filled in by the way: a whole line is easier to uncomment.
        lines += [f"    # {setting}: {_value(other)}" for other in guess.others]
    if proposal.unused:
        unused = ", ".join(
            f"{column} ({example})" if example else column for column, example in proposal.unused.items()
        )
        lines += _comment(f"Columns not used: {unused}")
    return "".join(f"    {line}\n" for line in lines)


def _comment(text: str) -> list[str]:
    """Comment lines of at most WIDTH characters; whatever a feed's value holds, it stays inside the comment."""
    text = "".join(c if c.isprintable() else " " for c in text)
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH - 8 and line != "#":
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


def _value(setting: Setting) -> str:
    if isinstance(setting, SplitColumn):
        if isinstance(setting.separator, str):
            separator = _scalar(setting.separator)
        else:
            separator = "[" + ", ".join(map(_scalar, setting.separator)) + "]"
        return f"{{column: {_scalar(setting.column)}, separator: {separator}}}"
    if isinstance(setting, list):
        return "[" + ", ".join(_scalar(template) for template in setting) + "]"
    return _scalar(setting)


def _scalar(text: str) -> str:
    return yaml.dump(text, default_style='"', allow_unicode=True, width=float("inf")).strip()


def _key(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) and isinstance(yaml.safe_load(name), str)
    return name if plain else _scalar(name)
