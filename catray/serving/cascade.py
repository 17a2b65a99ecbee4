"""The cascade's policy: which of two stages answers for a product. Pure Python; batch and service both ask here.

The light text stage answers what it is sure of; the full stage takes the rest. What the full stage adds is the picture,
so a product without one stays with the text stage, however unsure: a second forward pass would cost and tell no more.
"""

from __future__ import annotations

from typing import Literal

Stage = Literal["text", "full"]


def needs_text(*, has_text: bool, asked: Stage | None = None) -> bool:
    """Whether to ask the text stage at all."""
    return has_text and asked != "full"


def answers(
    *, has_text: bool, has_image: bool, probability: float | None, threshold: float, asked: Stage | None = None
) -> Stage | None:
    """The stage whose answer counts; None: nobody can say anything (abstained).

    probability: the text stage's joint probability of its path, None where it gave no answer (no text, or it is down).
    has_image: there is a picture, and the model reads pictures. asked: the stage that the request wants, if any.
    """
    if not (has_text or has_image):
        return None
    if asked == "text":
        return "text" if has_text and probability is not None else None
    if asked == "full" or not has_text or probability is None:
        return "full"
    sure = probability >= threshold  # false for NaN
    return "text" if sure or not has_image else "full"
