"""Hats, jewelry, watches and what else is worn with clothes."""

from __future__ import annotations

import random

from catray.catalog.drawing import DARK, METAL, WHITE, Path, Pen, mirrored, mix, oval, rectangle


def cap(pen: Pen, rng: random.Random) -> None:
    pen.fill([(-0.8, 0.22), (-0.82, -0.62, 1), (-0.1, -0.6), (0.5, -0.58, 1), (0.48, 0.2), (-0.2, 0.32, 1)])
    pen.fill([(0.2, 0.14), (0.6, 0.02, 1), (0.98, 0.32), (0.9, 0.42, 1), (0.6, 0.34, 1), (0.1, 0.32)], pen.dark)
    pen.disc(-0.13, -0.6, 0.05, pen.dark)
    pen.line([(-0.13, -0.58), (-0.3, -0.3, 1), (-0.26, 0.26)], 0.014)
    pen.fill(rectangle(0.06, -0.32, 0.3, -0.08, 0.05), pen.accent, 0)


def beanie(pen: Pen, rng: random.Random, knit: bool = True) -> None:
    if rng.random() < 0.55:
        for _ in range(14):
            pen.disc(rng.gauss(0, 0.07), -0.74 + rng.gauss(0, 0.06), 0.12, mix(pen.accent, WHITE, rng.random()), 0.006)
    pen.fill([(-0.62, 0.35), (-0.66, -0.66, 1), (0, -0.66), (0.66, -0.66, 1), (0.62, 0.35)])
    for i in range(-4, 5):
        pen.line([(i * 0.14, 0.35), (i * 0.13, -0.2, 1), (i * 0.06, -0.6)], 0.012)
    pen.fill(rectangle(-0.68, 0.24, 0.68, 0.66, 0.1))
    for i in range(-6, 7):
        pen.line([(i * 0.1, 0.28), (i * 0.1, 0.63)], 0.018)


def hat(pen: Pen, rng: random.Random) -> None:
    pen.fill(oval(0, 0.34, 0.98, rng.uniform(0.2, 0.27)))
    pen.fill(
        [
            (-0.52, 0.34),
            (-0.46, -0.5),
            (-0.3, -0.68, 1),
            (0, -0.48),
            (0.3, -0.68, 1),
            (0.46, -0.5),
            (0.52, 0.34),
            (0, 0.46, 1),
        ]
    )
    pen.fill([(-0.51, 0.12), (0, 0.24, 1), (0.51, 0.12), (0.52, 0.34), (0, 0.46, 1), (-0.52, 0.34)], DARK)


def necklace(pen: Pen, rng: random.Random) -> None:
    low = rng.uniform(0.3, 0.55)
    chain: Path = [(-0.55, -0.9), (-0.6, 0.2, 1), (0, low), (0.6, 0.2, 1), (0.55, -0.9)]
    pen.line(chain, 0.04, pen.color)
    pen.line(chain, 0.014, pen.light)
    gem = rng.choice(((70, 120, 190), (180, 40, 70), (60, 150, 110), pen.light))
    if rng.random() < 0.5:
        pen.disc(0, low + 0.17, 0.16, pen.color)
        pen.disc(0, low + 0.17, 0.09, gem)
    else:
        pen.fill([(0, low), (0.14, low + 0.2), (0, low + 0.42), (-0.14, low + 0.2)], gem, 0.03, pen.color)


def earrings(pen: Pen, rng: random.Random) -> None:
    hoop, r = rng.random() < 0.5, rng.uniform(0.3, 0.38)
    for x in (-0.45, 0.45):
        pen.line([(x, -0.5), (x - 0.02, -0.72, 1), (x + 0.08, -0.68)], 0.03, pen.color)
        if hoop:
            ring_ = oval(x, -0.5 + r, r, r)
            pen.line([*ring_, ring_[0]], 0.07, pen.color)
        else:
            pen.line([(x, -0.5), (x, 0.0)], 0.025, pen.color)
            pen.fill([(x, -0.05), (x + 0.3, 0.5, 1), (x, 0.55), (x - 0.3, 0.5, 1)], pen.accent, 0.03, pen.color)


def ring(pen: Pen, rng: random.Random) -> None:
    band = oval(0, 0.22, 0.56, 0.6)
    pen.line([*band, band[0]], rng.uniform(0.1, 0.17), pen.color)
    pen.line(oval(-0.02, 0.2, 0.57, 0.61, 150, 240), 0.03, pen.light)
    if rng.random() < 0.7:
        gem = rng.choice(((200, 225, 240), (180, 40, 70), (60, 150, 110), (70, 110, 200)))
        pen.fill([(-0.22, -0.66), (0.22, -0.66), (0.34, -0.5), (0, -0.22), (-0.34, -0.5)], gem)
        pen.line([(-0.34, -0.5), (0.34, -0.5)], 0.014, mix(gem, (0, 0, 0), 0.3))


def watch(pen: Pen, rng: random.Random) -> None:
    for end in (-0.95, 0.95):
        pen.fill([(-0.22, end / 5), (0.22, end / 5), (0.16, end), (-0.16, end)])
    r = rng.uniform(0.38, 0.44)
    face = rng.choice((WHITE, (30, 36, 52), (232, 222, 200)))
    pen.fill(rectangle(r - 0.03, -0.05, r + 0.06, 0.05), METAL)
    pen.disc(0, 0, r, METAL)
    pen.disc(0, 0, r * 0.82, face)
    hand = mix(face, (255, 255, 255) if sum(face) < 300 else (0, 0, 0), 0.8)
    for x, y in oval(0, 0, r * 0.68, r * 0.68)[::2]:
        pen.disc(x, y, 0.018, hand, 0)
    pen.line([(0, 0), (rng.uniform(-0.2, 0.2), -0.2)], 0.03, hand)
    pen.line([(0, 0), (rng.uniform(0.1, 0.16), rng.uniform(-0.08, 0.08))], 0.03, hand)


