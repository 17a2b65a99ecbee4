"""What is worn above the waist: one silhouette, from tank top to trench coat, and its parts."""

from __future__ import annotations

import random

from catray.catalog.drawing import METAL, Pen, mirrored, mix, oval


def top(
    pen: Pen,
    rng: random.Random,
    sleeve: str = "short",
    neck: str = "crew",
    front: str = "none",
    width: float = 0.45,
    length: float = 0.78,
    flare: float = 0.0,
    hem: str = "straight",
    rib: bool = False,
    knit: bool = False,
    quilt: bool = False,
    prints: bool = False,
    pouch: bool = False,
    pocket: int = 0,
    patch: bool = False,
    yoke: bool = False,
    belt: bool = False,
    stripe: bool = False,
) -> None:
    """Everything worn above the waist, from tank top to trench coat."""
    long = length > 0.85
    w, y0 = width * rng.uniform(0.93, 1.06), -0.82 if not long else -0.95
    end = length * rng.uniform(0.95, 1.04)
    foot = w + flare
    if neck == "hood":
        pen.fill([(-0.3, y0 + 0.1), (-0.36, y0 - 0.3, 1), (0, y0 - 0.26, 1), (0.36, y0 - 0.3, 1), (0.3, y0 + 0.1)])
    sleeves(pen, sleeve, w, y0, rib, quilt)
    inner = {"none": w - 0.1}.get(sleeve, w - 0.02)
    drop = 0.08 if hem == "curved" else 0.0
    pen.fill(
        mirrored([(0.19, y0), (inner, y0 + 0.09), (w - 0.02, y0 + 0.5), (foot, end - drop), (foot / 2, end + drop, 1)]),
    )
    if rib:
        pen.fill([(-foot, end - 0.09), (foot, end - 0.09), (foot - 0.05, end), (-foot + 0.05, end)])
        for i in range(-6, 7):
            pen.line([(i * foot / 7, end - 0.08), (i * foot / 7, end)], 0.01)
    if knit:
        for i in range(1, 9):
            y = y0 + 0.28 + i * (end - y0 - 0.4) / 9
            pen.line([(-w * 0.92, y), (w * 0.92, y)], 0.008, mix(pen.color, (0, 0, 0), 0.16))
    if quilt:
        for i in range(1, 6):
            y = y0 + 0.12 + i * (end - y0 - 0.1) / 6
            pen.line([(-w + 0.01, y), (0, y + 0.05, 1), (w - 0.01, y)], 0.026)
    if yoke:
        pen.line([(-w + 0.02, y0 + 0.32), (w - 0.02, y0 + 0.32)])
    if stripe:
        for side in (-1, 1):
            pen.line([(side * (w - 0.07), y0 + 0.34), (side * (foot - 0.07), end)], 0.05, pen.accent)
        pen.disc(0.2, y0 + 0.36, 0.04, pen.accent, 0)
    for side in ((-1,), (-1, 1))[pocket - 1] if pocket else ():
        x = -side * 0.22
        pen.fill([(x - 0.1, y0 + 0.4), (x + 0.1, y0 + 0.4), (x + 0.1, y0 + 0.62), (x, y0 + 0.66), (x - 0.1, y0 + 0.62)])
    if patch:
        for x in (-0.25, 0.25):
            y = y0 + (end - y0) * 0.66
            pen.line([(x - 0.1, y), (x + 0.1, y), (x + 0.1, y + 0.05), (x - 0.1, y + 0.05), (x - 0.1, y)])
    if pouch:
        pen.fill([(-0.22, 0.25), (0.22, 0.25), (0.32, 0.55), (0.32, 0.62), (-0.32, 0.62), (-0.32, 0.55)])
    if prints and rng.random() < 0.6:
        _print(pen, rng, y0)
    if belt:
        waist = y0 + (end - y0) * 0.45
        pen.fill([(-w, waist), (w, waist), (w, waist + 0.09), (-w, waist + 0.09)], pen.dark)
        pen.fill([(0.04, waist - 0.01), (0.2, waist - 0.01), (0.2, waist + 0.1), (0.04, waist + 0.1)], METAL)
    closure(pen, front, y0, end)
    neckline(pen, neck, y0, front)


