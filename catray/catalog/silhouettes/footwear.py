"""Shoes, seen from the side, toe to the right; flip-flops from above."""

from __future__ import annotations

import random

from catray.catalog.drawing import DARK, METAL, WHITE, Path, Pen, mix, rectangle


def sneaker(
    pen: Pen,
    rng: random.Random,
    shaft: float = 0.0,
    laces: bool = False,
    chunky: bool = False,
    gore: bool = False,
    patch: bool = False,
    toecap: bool = False,
    swoosh: bool = False,
) -> None:
    g = 0.42 + shaft * 0.4  # where the upper meets the sole
    collar = g - 0.52 - shaft * rng.uniform(0.95, 1.1)
    tongue = collar - (0.1 if laces else -0.05)
    upper: Path = [
        *((-0.84, g), (-0.92, g - 0.3, 1), (-0.78, collar + 0.02)),
        *((-0.52, collar + 0.14, 1), (-0.26, collar), (-0.14, tongue)),
        *((0.0, g - 0.42, 1), (0.34, g - 0.34), (0.92, g - 0.28, 1), (0.92, g)),
    ]
    pen.fill(upper)
    if gore:
        pen.fill([(-0.2, collar + 0.05), (0.02, collar + 0.1), (-0.06, g - 0.12), (-0.26, g - 0.18)], DARK)
        pen.line([(0.06, g - 0.38), (0.3, g - 0.1, 1), (0.36, g)], 0.016)
    if toecap:
        pen.fill([(0.6, g), (0.62, g - 0.2, 1), (0.7, g - 0.26), (0.93, g - 0.22, 1), (0.92, g)], WHITE)
    if swoosh:
        pen.fill([(-0.5, g - 0.14), (-0.1, g - 0.02, 1), (0.4, g - 0.3), (-0.05, g - 0.18, 1)], pen.accent, 0)
        pen.fill([(-0.86, g - 0.05), (-0.9, g - 0.3, 1), (-0.78, collar + 0.1), (-0.62, g - 0.05)], pen.accent, 0.01)
    elif not gore:
        pen.line([(-0.6, collar + 0.1), (-0.55, g)], 0.014)
    if patch:
        pen.disc(-0.46, (collar + g) / 2 - 0.06, 0.11, pen.accent)
    if laces:
        count = 4 + round(shaft * 5)
        for i in range(count):
            share = i / (count - 1)
            x, y = -0.16 + share * 0.5, tongue + 0.12 + share * (g - 0.4 - tongue)
            pen.line([(x - 0.1, y + 0.06), (x + 0.07, y - 0.04)], 0.034, WHITE if pen.color != WHITE else pen.dark)
    sole = pen.accent if rng.random() < 0.25 else WHITE
    if chunky:
        path: Path = [
            *((-0.95, g - 0.1), (-0.4, g - 0.02, 1), (0.2, g - 0.06), (0.7, g - 0.06, 1), (0.97, g - 0.12)),
            *((1.0, g + 0.16, 1), (0.8, g + 0.2), (0.1, g + 0.16, 1), (-0.2, g + 0.22), (-0.9, g + 0.24)),
        ]
        pen.fill(path, sole)
        pen.line([(-0.9, g + 0.06), (-0.3, g + 0.1, 1), (0.92, g + 0.02)], 0.03, pen.accent)
    else:
        pen.fill([(-0.88, g - 0.03), (0.94, g - 0.03), (0.96, g + 0.13, 1), (0.8, g + 0.13), (-0.86, g + 0.13)], sole)
        pen.line([(-0.85, g + 0.04), (0.9, g + 0.04)], 0.016, mix(sole, (0, 0, 0), 0.25))