def sunglasses(pen: Pen, rng: random.Random) -> None:
    lens = rng.choice(((42, 42, 46), (84, 60, 40), (50, 70, 62), (60, 66, 96)))
    rounded = rng.random() < 0.45
    pen.line([(-0.92, -0.16), (-0.96, -0.3), (-0.7, -0.44)], 0.05, pen.color)
    pen.line([(0.92, -0.16), (0.96, -0.3), (0.7, -0.44)], 0.05, pen.color)
    pen.line([(-0.16, -0.06), (0, -0.18, 1), (0.16, -0.06)], 0.06, pen.color)
    for side in (-1, 1):
        if rounded:
            path = oval(side * 0.5, 0.04, 0.37, 0.35)
        else:
            path = [
                (side * x, y, *c)
                for x, y, *c in ((0.12, -0.2), (0.94, -0.24), (0.94, 0.46, 1), (0.5, 0.4), (0.16, 0.36, 1))
            ]
        pen.fill(path, lens, 0.075, pen.color)
        pen.line([(side * 0.5 - 0.16, 0.14), (side * 0.5 + 0.08, -0.1)], 0.035, mix(lens, WHITE, 0.4))


def belt(pen: Pen, rng: random.Random) -> None:
    h, y = rng.uniform(0.09, 0.13), 0.22
    pen.fill(
        [
            (-0.86, y - 0.1),
            (-0.8, -0.5, 1),
            (0, -0.46),
            (0.8, -0.5, 1),
            (0.86, y - 0.1),
            (0.72, y - 0.04),
            (0.6, -0.3, 1),
            (0, -0.26),
            (-0.6, -0.3, 1),
            (-0.72, y - 0.04),
        ],
        pen.dark,
    )
    pen.fill([(-0.88, y - h), (0, y + 0.06 - h, 1), (0.88, y - h), (0.88, y + h), (0, y + 0.14 + h, 1), (-0.88, y + h)])
    pen.fill(rectangle(-0.2, y - h - 0.06, 0.14, y + h + 0.12, 0.05), METAL)
    pen.fill(rectangle(-0.12, y - h + 0.04, 0.06, y + h + 0.03), pen.color)
    pen.line([(-0.03, y + 0.04), (0.16, y + 0.04)], 0.04, METAL)
    for i in range(4):
        pen.disc(0.34 + i * 0.11, y + 0.03, 0.018, DARK, 0)


def scarf(pen: Pen, rng: random.Random) -> None:
    drop = rng.uniform(0.72, 0.82)
    for x0, x1, end in ((-0.5, -0.08, drop), (0.06, 0.46, drop - 0.2)):
        for i in range(7):
            x = x0 + (x1 - x0) * (i + 0.5) / 7
            pen.line([(x, end), (x, end + 0.16)], 0.03, pen.color)
        pen.fill([(x0 + 0.08, -0.4), (x1 + 0.04, -0.4), (x1, end), (x0, end)])
        pen.line([(x0 + 0.02, end - 0.12), (x1 - 0.01, end - 0.12)], 0.05, pen.accent)
    pen.fill(
        [
            (-0.62, -0.5),
            (-0.6, -0.96, 1),
            (0, -0.9),
            (0.6, -0.96, 1),
            (0.62, -0.5),
            (0.4, -0.14, 1),
            (0, -0.16),
            (-0.4, -0.14, 1),
        ]
    )
    pen.line([(-0.5, -0.6), (0, -0.3, 1), (0.5, -0.62)], 0.03)
    pen.line([(-0.34, -0.8), (0, -0.6, 1), (0.36, -0.8)], 0.03)


def tie(pen: Pen, rng: random.Random) -> None:
    w = rng.uniform(0.17, 0.26)
    pen.fill(mirrored([(0.08, -0.66), (w, 0.62), (0.001, 0.95)]))
    pen.fill(mirrored([(0.16, -0.95), (0.18, -0.86), (0.09, -0.62)]))
    pen.line([(-0.09, -0.64), (0.09, -0.64)], 0.03)


def gloves(pen: Pen, rng: random.Random) -> None:
    fingers = rng.random() < 0.6
    for side in (-1, 1):
        x = side * 0.44
        pen.fill([(x - side * 0.2, 0.2), (x - side * 0.46, -0.3, 1), (x - side * 0.34, -0.3), (x - side * 0.1, 0.0)])
        if fingers:
            for i, tip in enumerate((-0.68, -0.84, -0.8, -0.6)):
                fx = x + side * (-0.2 + i * 0.14)
                pen.fill(rectangle(fx - 0.07, tip, fx + 0.07, 0.1, 0.068))
            pen.fill(rectangle(x - 0.27, -0.16, x + 0.29, 0.5, 0.08), edge=0)
        else:
            pen.fill(rectangle(x - 0.27, -0.76, x + 0.29, 0.5, 0.24))
        pen.fill(rectangle(x - 0.26, 0.4, x + 0.28, 0.86, 0.03), pen.dark)
        for i in range(4):
            pen.line([(x - 0.18 + i * 0.13, 0.44), (x - 0.18 + i * 0.13, 0.84)], 0.014, pen.color)
