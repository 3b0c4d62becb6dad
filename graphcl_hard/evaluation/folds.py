"""The splits of a target's rows: numbered folds, those of a splitter, and given ones."""

import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from graphcl_hard.evaluation.checks import check_target_folds
from graphcl_hard.evaluation.splitters import PARTS, ScaffoldKFold, Split, murcko_scaffolds
from graphcl_hard.evaluation.targets import Target, as_array
from graphcl_hard.exceptions import InputError, first_line, short_repr

Ints = npt.NDArray[np.int64]
INNER_FOLDS = 5  # fewer if the smallest class of the training part has fewer rows
NONE = np.empty(0, dtype=np.int64)
_CV = "a number of folds, a splitter of scikit-learn, or a list of (train, test) positions or of Split"


class Folds:
    """The splits that `cv` asks for.

    Args:
        cv: number of folds, splitter of scikit-learn, `Split`, or iterable of `Split` or of (train, test).
        total: G, the number of rows of the vectors.
        groups: (G,), for a splitter.
        repeats: how often numbered folds are reshuffled.
        seed: of these shuffles.

    Raises:
        InputError: `cv` is nothing of this, positions are out of range or in two parts, or a part is empty.
    """

    def __init__(self, cv: Any, total: int, groups: Any, repeats: int, seed: int) -> None:
        self.cv, self.total, self.repeats, self.seed = cv, total, repeats, seed
        self.groups = None if groups is None else as_array(groups)
        if self.groups is not None and self.groups.shape != (total,):
            raise InputError(
                f"groups must have shape ({total},), got {self.groups.shape}; give one for each row."
            )
        no_split = (str, bytes, type, np.ndarray, Split)
        self.is_splitter = hasattr(cv, "split") and not isinstance(cv, no_split)
        self.given: list[Split] | None = None
        if isinstance(cv, Split):
            self.given = [self._check(cv, total)]
        elif isinstance(cv, PredefinedSplit):
            self.given = [self._check(Split(a, NONE, b), total) for a, b in cv.split()]
        elif isinstance(cv, Iterable) and not isinstance(cv, (str, bytes)):
            if not self.is_splitter:
                self.given = [self._check(self._parts(item), total) for item in cv]
        elif not self.is_splitter:
            if not isinstance(cv, Integral):
                raise InputError(f"`cv` must be {_CV}, got {short_repr(cv)}; 10 is usual.")
            if groups is not None:
                raise InputError(
                    "groups are for a splitter that keeps them together, got them with `cv` as a number; give "
                    "cv=GroupKFold(10), say."
                )
        if self.given is not None and not self.given:
            raise InputError("`cv` must have at least one split, got none; give one.")

    def of(self, target: Target) -> tuple[list[Split], int]:
        """Return the splits of a target, as positions among its rows, and how often the folds are repeated.

        Parts of given splits may be empty.
        """
        count = len(target.y)
        if self.given is not None:
            place = np.full(self.total, -1)
            place[target.rows] = np.arange(count)
            local = [
                Split(*(place[part][place[part] >= 0] for part in split)) for split in self.given
            ]
            return local, 1
        if self.is_splitter:
            groups = None if self.groups is None else self.groups[target.rows]
            try:
                pairs = list(self.cv.split(np.zeros((count, 1)), target.own, groups))
            except InputError:
                raise
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"`cv` {short_repr(self.cv)} cannot split {target.what}: {first_line(error).rstrip('.')}; give "
                    "another one."
                ) from error
            splits = [self._check(Split(train, NONE, test), count) for train, test in pairs]
            repeats = getattr(self.cv, "n_repeats", 1)
            return splits, repeats if len(splits) % repeats == 0 else 1
        check_target_folds(target, self.cv)
        kind = RepeatedStratifiedKFold if target.task == "classification" else RepeatedKFold
        outer = kind(n_splits=self.cv, n_repeats=self.repeats, random_state=self.seed)
        return [
            Split(train, NONE, test) for train, test in outer.split(np.zeros(count), target.y)
        ], self.repeats

    def groups_of(self, target: Target) -> Any:
        """Return the groups (K,) of the target's rows, which are scaffolds for `ScaffoldKFold`; None without any."""
        if self.groups is None:
            return None
        groups = self.groups[target.rows]
        is_smiles = isinstance(self.cv, ScaffoldKFold)
        return murcko_scaffolds(groups.tolist()) if is_smiles else groups

    def _parts(self, item: Any) -> Split:
        if isinstance(item, Split):
            return item
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise InputError(
                f"`cv` must be {_CV}, got an entry {short_repr(item)}; give (train, test)."
            )
        return Split(item[0], NONE, item[1])

    def _check(self, split: Split, total: int) -> Split:
        parts = [_positions(part, name, total) for part, name in zip(split, PARTS, strict=True)]
        used = np.zeros(total, dtype=np.int64)
        for part, name in zip(parts, PARTS, strict=True):
            if not len(part) and name != "valid":
                raise InputError(f"`cv` has an empty {name} part, but needs rows there; add some.")
            twice = part[used[part] > 0]
            if len(twice):
                raise InputError(
                    f"`cv` must have each row in one part of a split, got row {twice[0]} in {name} and another one; "
                    "leave it out of one."
                )
            values, counts = np.unique(part, return_counts=True)
            if (counts > 1).any():
                raise InputError(
                    f"`cv` must have each row once, got row {values[counts.argmax()]} {counts.max()} times in {name}; "
                    "leave out its repetitions."
                )
            used[part] = 1
        return Split(*parts)


