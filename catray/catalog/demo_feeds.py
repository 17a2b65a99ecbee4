"""A demo shop's feed on disk - CSV, JSONL or Parquet, with a folder, a zip or a column of pictures - and the settings
that read it all. A feed comes in parts, each written by whoever draws a range of products, as it comes: memory stays
flat."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from catray.catalog.assortment import SEPARATOR
from catray.catalog.shops import Shop

if TYPE_CHECKING:
    from catray.catalog.demo_products import Product

BATCH = 500  # rows a Parquet row group
LEVELS = 4  # columns of a path that has one a level
EPOCH = (2024, 1, 1, 0, 0, 0)  # of the files in a zip: the same catalog is the same bytes
JUNK = b"<html><body>404 Not Found</body></html>\n"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to; the file takes its own when it is whole, and none if writing fails."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream


class FeedPart:
    """A part of one shop's feed, open for writing (a context manager)."""

    def __init__(self, folder: Path, shop: Shop, number: int) -> None:
        (folder / "images" if shop.pictures == "folder" else folder).mkdir(parents=True, exist_ok=True)
        self.folder, self.shop = folder, shop
        self.late: list[str | dict[str, Any]] = []  # broken rows, for the end
        self.rows: list[dict[str, Any]] = []
        self.files = ExitStack()
        self.zip: zipfile.ZipFile | None = None
        self.stream: TextIO | None = None
        self.parquet: Any = None
        if shop.pictures == "zip":
            temporary = self.files.enter_context(whole(folder / f"images-{number:05d}.zip"))
            self.zip = self.files.enter_context(zipfile.ZipFile(temporary, "w"))
        path = folder / f"products-{number:05d}.{shop.format}"
        if shop.format == "parquet":
            self.parquet = self.files.enter_context(parquet_writer(self.files.enter_context(whole(path)), self.schema))
        else:
            self.stream = self.files.enter_context(text_file(path))
            if shop.format == "csv":
                csv.writer(self.stream).writerow(self.header)

    def __enter__(self) -> FeedPart:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        """Write what is left; then the part is whole, and takes its name."""
        if error[0] is None:
            for row in self.late:
                if isinstance(row, str) and self.stream:
                    self.stream.write(row)
                elif isinstance(row, dict):
                    self._write(row)
            self._flush()
        return self.files.__exit__(*error)

    @property
    def header(self) -> list[str]:
        return [name for names in self.shop.columns.values() for name in names.split(",") if name]

    @property
    def schema(self) -> Any:
        import pyarrow as pa

        types = {name: pa.binary() if name == self.shop.columns["image"] else pa.string() for name in self.header}
        return pa.schema(list(types.items()))

    def add(self, product: Product, picture: bytes | None, fault: str = "") -> None:
        """Append a product. `fault`: see demo_products.broken."""
        value: str | bytes | None = None
        if picture is not None:
            if fault == "truncated_picture":
                picture = picture[: len(picture) * 2 // 5]
            elif fault == "text_as_picture":
                picture = JUNK
            extension = "jpg" if self.shop.style.format == "JPEG" else self.shop.style.format.lower()
            value = f"{product.product_id}.{extension}"
            if self.shop.pictures == "bytes":
                value = picture
            elif fault != "missing_picture":
                self._store(value, picture)
        row = self._row(product, value)
        self._write(row)
        if fault in ("duplicate_id", "missing_id", "malformed_row"):
            again = dict(row)
            again[self.shop.columns["title"]] = f"{product.title} *"
            if fault == "missing_id":
                again[self.shop.columns["id"]] = None
            self.late.append(self._malformed(again) if fault == "malformed_row" else again)

    def _store(self, name: str, picture: bytes) -> None:
        if self.zip is not None:
            self.zip.writestr(zipfile.ZipInfo(name, EPOCH), picture)
        else:
            with whole(self.folder / "images" / name) as temporary:
                temporary.write_bytes(picture)

    def _row(self, product: Product, picture: str | bytes | None) -> dict[str, Any]:
        """{column: value}; an absent value is None."""
        shop = self.shop
        columns = shop.columns
        number: str | int = product.product_id
        if shop.format == "jsonl" and product.product_id.isdigit():
            number = int(product.product_id)
        row: dict[str, Any] = {columns["id"]: number, columns["title"]: product.title or None}
        row |= {columns["description"]: product.description or None, columns["image"]: picture}
        for name, path in (("native", product.native), ("path", product.label or ())):
            levels = columns[name].split(",") if columns[name] else []
            if len(levels) > 1:
                row |= {column: path[i] if i < len(path) else None for i, column in enumerate(levels)}
            elif levels:
                separator = shop.separator if name == "native" else ">"
                joined = f" {separator} ".join(path) or None
                row[levels[0]] = list(path) if name == "native" and not separator else joined
        return row

    def _write(self, row: dict[str, Any]) -> None:
        if self.stream is None:
            self.rows.append(row)
            if len(self.rows) == BATCH:
                self._flush()
        elif self.shop.format == "csv":
            csv.writer(self.stream).writerow([row[name] for name in self.header])
        else:
            self.stream.write(json.dumps(nested(row), ensure_ascii=False) + "\n")

    def _malformed(self, row: dict[str, Any]) -> str:
        """A CSV row with a field too many, a JSON line that was cut off."""
        if self.shop.format == "csv":
            text = io.StringIO()
            csv.writer(text).writerow([*(row[name] for name in self.header), "?"])
            return text.getvalue()
        return json.dumps(nested(row), ensure_ascii=False)[:-20] + "\n"

    def _flush(self) -> None:
        if self.rows:
            import pyarrow as pa

            self.parquet.write_table(pa.Table.from_pylist(self.rows, schema=self.schema))
            self.rows.clear()


def parquet_writer(path: Path, schema: Any) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema, compression="zstd")


