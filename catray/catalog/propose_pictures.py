"""Where a feed's pictures are: a folder or archive whose names fit a column, or a column of bytes, base64 or URLs."""

from __future__ import annotations

import glob
import os
import re
import tarfile
import zipfile
import zlib
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from catray.catalog.mapping import render
from catray.catalog.profile import IMAGE_FILE, Column, Table
from catray.catalog.proposal import Guess
from catray.catalog.stores import image_store

FOLDER = re.compile(
    r"(?i)(?:images?|img|imgs|media|medien|pictures?|pics|photos?|bilder|fotos?|imagen(?:es)?|immagini)"
)
ARCHIVE = re.compile(r"(?i)\.(?:tar(?:\.gz)?|tgz)$")
BASE64 = ("/9j/", "iVBOR", "R0lGOD", "UklGR")  # JPEG, PNG, GIF, WebP
NUMBER = re.compile(r"-\d{3,}\.")  # of an archive in parts
LISTED = 500_000  # names of a folder that are looked at
PICTURE = re.compile(rf"(?i).*{IMAGE_FILE}", re.DOTALL)


@dataclass(frozen=True)
class Pictures:
    """The names of a folder's or an archive's pictures, found by base name, by stem, or by how the stem begins."""

    location: str
    names: frozenset[str]
    whole: bool = False  # names are looked up only as they stand

    @cached_property
    def bases(self) -> dict[str, str]:
        return {name.rsplit("/", 1)[-1]: name for name in sorted(self.names, reverse=True)}

    @cached_property
    def stems(self) -> dict[str, str]:
        return {base.rsplit(".", 1)[0]: name for base, name in self.bases.items()}

    @cached_property
    def ordered(self) -> list[str]:
        return sorted(self.stems)

    def find(self, value: str) -> str | None:
        """The name of the picture that a feed calls `value`; None where there is none."""
        if value in self.names or self.whole:
            return value if value in self.names else None
        found = self.bases.get(value.rsplit("/", 1)[-1]) or self.stems.get(value)
        if not found and len(value) >= 3:
            # `{sku}_main.jpg`: the sign after the value keeps 123 from finding 1234.jpg.
            first = bisect_left(self.ordered, value)
            for stem in self.ordered[first : first + 50]:
                if stem.startswith(value) and not stem[len(value)].isalnum():
                    return self.stems[stem]
        return found


@dataclass(frozen=True)
class _Fit:
    """Names of pictures as a template of one column: `hits` of the sampled rows have a picture."""

    location: str
    column: Column
    template: str
    hits: int

    def rank(self) -> tuple[float, float, int]:
        plain = self.column.share("image_file") + self.column.named("image")
        return self.hits, plain + self.column.named("id") / 2, -len(self.template)


def image_guess(table: Table, images: str | None) -> tuple[Guess, str | None]:
    """(guess, folder or archive of pictures that it needs). CatrayError where there is no such `images`."""
    stores = _stores(table.files[0], images)
    fits = [fit for store in stores for column in table.columns.values() for fit in _fits(store, column, table)]
    if fits:
        most = max(fit.hits for fit in fits)
        fits = sorted((f for f in fits if f.hits >= 0.97 * most - 1), key=lambda f: f.rank()[1:], reverse=True)
        best = fits[0]
        # Of two stores with the same names one template is enough.
        others = tuple(dict.fromkeys(fit.template for fit in fits[1:] if fit.template != best.template))
        share = best.hits / max(1, len(best.column.filled))
        reason = f"{share:.0%} of the values of `{best.column.name}` name a picture in {best.location}"
        return Guess(best.template, reason, 0.5 + 0.5 * share, others[:2]), best.location
    if images:
        return Guess(None, f"no column names the pictures in {images}"), images
    return _column_guess(table), None


