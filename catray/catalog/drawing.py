"""Product pictures, drawn: a silhouette cut out of a fabric, shaded, in front of a shop's background.

    image = draw(Look("sneaker", {"shaft": 0.5}, color=(180, 40, 40)), Style(), seed="0/17")
    data = encode(image, Style())

The same look, style and seed give the same pixels. Shapes are drawn three times as large and reduced, which smooths
their edges; a picture takes about 3 ms.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Color = tuple[int, int, int]
Path = Sequence[tuple[float, ...]]
SCALE = 3
METAL: Color = (196, 190, 172)
WHITE: Color = (244, 243, 238)
DARK: Color = (46, 40, 38)
PATTERNS = ("plain", "stripes", "pinstripes", "check", "dots", "floral", "melange")


@dataclass(frozen=True)
class Look:
    """What is in the picture: a function of silhouettes.py with its arguments, and its colors."""

    shape: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    color: Color = (120, 120, 120)
    accent: Color = (240, 240, 240)
    pattern: str = "plain"
    gloss: bool = False


@dataclass(frozen=True)
class Style:
    """How a shop photographs."""

    size: tuple[int, int] = (128, 128)  # width, height
    top: Color = (255, 255, 255)  # background, at the top and at the bottom
    bottom: Color = (255, 255, 255)
    vignette: float = 0.0  # share by which the corners are darker
    margin: float = 0.07  # share of the shorter side
    tilt: float = 1.5  # degrees, standard deviation
    flip: float = 0.0  # share of pictures mirrored
    shadow: float = 0.25
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 1.5  # gray values, standard deviation
    format: str = "JPEG"
    quality: int = 88


class Pen:
    """Draws in units: the product fills [-1, 1] x [-1, 1], x to the right, y down; widths are in units too.

    A path is a list of points; one with a third number is the control point of a quadratic curve, as in TrueType.
    """

    def __init__(self, size: tuple[int, int], cloth: Image.Image, look: Look, matrix: np.ndarray) -> None:
        self.cloth, self.matrix = cloth, matrix
        self.color, self.accent = look.color, look.accent
        self.dark, self.light = mix(look.color, (0, 0, 0), 0.36), mix(look.color, (255, 255, 255), 0.3)
        self.layer = Image.new("RGB", size, look.color)
        self.mask = Image.new("L", size, 0)
        self._layer, self._mask = ImageDraw.Draw(self.layer), ImageDraw.Draw(self.mask)
        self._unit = math.hypot(*matrix[:, 0])

    def points(self, path: Path, closed: bool = False) -> list[tuple[float, float]]:
        flat = np.array(flatten(path, closed))
        moved: np.ndarray = flat @ self.matrix[:, :2].T + self.matrix[:, 2]
        return [(x, y) for x, y in moved.tolist()]

    def fill(
        self, path: Path, color: Color | None = None, edge: float = 0.014, edge_color: Color | None = None
    ) -> None:
        """A closed shape in one color, or in the product's cloth, with a darker edge."""
        points = self.points(path, closed=True)
        self._mask.polygon(points, fill=255)
        if color is None:
            self._cover(points)
        else:
            self._layer.polygon(points, fill=color)
        if edge:
            self._stroke([*points, points[0]], edge, edge_color or mix(color or self.color, (0, 0, 0), 0.3), False)

    def _cover(self, points: list[tuple[float, float]]) -> None:
        width, height = self.layer.size
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, upper = max(0, int(min(xs))), max(0, int(min(ys)))
        right, lower = min(width, int(max(xs)) + 2), min(height, int(max(ys)) + 2)
        stencil = Image.new("L", (max(1, right - left), max(1, lower - upper)), 0)
        ImageDraw.Draw(stencil).polygon([(x - left, y - upper) for x, y in points], fill=255)
        self.layer.paste(
            self.cloth.crop((left, upper, left + stencil.width, upper + stencil.height)), (left, upper), stencil
        )

    def line(self, path: Path, width: float = 0.018, color: Color | None = None) -> None:
        """On the product, or (a strap, a chain) beyond it."""
        self._stroke(self.points(path), width, color or self.dark, True)

    def disc(self, x: float, y: float, radius: float, color: Color | None = None, edge: float = 0.012) -> None:
        self.fill(oval(x, y, radius, radius), color, edge)

    def cut(self, path: Path) -> None:
        """A hole: the background shows through."""
        self._mask.polygon(self.points(path, closed=True), fill=0)

    def _stroke(self, points: list[tuple[float, float]], width: float, color: Color, mask: bool) -> None:
        pixels = max(1, round(width * self._unit))
        self._layer.line(points, fill=color, width=pixels, joint="curve")
        if mask:
            self._mask.line(points, fill=255, width=pixels, joint="curve")