def _positions(part: Any, name: str, total: int) -> Ints:
    """Return positions or a mask (total,) as positions."""
    array = as_array(part)
    if array.dtype.kind == "b":
        if array.shape != (total,):
            raise InputError(
                f"A mask in `cv` must have shape ({total},), got {array.shape}; give one entry for each row."
            )
        return np.flatnonzero(array)
    if not array.size:
        return NONE
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"The {name} part in `cv` must be positions, whole numbers (n,), got {short_repr(part)}; convert it."
        )
    if array.min() < 0 or array.max() >= total:
        wrong = array.min() if array.min() < 0 else array.max()
        raise InputError(
            f"The {name} part in `cv` must have positions in [0, {total - 1}], got {wrong}; correct it."
        )
    return array.astype(np.int64)


def inner_folds(
    target: Target, split: Split, seed: int, groups: Any = None
) -> list[tuple[Ints, Ints]]:
    """Return the (fitted, held out) positions among the target's rows that choose the probe's parameter.

    They are the training and the validation part if there is one. Otherwise they are folds of the training part, 5 or
    as many as its smallest class has rows, but at least 2; of measured values so many that each has 2 rows, since R2
    is undefined for one. Groups (K,) of the target's rows are kept together if the training part has at least 2.

    Raises:
        InputError: the training part is too small to be split.
    """
    train, valid, _ = split
    if len(valid):
        return [(train, valid)]
    y = target.y[train]
    groups = None if groups is None else groups[train]
    different = 0 if groups is None else len(np.unique(groups))
    if target.task == "classification":
        counts = np.bincount(y)
        counts = counts[counts > 0]
        folds, least = min(INNER_FOLDS, max(2, int(counts.min()))), int(counts.max())
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        folds, least = min(INNER_FOLDS, max(2, len(y) // 2)), len(y)
        splitter = KFold(folds, shuffle=True, random_state=seed)
    if least < 2:
        raise InputError(
            f"The training part of {target.what} has {len(y)} rows, too few for the inner folds that choose the "
            "probe's parameter; enlarge it, or give a Split with a validation part."
        )
    if different > 1:
        folds = min(folds, different)
        kind = StratifiedGroupKFold if target.task == "classification" else GroupKFold
        splitter = kind(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of classes with fewer rows than folds
        warnings.simplefilter("ignore", UserWarning)
        pairs = list(splitter.split(y, y, groups if different > 1 else None))
    # Of few groups of unequal sizes, stratified folds may be empty.
    return [(train[fitted], train[held_out]) for fitted, held_out in pairs if len(held_out)]
