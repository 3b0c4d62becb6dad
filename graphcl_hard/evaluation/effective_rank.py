"""How many dimensions an embedding really uses."""

import numpy as np
import numpy.typing as npt


def effective_rank(embedding: npt.NDArray[np.floating]) -> float:
    r"""The effective rank of the standardised columns of an embedding (G, D), between 0 and min(G, D).

    .. math:: \exp\Big(-\sum_k p_k \log p_k\Big), \qquad p_k = \sigma_k / \textstyle\sum_j \sigma_j

    with the singular values :math:`\sigma` of the columns, each moved to mean 0 and scaled to deviation 1 (constant
    columns stay 0), as an SVM with standardised inputs sees them. 0 where all rows are equal; computed in float64.

    Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    columns = np.asarray(embedding, dtype=np.float64)
    columns = columns - columns.mean(axis=0)
    deviation = columns.std(axis=0)
    # A constant column differs from its own rounded mean by an ulp or so, which is no deviation.
    constant = deviation <= 1e-12 * np.abs(embedding).max(initial=0.0)
    columns = np.where(constant, 0.0, columns / np.where(constant, 1.0, deviation))
    singular = np.linalg.svd(columns, compute_uv=False)
    if not singular.sum() > 0:
        return 0.0
    share = singular[singular > 0] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