def oval(x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 360.0) -> Path:
    """Points of an ellipse, or of its arc from `start` to `stop` degrees, clockwise from the right."""
    count = max(6, int(abs(stop - start) / 15))
    angles = [math.radians(start + (stop - start) * i / count) for i in range(count + (abs(stop - start) < 360))]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def mirrored(half: Path) -> Path:
    """A symmetric outline from its right half, top to bottom."""
    return [*half, *((-point[0], *point[1:]) for point in reversed(half))]


def rectangle(x0: float, y0: float, x1: float, y1: float, r: float = 0.0) -> Path:
    """With corners rounded by `r`."""
    if not r:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return [
        *((x0 + r, y0), (x1 - r, y0), (x1, y0, 1), (x1, y0 + r), (x1, y1 - r), (x1, y1, 1)),
        *((x1 - r, y1), (x0 + r, y1), (x0, y1, 1), (x0, y1 - r), (x0, y0 + r), (x0, y0, 1)),
    ]


def flatten(path: Path, closed: bool = False, steps: int = 7) -> list[tuple[float, float]]:
    """Curves to straight pieces."""
    points: list[tuple[float, float]] = []
    n = len(path)
    for i, point in enumerate(path):
        x, y = point[0], point[1]
        if len(point) == 2:
            points.append((x, y))
            continue
        before, after = path[i - 1], path[(i + 1) % n]
        if not closed and i in (0, n - 1):
            raise ValueError("an open path can't begin or end with a control point")
        ax, ay = before[:2] if len(before) == 2 else ((before[0] + x) / 2, (before[1] + y) / 2)
        bx, by = after[:2] if len(after) == 2 else ((after[0] + x) / 2, (after[1] + y) / 2)
        for k in range(1, steps + (len(after) > 2)):  # a point on the curve comes by itself
            t = k / steps
            u = 1 - t
            points.append((u * u * ax + 2 * u * t * x + t * t * bx, u * u * ay + 2 * u * t * y + t * t * by))
    return points


