"""Score the vectors of a cell as a run does, by classes; or by measured targets, which may be several."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.scores import CrossValidation
from graphcl_hard.exceptions import InputError
from graphcl_hard.runs.results import labelled, predicted_classes
from graphcl_hard.sweeps.run_record import compact


def score_vectors(
    vectors: npt.NDArray[Any],
    graphs: GraphData,
    config: Config,
    threads: int,
    probes: Mapping[str, Any] | None = None,
    scoring: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return "scores" and "test_sizes" of a record, for epoch "0".

    Measured values have the scores of `cross_validate` by name, each the mean over the targets.

    Args:
        vectors: (G, D) numbers.
        graphs: G graphs, with classes or measured targets.
        config: with folds, repeats, seed, scale and probes.
        threads: of the cross-validation.
        probes: name -> probe; None: those of the settings.
        scoring: names of scores; None: those of `cross_validate`.

    Raises:
        InputError: the labels cannot be folded, or the first score is undefined in a fold.
    """
    held = labelled(graphs)
    scores, sizes = {}, []
    for name, probe in (probes or {name: name for name in config.probes}).items():
        (found,) = cross_validate(
            vectors[held.rows],
            held.y,
            probe=probe,
            scoring=scoring,
            cv=config.folds,
            task=held.task,
            repeats=config.repeats,
            seed=config.seed,
            scale=config.scale,
            max_c=config.max_c,
            n_jobs=threads,
        ).values()
        if graphs.classes:
            predicted = predicted_classes(found, held.y).tolist()
            scores[name] = {"0": compact({**found.to_dict(), "predicted": predicted})}
        else:
            scores[name] = {"0": _by_name(found)}
        sizes = sum(target.test_sizes for target in found.targets.values()).tolist()  # type: ignore[union-attr]
    labels = {"labels": held.y.tolist()} if graphs.classes else {}
    return {"scores": scores, "test_sizes": sizes, **labels}


def _by_name(found: CrossValidation) -> dict[str, Any]:
    """Return each score on every fold, and the mean over the inner folds of the first one."""
    first = next(iter(found.scores))
    if np.isnan(found.scores[first]).any():
        raise InputError(
            f"The score {first} is undefined in a fold where all test graphs have the same label; take fewer `folds`."
        )
    inner = np.stack([target.inner_score for target in found.targets.values()])
    return {
        "score": first,
        "folds": {name: _rounded(values) for name, values in found.scores.items()},
        "inner_score": _rounded(inner.mean(axis=0)),
    }


def _rounded(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(one) else round(one, 6) for one in row] for row in values.tolist()]