def boot(
    pen: Pen,
    rng: random.Random,
    shaft: float = 0.5,
    heel: float = 0.1,
    toe: str = "round",
    zipper: bool = False,
    gore: bool = False,
    tab: bool = False,
    wide: bool = False,
) -> None:
    ground = 0.5 + shaft * 0.36
    b = ground - 0.06
    y = ground - 0.52 - shaft * rng.uniform(0.94, 1.06)
    back, front = (-0.7, 0.02) if wide else (-0.62, -0.06)
    nose = 0.86 if toe == "pointed" else 0.8
    pen.fill(
        [
            *((back, y + 0.02), (front, y), (front + 0.02, b - 0.6), (front + 0.08, b - 0.36, 1), (0.4, b - 0.24)),
            *(
                (nose, b - 0.2, 1),
                (nose, b),
                (0.1, b),
                (-0.12, b - heel * 0.75, 1),
                (-0.3, b - heel),
                (-0.64, b - heel),
            ),
            *((back - 0.02, b - 0.35, 1), (back, y + 0.2)),
        ]
    )
    sole = DARK if not wide else pen.accent
    pen.fill([(0.05, b), (nose + 0.02, b - 0.01), (nose, b + 0.06), (0.08, b + 0.06)], sole, 0)
    pen.fill([(-0.66, b - heel), (-0.3, b - heel), (-0.34, b + 0.06), (-0.62, b + 0.06)], sole, 0)
    pen.line([(-0.3, b - heel + 0.02), (-0.1, b + 0.02 - heel * 0.6, 1), (0.1, b + 0.03)], 0.05, sole)
    if zipper:
        pen.line([(back + 0.22, y + 0.04), (back + 0.24, b - 0.18)], 0.024, METAL)
    if gore:
        pen.fill(
            [(back + 0.2, y + 0.04), (front - 0.1, y + 0.04), (front - 0.2, b - 0.34), (back + 0.26, b - 0.34)], DARK
        )
    if tab:
        pen.line([(back + 0.06, y + 0.05), (back - 0.06, y - 0.1, 1), (back + 0.14, y + 0.04)], 0.035, pen.dark)
    if wide:
        pen.line([(back, y + 0.1), (front, y + 0.09)], 0.05, pen.accent)


def pump(pen: Pen, rng: random.Random, heel: float = 0.5, block: float = 0.05) -> None:
    ground = 0.5
    h = heel * rng.uniform(0.92, 1.06)
    b, r = ground - h, -0.72
    pen.fill(
        [(r - 0.06, b - 0.02), (r + block * 2 + 0.1, b + 0.06), (r + block * 1.7, ground), (r - 0.02, ground)], pen.dark
    )
    upper: Path = [
        *((r - 0.1, b - 0.36), (r - 0.14, b - 0.1, 1), (r - 0.04, b + 0.02)),
        *((-0.3, b + 0.06, 1), (0.2, ground - 0.02), (0.6, ground, 1), (0.95, ground)),
        *((0.9, ground - 0.14, 1), (0.52, ground - 0.26), (0.34, ground - 0.32, 1), (0.3, ground - 0.2)),
        *((-0.1, ground - 0.14 - h * 0.3, 1), (-0.45, b - 0.16), (r + 0.1, b - 0.3, 1)),
    ]
    pen.fill(upper)
    pen.line([(r, b + 0.02), (-0.3, b + 0.06, 1), (0.2, ground), (0.9, ground + 0.01)], 0.028, DARK)


def sandal(pen: Pen, rng: random.Random, heel: float = 0.05, straps: int = 2) -> None:
    ground = 0.4
    b = ground - heel - 0.05
    tan = mix(pen.color, (190, 150, 110), 0.6)
    if heel > 0.2:
        pen.fill([(-0.78, b), (-0.6, b + 0.04), (-0.68, ground + 0.04), (-0.75, ground + 0.04)], pen.dark)
    xs = [0.5, 0.12, -0.25][:straps]
    for x in (0.62, *xs):
        y = ground - 0.02 - max(0.0, 0.3 - x) * heel * 0.9
        pen.line([(x - 0.12, y), (x - 0.06, y - 0.46, 1), (x + 0.14, y - 0.3, 1), (x + 0.16, y)], 0.1, pen.color)
    pen.line([(-0.78, b), (-0.86, b - 0.3), (-0.6, b - 0.5, 1), (-0.34, b - 0.36), (-0.3, b)], 0.07, pen.color)
    pen.disc(-0.4, b - 0.37, 0.045, METAL)
    sole: Path = [(-0.84, b - 0.03), (-0.4, b, 1), (0.1, ground - 0.05), (0.5, ground - 0.06, 1), (0.92, ground - 0.07)]
    lower: Path = [(0.94, ground + 0.04), (0.1, ground + 0.05), (-0.35, b + 0.1, 1), (-0.82, b + 0.06)]
    if heel < 0.2:
        lower = [(0.94, ground + 0.04), (-0.84, ground + 0.05)]
    pen.fill([*sole, *lower], tan)


