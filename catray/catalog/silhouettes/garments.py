"""Trousers, dresses, skirts, swimwear and socks."""

from __future__ import annotations

import random

from catray.catalog.drawing import METAL, Path, Pen, mirrored
from catray.catalog.silhouettes.tops import closure, neckline, sleeves


def trousers(
    pen: Pen,
    rng: random.Random,
    cut: str = "straight",
    length: float = 0.95,
    fly: bool = False,
    seams: bool = False,
    crease: bool = False,
    string: bool = False,
    cuffs: bool = False,
    turnup: bool = False,
    stripe: bool = False,
    band: float = 0.08,
) -> None:
    short = length < 0.4
    top_y = -0.55 if short else -0.95
    end = length + 0.5 if short else length * rng.uniform(0.97, 1.03)
    waist, hip = 0.32 * rng.uniform(0.96, 1.06), 0.43
    ankle = {"skinny": 0.12, "slim": 0.16, "straight": 0.22, "wide": 0.32, "jogger": 0.15}[cut]
    if short:
        ankle = 0.4 if cut == "wide" else 0.33
    center, crotch = 0.27 if not short else 0.3, top_y + 0.62
    _legs(pen, waist, hip, top_y, crotch, center, ankle, end)
    pen.fill([(-waist, top_y), (waist, top_y), (waist + 0.01, top_y + band), (-waist - 0.01, top_y + band)])
    if fly:
        pen.line([(0, top_y + band), (0, crotch - 0.08)], 0.016)
        pen.disc(0, top_y + band / 2, 0.026, METAL)
        for side in (-1, 1):
            pen.line([(side * 0.2, top_y + band), (side * 0.24, top_y + 0.2, 1), (side * (waist + 0.05), top_y + 0.22)])
    for side in (-1, 1):
        inner, outer = side * (center - ankle * 0.9), side * (center + ankle * 0.9)
        if seams:
            pen.line([(side * (hip - 0.04), top_y + 0.4), (side * (center + ankle - 0.05), end)], 0.012, (205, 160, 95))
            pen.line([(outer, end - 0.04), (inner, end - 0.04)], 0.012, (205, 160, 95))
        if crease:
            pen.line([(side * 0.24, crotch - 0.1), (side * center, end)], 0.012)
        if stripe:
            pen.line([(side * (hip - 0.05), top_y + 0.3), (side * (center + ankle - 0.05), end)], 0.06, pen.accent)
        if cuffs:
            pen.fill([(inner, end - 0.12), (outer, end - 0.12), (outer * 0.95, end), (inner * 1.05, end)], pen.dark)
        if turnup:
            edge = side * (center - ankle), side * (center + ankle)
            pen.fill([(edge[0], end - 0.1), (edge[1], end - 0.1), (edge[1], end), (edge[0], end)])
        if string:
            pen.line([(side * 0.02, top_y + 0.06), (side * 0.06, top_y + 0.3)], 0.022, pen.accent)


def _legs(pen: Pen, waist: float, hip: float, y0: float, crotch: float, x: float, ankle: float, end: float) -> None:
    half: Path = [(waist, y0), (hip, y0 + 0.3, 1), (hip, crotch - 0.1), (x + ankle, end), (x - ankle, end), (0, crotch)]
    pen.fill(mirrored(half))


def dress(
    pen: Pen,
    rng: random.Random,
    length: float = 0.5,
    flare: float = 0.2,
    waist: float = 0.22,
    sleeve: str = "none",
    neck: str = "scoop",
    front: str = "none",
    belt: bool = False,
    wrap: bool = False,
) -> None:
    y0, end = -0.92 + max(0.0, 0.25 - length / 4), length * rng.uniform(0.94, 1.0)
    chest, middle = 0.33, -0.2 * rng.uniform(0.85, 1.2)
    foot = waist + flare * rng.uniform(0.85, 1.15) + 0.05
    if sleeve in ("short", "long"):
        sleeves(pen, sleeve, chest, y0, False, False)
    shoulder: Path = [(0.2, y0), (chest - 0.04, y0 + 0.08), (chest, y0 + 0.42)]
    if sleeve == "strap":
        shoulder = [(0.2, y0 + 0.24), (chest - 0.03, y0 + 0.36)]
        for side in (-1, 1):
            pen.line([(side * 0.22, y0 + 0.28), (side * 0.2, y0 - 0.02)], 0.04, pen.color)
    pen.fill(
        mirrored([*shoulder, (waist, middle), (foot - 0.1, (middle + end) / 2, 1), (foot, end), (0.1, end + 0.06, 1)])
    )
    for i in (-2, -1, 1, 2) if flare > 0.15 else ():
        pen.line([(i * waist / 4, middle + 0.12), (i * foot / 3.2, end)], 0.012)
    closure(pen, front, y0, end)
    if wrap:
        pen.line([(0.2, y0 + 0.05), (-waist, middle)], 0.022)
        pen.line([(waist, middle), (foot * 0.5, middle + 0.3, 1), (foot * 0.55, end)], 0.022)
        pen.line([(waist - 0.04, middle), (waist + 0.16, middle + 0.3)], 0.04, pen.dark)
    if belt:
        pen.fill(
            [(-waist, middle - 0.05), (waist, middle - 0.05), (waist, middle + 0.05), (-waist, middle + 0.05)], pen.dark
        )
    if sleeve != "strap":
        neckline(pen, neck, y0, front)