def _column_guess(table: Table) -> Guess:
    scored: list[tuple[float, Column, str]] = []
    for column in table.columns.values():
        named = column.named("image") - 0.3 * bool(re.search(r"(?i)thumb|small|mini|swatch", column.name))
        if column.share("bytes") > 0.5:
            scored.append((1 + named, column, "holds bytes"))
        elif column.share("base64") > 0.5 and (named >= 0.6 or column.filled[0].startswith(BASE64)):
            scored.append((0.6 + 0.4 * named, column, "holds pictures in base64"))
        urls = column.share("image_url") + column.share("url") * (named >= 0.6)
        if urls > 0.5:
            many = ", several a row" if column.lists > 0.3 else ""
            scored.append((0.5 * urls + 0.4 * named, column, f"holds {urls:.0%} URLs of pictures{many}"))
    if scored:
        scored.sort(key=lambda item: -item[0])
        score, best, what = scored[0]
        others = tuple(f"{{{column.name}}}" for _, column, _ in scored[1:4])
        return Guess(f"{{{best.name}}}", f"`{best.name}` {what}", min(1.0, score), others)
    for column in table.columns.values():
        if column.share("image_file") > 0.5:
            why = f"`{column.name}` names pictures: put their folder or zip in `images`"
            return Guess(None, why, 0.0, (f"{{{column.name}}}",))
    return Guess(None, "no pictures beside the feed, no column of bytes, base64 or picture URLs")


# --- picture files ---------------------------------------------------------------------------------------------------


def _stores(file: str, images: str | None) -> list[Pictures]:
    if images:
        image_store(images)
        places = [Path(images)] if Path(images).exists() else [Path(place) for place in sorted(glob.glob(images))]
        return [Pictures(images, frozenset(name for place in places for name in _names(place)))]
    found: list[Pictures] = []
    parts: dict[str, list[Path]] = {}
    for path in sorted(Path(file).parent.iterdir()):
        if path.is_dir() and FOLDER.match(path.name):
            names = _names(path)
            # A feed may name its pictures with the folder: `images/1.jpg`.
            within = frozenset(f"{path.name}/{name}" for name in names)
            found += [Pictures(str(path), names), Pictures(str(path.parent), within, whole=True)]
        elif path.suffix.lower() == ".zip" or (ARCHIVE.search(path.name) and FOLDER.match(path.name)):
            parts.setdefault(NUMBER.sub("-*.", path.name), []).append(path)
    for pattern, paths in parts.items():  # `images-00000.zip`, `images-00001.zip` ... are one store
        location = paths[0] if len(paths) == 1 and "*" not in pattern else paths[0].with_name(pattern)
        found.append(Pictures(str(location), frozenset(name for path in paths for name in _names(path))))
    return found


def _names(path: Path) -> frozenset[str]:
    """The names of the pictures in a folder, a zip or a tar; none where it can't be read."""
    try:
        if path.is_dir():
            walked = (os.path.join(folder, file) for folder, _, files in os.walk(path) for file in files)
            names = [Path(file).relative_to(path).as_posix() for file in islice(walked, LISTED)]
        elif ARCHIVE.search(path.name):
            with tarfile.open(path) as archive:
                names = [member.name.removeprefix("./") for member in islice(archive, LISTED) if member.isfile()]
        else:
            with zipfile.ZipFile(path) as zipped:
                names = zipped.namelist()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError, zlib.error):
        return frozenset()
    return frozenset(filter(PICTURE.fullmatch, names))


def _fits(store: Pictures, column: Column, table: Table) -> list[_Fit]:
    if column.share("bytes", "decimal", "url", "image_url", "structure") > 0.5 or column.length > 200:
        return []
    if not store.names or column.lists > 0.5 or len(column.counts) < min(3, 0.3 * len(column.filled)):
        return []
    around: Counter[tuple[str, str]] = Counter()
    for value in islice(column.counts, 200):
        name = store.find(value)
        if name and value in name and not set("{}") & set(name.replace(value, "", 1)):
            before, after = name.rsplit(value, 1)
            around[before, after] += 1
    fits = []
    for (before, after), _ in around.most_common(3):
        template = f"{before}{{{column.name}}}{after}"
        names = {name for row in table.rows if (name := render(template, row, strict=True)) in store.names}
        hits = sum(f"{before}{text}{after}" in store.names for text in column.texts if text)
        if hits >= max(1, 0.1 * len(column.filled)) and len(names) > 0.3 * hits:
            fits.append(_Fit(store.location, column, template, hits))
    return fits