def flipflops(pen: Pen, rng: random.Random) -> None:
    gap = rng.uniform(0.42, 0.5)
    for x in (-gap, gap):
        pen.fill(
            [
                (x, -0.9),
                (x + 0.4, -0.9, 1),
                (x + 0.34, -0.3),
                (x + 0.2, 0.2, 1),
                (x + 0.27, 0.6),
                (x + 0.2, 0.95, 1),
                (x, 0.93),
                (x - 0.24, 0.95, 1),
                (x - 0.27, 0.6),
                (x - 0.2, 0.2, 1),
                (x - 0.34, -0.3),
                (x - 0.4, -0.9, 1),
            ]
        )
        for side in (-1, 1):
            pen.line([(x, -0.58), (x + side * 0.22, -0.36, 1), (x + side * 0.29, 0.05)], 0.075, pen.accent)
        pen.disc(x, -0.58, 0.05, pen.accent)


def flat(
    pen: Pen,
    rng: random.Random,
    bow: bool = False,
    saddle: bool = False,
    laces: bool = False,
    rise: float = 0.0,
) -> None:
    g = 0.34
    y = g - 0.3 - rise * 0.6
    vamp = 0.3 if bow else -0.02
    pen.fill(
        [
            *(
                (-0.86, g),
                (-0.94, y + 0.1, 1),
                (-0.8, y - 0.08),
                (-0.5, g - 0.08 - rise, 1),
                (vamp - 0.1, g - 0.2 - rise),
            ),
            *((vamp + 0.08, g - 0.34 - rise * 0.7), (0.6, g - 0.3, 1), (0.95, g - 0.18, 1), (0.92, g)),
        ]
    )
    if bow:
        for side in (-1, 1):
            pen.fill([(0.4, g - 0.28), (0.4 + side * 0.16, g - 0.38), (0.4 + side * 0.16, g - 0.2)], pen.dark)
    if saddle:
        pen.fill([(-0.06, g - 0.42), (0.14, g - 0.4), (0.24, g - 0.02), (0.0, g - 0.02)], pen.dark)
        pen.line([(0.2, g - 0.3), (0.6, g - 0.32, 1), (0.8, g - 0.12)], 0.022)
    if laces:
        for i in range(4):
            pen.line([(-0.08 + i * 0.1, g - 0.42 + i * 0.05), (0.06 + i * 0.1, g - 0.5 + i * 0.04)], 0.03, WHITE)
        pen.line([(0.52, g - 0.3), (0.56, g - 0.1, 1), (0.5, g)], 0.018)
    pen.fill(rectangle(-0.88, g - 0.02, 0.94, g + 0.05), DARK, 0)
    if not bow:
        pen.fill([(-0.87, g), (-0.42, g), (-0.45, g + 0.13), (-0.85, g + 0.13)], DARK, 0)


def slipper(pen: Pen, rng: random.Random) -> None:
    g = 0.36
    pen.fill([(-0.88, g - 0.06), (-0.3, g - 0.14, 1), (0.2, g - 0.1), (0.2, g), (-0.86, g)], mix(pen.color, WHITE, 0.6))
    pen.fill([(-0.12, g), (-0.2, g - 0.6, 1), (0.12, g - 0.52), (0.9, g - 0.5, 1), (0.92, g)])
    fluff = mix(pen.accent, WHITE, 0.5)
    for i in range(6):
        pen.disc(-0.14 + i * 0.02, g - 0.06 - i * 0.085, 0.085 + rng.uniform(0, 0.03), fluff, 0.006)
    pen.fill(rectangle(-0.9, g - 0.02, 0.94, g + 0.1, 0.05), DARK, 0)
