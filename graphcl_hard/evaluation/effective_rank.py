"""The effective rank of an embedding: how many dimensions it really uses."""

import numpy as np
import numpy.typing as npt

from graphcl_hard.evaluation.rounding import flatten_constants, float32_columns


def effective_rank(embedding: npt.NDArray[np.floating]) -> float:
    r"""Return the effective rank of the standardised columns of an embedding (G, D), between 0 and min(G, D).

    .. math:: \exp\Big(-\sum_k p_k \log p_k\Big), \qquad p_k = \sigma_k / \textstyle\sum_j \sigma_j

    where :math:`\sigma` are the singular values of the columns, standardised to mean 0 and standard deviation 1 as for
    the SVM (columns that are constant, exactly or up to rounding, become 0). The result is 0 if all rows are equal; it
    is computed in float64.

    Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    columns = np.array(embedding, dtype=np.float64)
    flatten_constants(columns, columns, float32_columns(columns))
    columns = columns - columns.mean(axis=0)
    std = columns.std(axis=0)
    # The standard deviation of a constant column may be positive, since its mean is rounded.
    constant = std <= 1e-12 * np.abs(embedding).max(initial=0.0)
    columns = np.where(constant, 0.0, columns / np.where(constant, 1.0, std))
    singular = np.linalg.svd(columns, compute_uv=False)
    if not singular.sum() > 0:
        return 0.0
    share = singular[singular > 0] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
