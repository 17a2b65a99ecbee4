"""The report in headless Chromium, offline: it opens without complaint, sorts, and runs nothing that a title brings."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.slow
CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
PROBE = """<script>
const table = [...document.querySelectorAll("table.sortable")].find((t) => t.tHead.textContent.includes("platform"));
const column = (i) => [...table.tBodies[0].rows].map((row) => row.cells[i].textContent.trim());
const found = { before: column(1) };
const heads = table.tHead.rows[0].cells;
heads[1].firstElementChild.click(); found.down = column(1); found.state = heads[1].ariaSort;
heads[1].firstElementChild.click(); found.up = column(1);
heads[0].firstElementChild.click(); found.names = column(0);
found.pictures = [...document.images].map((image) => image.naturalWidth);
found.wide = document.documentElement.scrollWidth > innerWidth;
found.drawn = [...document.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect().height > 80);
found.scripts = document.scripts.length;
const out = Object.assign(document.createElement("pre"), { id: "found", textContent: JSON.stringify(found) });
document.body.replaceChildren(out);
</script>"""


@pytest.fixture(scope="module")
def page(sample: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if CHROMIUM is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    sample.write(file)
    return file


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    return run


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A local address, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}", asked
        found.shutdown()


def added(page: Path, folder: Path, html: str) -> Path:
    """A copy of the page with `html` before the end of its body."""
    copy = folder / "copy.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{html}</body>"), encoding="utf-8")
    return copy


def probe(chromium: Any, page: Path, folder: Path, *flags: str) -> dict[str, Any]:
    import html
    import json

    out = chromium(added(page, folder, PROBE), "--dump-dom", *flags).stdout
    match = re.search(r'<pre id="found">(.*?)</pre>', out, re.S)
    assert match, out[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


def test_it_opens_without_a_complaint(chromium: Any, page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    done = chromium(page, f"--screenshot={shot}", "--window-size=1200,2400")
    assert "CONSOLE" not in done.stderr, done.stderr
    with Image.open(shot) as image:
        colors = image.convert("RGB").getcolors(1 << 24)
    assert image.size == (1200, 2400) and colors is not None and len(colors) > 200


def test_hostile_titles_stay_text(chromium: Any, page: Path) -> None:
    dom = chromium(page, "--dump-dom").stdout
    assert "<title>Evaluation of model main</title>" in dom
    assert dom.count("<script") == 1 and "onerror=" not in re.sub(r"&lt;.*?&gt;", "", dom)


def test_it_sorts_and_shows_everything(chromium: Any, page: Path, tmp_path: Path, sample: Any) -> None:
    found = probe(chromium, page, tmp_path, "--window-size=1200,900")
    numbers = [int(n) for n in found["down"]]
    assert numbers == sorted(numbers, reverse=True) and found["state"] == "descending"
    assert [int(n) for n in found["up"]] == sorted(numbers)
    assert sorted(found["names"]) == sorted(shop["platform"] for shop in sample.metrics["platforms"])
    assert len(found["pictures"]) > 15 and all(found["pictures"])
    assert found["drawn"] == [True] * 5
    assert found["scripts"] == 2  # its own, and the probe
    assert not found["wide"]


@pytest.mark.parametrize("width", [500, 800])
def test_a_narrow_window_needs_no_sideways_scrolling(chromium: Any, page: Path, tmp_path: Path, width: int) -> None:
    assert not probe(chromium, page, tmp_path, f"--window-size={width},900")["wide"]


def test_it_can_fetch_nothing(chromium: Any, page: Path, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    address, asked = server
    smuggled = (
        f'<img src="{address}/img"><script src="{address}/script"></script><link rel=stylesheet href="{address}/css">'
        f'<iframe src="{address}/frame"></iframe><style>body {{ background: url({address}/style) }}</style>'
        f'<script>fetch("{address}/fetch").catch(() => 0)</script><object data="{address}/object"></object>'
    )
    done = chromium(added(page, tmp_path, smuggled), "--screenshot=" + str(tmp_path / "shot.png"))
    assert asked == []
    assert "Content Security Policy" in done.stderr  # it tried
