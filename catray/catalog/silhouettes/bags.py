"""Bags, suitcases and wallets."""

from __future__ import annotations

import random

from catray.catalog.drawing import DARK, METAL, Pen, rectangle


def bag(pen: Pen, rng: random.Random, form: str = "handle") -> None:
    if form == "tote":
        w = rng.uniform(0.62, 0.72)
        pen.line([(-0.3, -0.2), (-0.34, -1.1, 1), (0.34, -1.1, 1), (0.3, -0.2)], 0.055, pen.dark)
        pen.fill([(-w - 0.1, -0.3), (w + 0.1, -0.3), (w, 0.85), (-w, 0.85)])
        for x in (-0.3, 0.3):
            pen.line([(x, -0.3), (x, -0.02)], 0.07)
    elif form == "clutch":
        h = rng.uniform(0.4, 0.5)
        pen.fill(rectangle(-0.92, -h, 0.92, h, 0.06))
        pen.fill([(-0.92, -h + 0.02), (0.92, -h + 0.02), (0.86, h * 0.2), (0, h * 0.5, 1), (-0.86, h * 0.2)])
        pen.disc(0, h * 0.3, 0.075, METAL)
    elif form == "bucket":
        pen.line([(-0.42, -0.2), (-0.5, -1.2, 1), (0.5, -1.2, 1), (0.42, -0.2)], 0.05, pen.dark)
        pen.fill(
            [
                (-0.46, -0.3),
                (0, -0.2, 1),
                (0.46, -0.3),
                (0.68, 0.3, 1),
                (0.56, 0.84),
                (0, 1.0, 1),
                (-0.56, 0.84),
                (-0.68, 0.3, 1),
            ]
        )
        pen.line([(-0.52, -0.08), (0, 0.04, 1), (0.52, -0.08)], 0.035, pen.accent)
        for x in (-0.1, 0.12):
            pen.line([(0, -0.02), (x, rng.uniform(0.25, 0.4))], 0.03, pen.accent)
    else:
        pen.line([(-0.34, -0.2), (-0.3, -0.86, 1), (0.3, -0.86, 1), (0.34, -0.2)], 0.08, pen.dark)
        pen.fill(
            [
                (-0.62, -0.3),
                (-0.5, -0.36, 1),
                (0.5, -0.36, 1),
                (0.62, -0.3),
                (0.88, 0.7),
                (0.8, 0.8, 1),
                (-0.8, 0.8, 1),
                (-0.88, 0.7),
            ]
        )
        pen.fill([(-0.64, -0.28), (0.64, -0.28), (0.6, 0.18), (0, 0.36, 1), (-0.6, 0.18)], pen.light)
        pen.fill(rectangle(-0.07, 0.14, 0.07, 0.34, 0.02), METAL)


def crossbody(pen: Pen, rng: random.Random) -> None:
    pen.line([(-0.5, 0.2), (-0.74, -1.5, 1), (0.74, -1.5, 1), (0.5, 0.2)], 0.032, pen.dark)
    round_ = rng.random() < 0.5
    pen.fill(rectangle(-0.56, -0.02, 0.56, 0.84, 0.3 if round_ else 0.1))
    pen.fill([(-0.56, 0.06), (0, -0.02, 1), (0.56, 0.06), (0.5, 0.4), (0, 0.56, 1), (-0.5, 0.4)], pen.light)
    pen.disc(0, 0.44, 0.05, METAL)


def backpack(pen: Pen, rng: random.Random) -> None:
    for side in (-1, 1):
        pen.line([(side * 0.4, -0.5), (side * 0.82, 0.0, 1), (side * 0.56, 0.7)], 0.09, pen.dark)
    pen.line([(-0.14, -0.74), (-0.12, -1.02, 1), (0.12, -1.02, 1), (0.14, -0.74)], 0.055, pen.dark)
    pen.fill([(-0.58, 0.9), (-0.62, -0.2), (-0.56, -0.85, 1), (0, -0.84), (0.56, -0.85, 1), (0.62, -0.2), (0.58, 0.9)])
    pen.fill(rectangle(-0.44, 0.14, 0.44, 0.78, 0.1), pen.accent if rng.random() < 0.4 else pen.light)
    pen.line([(-0.42, 0.28), (0.42, 0.28)], 0.03, METAL)
    pen.line([(-0.52, -0.1), (-0.46, -0.64, 1), (0, -0.62), (0.46, -0.64, 1), (0.52, -0.1)], 0.026)
    pen.fill(rectangle(-0.12, -0.35, 0.12, -0.2, 0.02), pen.accent)


def suitcase(pen: Pen, rng: random.Random) -> None:
    for x in (-0.2, 0.2):
        pen.line([(x, -0.5), (x, -0.96)], 0.035, (120, 122, 126))
    pen.line([(-0.24, -0.95), (0.24, -0.95)], 0.07, DARK)
    for x in (-0.4, 0.4):
        pen.disc(x, 0.92, 0.085, DARK)
    pen.fill(rectangle(-0.56, -0.58, 0.56, 0.88, 0.12))
    for i in range(1, 7):
        x = -0.56 + i * 0.16
        pen.line([(x, -0.5), (x, 0.8)], 0.028)
    pen.fill(rectangle(-0.16, -0.66, 0.16, -0.56, 0.03), DARK)


def duffel(pen: Pen, rng: random.Random) -> None:
    for x in (-0.34, 0.34):
        pen.line([(x - 0.02, 0.1), (x * 0.9, -0.86, 1), (x * 0.2, -0.62)], 0.05, pen.dark)
    pen.line([(-0.34, -0.2), (-0.26, -0.8, 1), (0.26, -0.8, 1), (0.34, -0.2)], 0.055, pen.dark)
    pen.fill(rectangle(-0.95, -0.34, 0.95, 0.56, 0.26))
    for x in (-0.36, 0.36):
        pen.fill(rectangle(x - 0.05, -0.34, x + 0.05, 0.56), pen.accent)
    pen.line([(-0.75, -0.24), (0.75, -0.24)], 0.03, METAL)


def wallet(pen: Pen, rng: random.Random) -> None:
    h = rng.uniform(0.48, 0.58)
    pen.fill(rectangle(-0.72, -h, 0.72, h, 0.06), pen.dark)
    pen.fill(rectangle(-0.74, -h + 0.04, 0.68, h + 0.04, 0.06))
    pen.line([(-0.68, -h + 0.11), (0.62, -h + 0.11)], 0.014, pen.light)
    pen.line([(-0.68, h - 0.03), (0.62, h - 0.03)], 0.014, pen.light)
    pen.fill(rectangle(0.3, -0.1, 0.74, 0.14, 0.06), pen.light)
    pen.disc(0.44, 0.02, 0.05, METAL)