def skirt(pen: Pen, rng: random.Random, length: float = 0.6, hem: float = 0.5, pleats: int = 0) -> None:
    y0 = -0.62
    end, foot = length * rng.uniform(0.94, 1.06) + 0.1, hem * rng.uniform(0.94, 1.06)
    hip = max(0.42, foot * 0.7)
    pen.fill(mirrored([(0.3, y0), (hip, y0 + 0.35, 1), (foot, end), (0, end + 0.09, 1)]))
    for i in range(pleats):
        share = (i + 0.5) / pleats * 2 - 1
        pen.line([(share * 0.29, y0 + 0.1), (share * foot, end + 0.04 * (1 - abs(share)))], 0.022)
    if not pleats:
        pen.line([(0.0, end - 0.2), (0.0, end + 0.03)], 0.02)
    pen.fill([(-0.31, y0 - 0.02), (0.31, y0 - 0.02), (0.33, y0 + 0.08), (-0.33, y0 + 0.08)], pen.dark)


def jumpsuit(pen: Pen, rng: random.Random) -> None:
    y0, ankle = -0.97, rng.choice((0.16, 0.24))
    _legs(pen, 0.22, 0.36, -0.22, 0.24, 0.22, ankle, 0.96)
    pen.fill(mirrored([(0.2, y0 + 0.02), (0.3, y0 + 0.1), (0.3, y0 + 0.4), (0.23, -0.2)]))
    pen.fill([(-0.23, -0.24), (0.23, -0.24), (0.24, -0.15), (-0.24, -0.15)], pen.dark)
    pen.cut([(-0.13, y0 - 0.05), (0, y0 + 0.5, 1), (0.13, y0 - 0.05)])
    pen.line([(0, y0 + 0.26), (0, 0.14)], 0.016)


def swimsuit(pen: Pen, rng: random.Random) -> None:
    for side in (-1, 1):
        pen.line([(side * 0.2, -0.5), (side * 0.19, -0.94)], 0.05, pen.color)
    low = rng.uniform(0.42, 0.55)
    pen.fill(
        mirrored([(0.12, -0.6), (0.28, -0.62), (0.34, -0.3), (0.22, 0.0, 1), (0.36, low), (0.12, 0.6, 1), (0.07, 0.88)])
    )
    pen.cut([(-0.13, -0.66), (0, -0.2, 1), (0.13, -0.66)])


def bikini(pen: Pen, rng: random.Random) -> None:
    for side in (-1, 1):
        pen.line([(side * 0.26, -0.6), (side * 0.1, -0.95)], 0.035, pen.color)
        pen.line([(side * 0.45, -0.28), (side * 0.68, -0.36)], 0.035, pen.color)
        pen.fill([(side * 0.25, -0.64), (side * 0.5, -0.26), (side * 0.25, -0.16, 1), (side * 0.05, -0.26)])
        pen.line([(side * 0.42, 0.24), (side * 0.56, rng.uniform(0.3, 0.42))], 0.035, pen.color)
    pen.fill(mirrored([(0.44, 0.18), (0.42, 0.32), (0.14, 0.5, 1), (0.08, 0.82)]))


def socks(pen: Pen, rng: random.Random) -> None:
    height = rng.choice((-0.85, -0.35))
    for x in (-0.34, 0.2):
        pen.fill(
            [
                (x - 0.2, height),
                (x + 0.16, height),
                (x + 0.17, 0.35),
                (x + 0.3, 0.52, 1),
                (x + 0.62, 0.6),
                (x + 0.68, 0.84, 1),
                (x + 0.35, 0.86),
                (x - 0.22, 0.86, 1),
                (x - 0.2, 0.4),
            ]
        )
        pen.fill(
            [(x - 0.21, height), (x + 0.17, height), (x + 0.17, height + 0.14), (x - 0.21, height + 0.14)], pen.accent
        )
        pen.fill([(x - 0.19, 0.62), (x - 0.02, 0.6, 1), (x - 0.04, 0.85), (x - 0.2, 0.85, 1)], pen.dark, 0)
