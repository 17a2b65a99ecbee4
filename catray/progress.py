"""Progress of long work: a bar on a terminal, a plain line every five seconds elsewhere; silent if over sooner."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PERIOD = 5.0  # seconds


class Progress:
    """Counts `unit`s done. `total` may be None where it isn't known."""

    def __init__(self, name: str, total: int | None, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = 0
        self.started = self.printed = time.monotonic()
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, desc=name, unit=f" {unit}", delay=PERIOD, dynamic_ncols=True)

    def update(self, count: int = 1) -> None:
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif time.monotonic() - self.printed >= PERIOD:
            self.printed = time.monotonic()
            seconds = self.printed - self.started
            of = f" of {self.total:,}" if self.total else ""
            rate = f"{self.done / seconds:,.1f} {self.unit}/s"
            print(f"{self.name}: {self.done:,}{of} {self.unit}, {seconds:.0f} s, {rate}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@contextmanager
def progress(name: str, total: int | None = None, unit: str = "products") -> Iterator[Progress]:
    bar = Progress(name, total, unit)
    try:
        yield bar
    finally:
        bar.close()
