r"""Columns of vectors that are constant up to rounding, which standardising would blow up.

An encoder computes in float32. A column that is the same number c for all training rows then comes out as
:math:`c (1 + \delta)` with other roundings :math:`\delta` in each batch. `StandardScaler` looks for constants of
float64: it takes the roundings for a spread, scales them to a standard deviation of 1, and a test row in which the
column really differs is millions of standard deviations off.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

EPS = float(np.finfo(np.float32).eps)
LARGEST_EXACT = 2**24
"""All whole numbers below it are numbers of float32."""
ROUNDING = 16 * EPS
"""Largest standard deviation, relative to the mean, that rounding explains: see `flatten_constants`."""

Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


def float32_columns(vectors: npt.NDArray[Any]) -> Mask:
    """Return which columns (D,) of vectors (G, D) were computed in float32, by their values.

    They are those of which each value is a number of float32, so that a widened array is recognised too, and one is not
    a whole number below 2**24: counts, years and identifiers are exact. Numbers read from text are decimals, which are
    float64.

    Examples:
        >>> import numpy as np
        >>> vectors = np.array([[0.1, 2020], [0.2, 2021]])
        >>> float32_columns(vectors), float32_columns(vectors.astype(np.float32).astype(float))
        (array([False, False]), array([ True, False]))
    """
    with np.errstate(over="ignore"):
        are_single = (vectors == vectors.astype(np.float32)).all(axis=0)
    are_exact = ((vectors == np.rint(vectors)) & (np.abs(vectors) < LARGEST_EXACT)).all(axis=0)
    found: Mask = are_single & ~are_exact
    return found


def flatten_constants(fit: Floats, new: Floats, single: Mask) -> None:
    r"""Set columns that are constant up to rounding to 0, in both arrays, in place.

    They then add nothing to any model. A column with mean :math:`\mu` and standard deviation :math:`\sigma` over the
    rows to fit is one of them if

    .. math:: \sigma \le 16\,\epsilon\,|\mu| ,

    where :math:`\epsilon = 2^{-23}` is the machine epsilon of float32. A sum of n rounded terms has an error of about
    :math:`\sqrt n\,\epsilon / 2` times the sum of their absolute values, 11 :math:`\epsilon` for the 512 channels of a
    layer. Where these terms cancel, the error is a larger multiple of the sum, and the column is kept: it cannot be
    distinguished from one whose unit makes its spread small beside its mean, such as a temperature in kelvin.
    Columns that are exactly constant stay as they are, as scikit-learn treats them.

    Args:
        fit: (N, D) the rows to fit.
        new: (M, D) the rows to predict.
        single: (D,) which columns were computed in float32, see `float32_columns`; others stay as they are.

    Source: Higham and Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019.
    """
    places = np.flatnonzero(single)
    if not (len(places) and len(fit)):
        return
    columns = fit if len(places) == fit.shape[1] else fit[:, places]
    mean, std = np.abs(columns.mean(axis=0, dtype=float)), columns.std(axis=0, dtype=float)
    constant = (std <= ROUNDING * mean) & (columns != columns[0]).any(axis=0)
    flat = places[constant]
    new[:, flat] = fit[:, flat] = 0
