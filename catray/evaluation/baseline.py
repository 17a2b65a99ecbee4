"""The reference that every model must beat: TF-IDF and a linear SVM over whole paths, on the text alone.

Flat: it knows nothing of the tree, so a path that it never saw it never answers with. Strong all the same: on clean
titles of shops that it was trained on, few neural models are better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catray.errors import CatrayError
from catray.evaluation.metrics import group_weights, lca_level
from catray.taxonomy import Taxonomy

MANY = 5000
"""Training texts from which on an n-gram must occur twice: the weights (paths x n-grams, float64) stay in memory."""


def tfidf_svm(train_texts: Sequence[str], train_nodes: np.ndarray, test_texts: Sequence[str], seed: int) -> np.ndarray:
    """Predicted node of each of the m test texts, (m,) int64; `train_nodes` (n,) are nodes.

    Words and pairs of words, lower case, 1 + log tf, L2 norm; LinearSVC with C = 1, one against the rest. A text
    without a known word gets the SVM's bias: about the commonest path. Where there is nothing to choose between (one
    path, or no word in the training texts), all get the commonest path.

    Errors: CatrayError without a training text.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    nodes = np.asarray(train_nodes, dtype=np.int64)
    if not len(nodes):
        raise CatrayError("no labelled product to fit TF-IDF + linear SVM on")
    classes, counts = np.unique(nodes, return_counts=True)
    commonest = np.full(len(test_texts), classes[counts.argmax()], dtype=np.int64)
    if not len(test_texts) or len(classes) == 1:
        return commonest
    least = 2 if len(nodes) >= MANY else 1
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), lowercase=True, sublinear_tf=True, min_df=least, dtype=np.float64)
    try:
        features = vectorizer.fit_transform(train_texts)
    except ValueError:  # an empty vocabulary
        return commonest
    svm = LinearSVC(dual=True, random_state=seed).fit(features, nodes)
    return np.asarray(svm.predict(vectorizer.transform(test_texts)), dtype=np.int64)


def gain(
    taxonomy: Taxonomy,
    truth: np.ndarray,
    predicted: np.ndarray,
    reference: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """hF of `predicted` minus hF of `reference` on the same n products: (difference, low, high), 95 % percentiles.

    Paired: each resample draws whole groups for both, so that what is hard for both cancels. Bounds are NaN for no
    resamples. Nodes are (n,), -1 where a model abstained.
    """
    level = np.append(taxonomy.level, 0)

    def sums(nodes: np.ndarray) -> np.ndarray:
        return np.stack([2 * lca_level(taxonomy, truth, nodes), level[truth] + level[nodes]], axis=1).astype(float)

    def difference(weights: np.ndarray) -> float:
        (ours, of_ours), (theirs, of_theirs) = weights @ sums_ours, weights @ sums_theirs
        return float(ours / of_ours - theirs / of_theirs)

    sums_ours, sums_theirs = sums(predicted), sums(reference)
    samples = [difference(weights) for weights in group_weights(groups, len(truth), resamples, seed)]
    low, high = np.quantile(samples, (0.025, 0.975)) if samples else (np.nan, np.nan)
    return difference(np.ones(len(truth))), float(low), float(high)