def mix(a: Color, b: Color, share: float) -> Color:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def cloth(size: tuple[int, int], look: Look, rng: random.Random) -> Image.Image:
    """The fabric that a product is cut from."""
    width, height = size
    image = Image.new("RGB", size, look.color)
    pen = ImageDraw.Draw(image)
    step = rng.randint(height // 16, height // 9)
    if look.pattern == "stripes":
        for y in range(0, height, step):
            pen.rectangle((0, y, width, y + step * 0.42), fill=look.accent)
    elif look.pattern == "pinstripes":
        for x in range(0, width, step // 2):
            pen.line((x, 0, x, height), fill=look.accent, width=2)
    elif look.pattern == "check":
        soft, strong = mix(look.color, look.accent, 0.4), mix(look.color, look.accent, 0.8)
        for x in range(0, width, step):
            pen.rectangle((x, 0, x + step * 0.4, height), fill=soft)
        for y in range(0, height, step):
            for x in range(0, width, step):
                pen.rectangle((x, y, x + step * 0.4, y + step * 0.4), fill=strong)
                pen.rectangle((x + step * 0.4, y, x + step, y + step * 0.4), fill=soft)
    elif look.pattern == "dots":
        dot = step * rng.uniform(0.14, 0.26)
        for row, y in enumerate(range(0, height + step, step)):
            for x in range((row % 2) * step // 2, width + step, step):
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=look.accent)
    elif look.pattern == "floral":
        tones = (look.accent, mix(look.color, look.accent, 0.6), mix(look.accent, (60, 140, 80), 0.6))
        for _ in range(90):
            a, b, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.012, 0.026) * width
            tone = rng.choice(tones)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                pen.ellipse((a + dx * r - r, b + dy * r - r, a + dx * r + r, b + dy * r + r), fill=tone)
    elif look.pattern == "melange":
        grain = np.random.default_rng(rng.getrandbits(32)).normal(0, 16, (height // 3, width // 6, 1))
        flecks = np.clip(np.array(look.color) + grain, 0, 255).astype(np.uint8)
        image = Image.fromarray(flecks).resize(size, Image.Resampling.NEAREST)
    return image


def draw(look: Look, style: Style, seed: str) -> Image.Image:
    """The picture, RGB, of `style.size`. KeyError for a shape that silhouettes.py lacks."""
    from catray.catalog.silhouettes import SHAPES

    rng = random.Random(seed)
    width, height = style.size
    large = (width * SCALE, height * SCALE)
    unit = min(large) / 2 * (1 - 2 * style.margin) * rng.uniform(0.93, 1.04)
    angle = math.radians(rng.gauss(0, style.tilt))
    flip = -1.0 if rng.random() < style.flip else 1.0
    x = large[0] / 2 + rng.gauss(0, 0.012) * large[0]
    y = large[1] / 2 + rng.gauss(0, 0.012) * large[1]
    c, s = unit * math.cos(angle), unit * math.sin(angle)
    pen = Pen(large, cloth(large, look, rng), look, np.array([[c * flip, -s, x], [s * flip, c, y]]))
    SHAPES[look.shape](pen, rng, **look.arguments)
    product = np.asarray(pen.layer.reduce(SCALE), np.float32)
    return _scene(product, pen.mask.reduce(SCALE), look, style, rng)


def _scene(product: np.ndarray, mask: Image.Image, look: Look, style: Style, rng: random.Random) -> Image.Image:
    """Background, shadow and light: `product` (height, width, 3), its mask gray."""
    width, height = style.size
    generator = np.random.default_rng(rng.getrandbits(64))
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    ground = np.array(style.top, np.float32) * (1 - down) + np.array(style.bottom, np.float32) * down
    if style.vignette:
        ground = ground * (1 - style.vignette * (across**2 + (2 * down - 1) ** 2) / 2)
    alpha = np.asarray(mask, np.float32)[:, :, None] / 255
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(width / 24)), np.float32)[:, :, None] / 255
    ground = ground * (1 - style.shadow * np.roll(soft, (height // 36, width // 50), (0, 1)))
    folds = Image.fromarray(generator.normal(0, 1, (5, 7)).astype(np.float32), mode="F")
    bends = np.asarray(folds.resize((width, height), Image.Resampling.BICUBIC))[:, :, None]
    tilt = np.float32(0.74) - np.float32(0.05) * across - np.float32(0.06) * (down - 0.5)
    # Light falls from the upper left; what is near the outline turns away from it.
    light = tilt + 0.3 * soft + (0.0 if look.gloss else 0.035) * bends
    lit = product * light
    if look.gloss:
        shine = np.clip(1 - np.abs(across + 0.35 + 0.12 * bends) * 5, 0, 1) * soft
        lit += shine * 70
    picture = (ground + (lit - ground) * alpha) * np.array(style.tint, np.float32)
    picture += generator.standard_normal((height, width, 1), np.float32) * style.noise
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def encode(image: Image.Image, style: Style) -> bytes:
    buffer = io.BytesIO()
    if style.format == "PNG":
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, style.format, quality=style.quality)
    return buffer.getvalue()
