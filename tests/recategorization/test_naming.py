from __future__ import annotations

import numpy as np

from catray.recategorization.naming import Term, distinct_names, name_terms, terms_of


def test_terms_are_words_and_pairs_in_any_script() -> None:
    assert terms_of("Nike 2-in-1 Flip FLOPS, 40") == {"nike", "in", "flip", "flops", "nike in", "in flip", "flip flops"}
    assert "женские туфли" in terms_of("Женские туфли")
    assert "women's" in terms_of("Women's")
    assert terms_of("") == terms_of("12 - 34") == set()


def test_clusters_are_named_by_what_sets_them_apart() -> None:
    titles = [f"Acme men {c} flip flops" for c in ("red", "blue", "green")] * 4
    titles += [f"Acme women {c} heels" for c in ("red", "blue", "green")] * 6
    titles += ["Acme odd thing"] * 3
    labels = np.array([1] * 12 + [0] * 18 + [-1] * 3)
    terms = name_terms(titles, labels, 2)
    assert "heels" in terms[0][0].text
    assert any(t.text == "flip flops" for t in terms[1])
    assert not any(t.text in ("flip", "flops", "acme") for t in terms[1])  # the phrase says it; all have the brand
    best = terms[1][0]
    assert best.inside == 1.0
    assert best.outside == 0.0


def test_a_word_of_few_titles_comes_after_one_of_many() -> None:
    titles = ["sneaker"] * 18 + ["sneaker zoom"] * 2 + ["sneaker boot"] * 7 + ["boot"] * 13
    terms = name_terms(titles, np.array([0] * 20 + [1] * 20), 2)
    assert [term.text for term in terms[0]] == ["sneaker", "zoom"]


def test_untitled_clusters_are_named_all_the_same() -> None:
    terms = name_terms(["", "", "", ""], np.array([0, 0, 1, 1]), 2)
    assert terms == [[], []]
    assert distinct_names(terms) == ["Unnamed", "Unnamed (2)"]


def test_no_two_names_are_alike() -> None:
    shoe, red = Term("shoe", 1, 1, 0), Term("red", 0.5, 1, 0)
    assert distinct_names([[shoe], [shoe, red], [shoe], [shoe, red]]) == [
        "Shoe",
        "Shoe, red",
        "Shoe (3)",
        "Shoe, red (4)",
    ]
