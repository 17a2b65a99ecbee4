import math

from hypothesis import given
from hypothesis import strategies as st

from catray.serving.cascade import answers, needs_text

probabilities = st.floats(0, 1)
asks = st.sampled_from([None, "text", "full"])


def test_the_table() -> None:
    def stage(has_text: bool, has_image: bool, probability: float | None) -> str | None:
        return answers(has_text=has_text, has_image=has_image, probability=probability, threshold=0.9)

    assert stage(True, True, 0.95) == "text"
    assert stage(True, True, 0.9) == "text"
    assert stage(True, True, 0.89) == "full"
    assert stage(True, True, math.nan) == "full"
    assert stage(True, False, 0.1) == "text"  # without a picture the full stage has nothing to add
    assert stage(True, False, None) == "full"  # a model without a text stage, or the stage is down
    assert stage(False, True, None) == "full"
    assert stage(False, False, None) is None


@given(st.booleans(), st.booleans(), st.none() | probabilities, probabilities, asks)
def test_a_stage_that_answers_can(has_text, has_image, probability, threshold, asked) -> None:
    stage = answers(has_text=has_text, has_image=has_image, probability=probability, threshold=threshold, asked=asked)
    assert stage in (None, "text", "full")
    if stage == "text":
        assert has_text and probability is not None
    if stage == "full":
        assert has_text or has_image
    if stage is not None and asked:
        assert stage == asked
    if not (has_text or has_image):
        assert stage is None


@given(probabilities, probabilities, probabilities)
def test_a_lower_threshold_never_escalates_more(probability, one, other) -> None:
    low, high = sorted((one, other))
    stages = [answers(has_text=True, has_image=True, probability=probability, threshold=t) for t in (low, high)]
    assert stages != ["full", "text"]


@given(st.booleans(), asks)
def test_the_text_stage_is_asked_where_it_can_count(has_text, asked) -> None:
    assert needs_text(has_text=has_text, asked=asked) == (has_text and asked != "full")