def sleeves(pen: Pen, sleeve: str, w: float, y0: float, rib: bool, quilt: bool) -> None:
    reach = {"none": None, "strap": None, "cap": 0.25, "short": 0.5, "puff": 1.05, "long": 1.3}[sleeve]
    if reach is None:
        return
    out = w + (0.34 if sleeve in ("short", "cap") else 0.4)
    y = y0 + reach
    for side in (-1, 1):
        bulge = (side * (out + 0.16), y0 + 0.4, 1) if sleeve == "puff" else (side * (w + 0.2), y0 + 0.18, 1)
        pen.fill(
            [
                (side * (w - 0.08), y0 + 0.06),
                bulge,
                (side * out, y - 0.04),
                (side * (out - 0.2), y + 0.03),
                (side * (w - 0.04), y0 + 0.42),
            ],
        )
        if sleeve == "puff" or rib:
            path = [
                (side * out, y - 0.08),
                (side * out, y - 0.01),
                (side * (out - 0.2), y + 0.06),
                (side * (out - 0.21), y),
            ]
            pen.fill(path, pen.dark if rib else None)
        if quilt:
            for i in range(1, 6):
                share = i / 6
                x, yi = w + 0.08 + (out - w - 0.08) * share, y0 + 0.12 + reach * share
                pen.line([(side * (x - 0.18), yi + 0.05), (side * (x - 0.02), yi - 0.02)], 0.024)


def closure(pen: Pen, front: str, y0: float, end: float) -> None:
    if front in ("buttons", "zip", "single"):
        x = 0.05 if front == "single" else 0.0
        pen.line([(x, y0 + 0.1), (x, end)], 0.04 if front == "zip" else 0.02, METAL if front == "zip" else pen.dark)
    if front == "placket":
        pen.line([(0, y0), (0, y0 + 0.42)], 0.07, pen.dark)
    count = {"buttons": 6, "placket": 3, "single": 3, "double": 4}.get(front, 0)
    for i in range(count):
        y = y0 + (0.16 + i * 0.11 if front == "placket" else 0.22 + (end - y0 - 0.3) * i / 5)
        if front in ("single", "double"):
            y += 0.28
        for x in (-0.14, 0.14) if front == "double" else (0,):
            pen.disc(x, y, 0.026, pen.accent)
    if front == "biker":
        pen.line([(0.22, y0 + 0.05), (-0.06, y0 + 0.5), (-0.06, end)], 0.035, METAL)
        pen.line([(0.2, 0.1), (0.36, 0.02)], 0.03, METAL)
        for x in (-0.3, 0.3):
            pen.fill([(x * 0.5, y0), (x * 1.2, y0 + 0.22), (x * 0.4, y0 + 0.42)])


def neckline(pen: Pen, neck: str, y0: float, front: str) -> None:
    hole = mix(pen.color, (0, 0, 0), 0.55)
    if neck in ("crew", "hood"):
        pen.fill(oval(0, y0 + 0.04, 0.2, 0.085), pen.dark)
        pen.fill(oval(0, y0 + 0.02, 0.155, 0.055), hole, 0)
        if neck == "hood":
            for x in (-0.07, 0.07):
                pen.line([(x, y0 + 0.1), (x * 1.2, y0 + 0.42)], 0.022, pen.accent)
    elif neck == "scoop":
        pen.cut([(-0.2, y0 - 0.03), (-0.17, y0 + 0.36, 1), (0.17, y0 + 0.36, 1), (0.2, y0 - 0.03)])
    elif neck == "v":
        pen.fill([(-0.17, y0 - 0.02), (0, y0 + 0.04, 1), (0.17, y0 - 0.02), (0, y0 + 0.42)], hole, 0.03)
    elif neck == "turtle":
        pen.fill([(-0.17, y0 - 0.14), (0.17, y0 - 0.14), (0.2, y0 + 0.05), (0, y0 + 0.1, 1), (-0.2, y0 + 0.05)])
        if front == "zip":
            pen.line([(0, y0 - 0.14), (0, y0 + 0.12)], 0.04, METAL)
    elif neck == "collar":
        pen.fill(oval(0, y0 - 0.01, 0.15, 0.08), hole, 0)
        for side in (-1, 1):
            pen.fill([(side * 0.12, y0 - 0.08), (side * 0.26, y0 + 0.06), (side * 0.14, y0 + 0.2), (0, y0 + 0.07)])
    elif neck == "lapel":
        pen.fill([(-0.15, y0 - 0.03), (0.15, y0 - 0.03), (0.04, y0 + 0.5)], mix(pen.accent, (255, 255, 255), 0.5))
        for side in (-1, 1):
            tip, notch = (side * 0.32, y0 + 0.26), (side * 0.24, y0 + 0.22)
            pen.fill([(side * 0.13, y0 - 0.07), (side * 0.25, y0 + 0.06), notch, tip, (0.05, y0 + 0.52)])


def _print(pen: Pen, rng: random.Random, y0: float) -> None:
    y, r = y0 + 0.62, rng.uniform(0.12, 0.2)
    kind = rng.randrange(3)
    if kind == 0:
        pen.disc(0, y, r, pen.accent, 0)
    elif kind == 1:
        pen.fill([(-r, y - r), (r, y - r), (r, y + r), (-r, y + r)], pen.accent, 0)
    else:
        for i in range(3):
            pen.line([(-r * 1.3, y + i * 0.09), (r * 1.3, y + i * 0.09)], 0.045, pen.accent)