def nested(row: dict[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`; what is None is left out."""
    result: dict[str, Any] = {}
    for name, value in row.items():
        if value is None:
            continue
        *parents, last = name.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return result


# --- settings --------------------------------------------------------------------------------------------------------

CONFIG_START = "# The demo:"
CONFIG = """\
# The demo: {count} made-up shops, drawn by `catray demo-catalog` (seed {seed}, shift
# {shift:g}: 0 is all shops alike, 2 is far apart). From here:
#   catray ingest --config {config}
# then embed, train, evaluate, predict, recategorize, serve, each with the same --config.
variables:
  data_root: {root}

workspace: ${{data_root}}/workspace
taxonomy: ${{data_root}}/taxonomy.txt
seed: {seed}

catalog:
  shard_size: 250  # products a file: small, so that a demo has several
{labels}  feeds:
{feeds}

embedding:
  preset: compact  # real pretrained weights that come with the installation

recategorization:
  node: {node}
  hidden:  # what the products really are: read to score the clusters, by nothing else
    file: ${{data_root}}/hidden.csv
"""

LABELS = """\
  labels:  # canonical paths of the shops that have none in their feeds
    file: ${data_root}/labels.csv
    platform: "{shop}"
    product_id: "{product}"
    path: {column: category}
"""


def config_text(out: Path, sellers: Sequence[Shop], seed: int, shift: float, node: str, labels: bool) -> str:
    """config.yaml for the catalog in `out`, the path being written as given."""
    return CONFIG.format(
        count=len(sellers),
        seed=seed,
        shift=shift,
        config=out / "config.yaml",
        root=json.dumps(str(out), ensure_ascii=False),
        labels=LABELS if labels else "",
        feeds="\n".join(_feed(shop) for shop in sellers),
        node=node,
    )


def _feed(shop: Shop) -> str:
    columns = shop.columns
    lines = [f"{shop.name}:  # {shop.voice.language}", f"  files: ${{data_root}}/{shop.name}/products-*.{shop.format}"]
    if shop.pictures != "bytes":
        place = "images-*.zip" if shop.pictures == "zip" else "images"
        lines.append(f"  images: ${{data_root}}/{shop.name}/{place}")
    lines.append("  fields:")
    for setting, name in (("product_id", "id"), ("title", "title"), ("description", "description"), ("image", "image")):
        note = "  # a column of bytes" if setting == "image" and shop.pictures == "bytes" else ""
        lines.append(f'    {setting}: "{{{columns[name]}}}"{note}')
    lines.append(f"    native_path: {_path(columns['native'], shop.separator)}")
    if columns["path"]:
        lines.append(f"    path: {_path(columns['path'], SEPARATOR.strip())}")
    return "\n".join(f"    {line}" for line in lines)


def _path(columns: str, separator: str) -> str:
    names = columns.split(",")
    if len(names) > 1:
        return "[" + ", ".join(f'"{{{name}}}"' for name in names) + "]"
    return f"{{column: {columns}, separator: {json.dumps(separator or '>')}}}"
