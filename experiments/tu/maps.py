"""Maps of the embeddings of each data set, untrained and trained by several methods."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.io.file_names import EMBEDDINGS
from graphcl_hard.runs.plots import embedding_map


def draw_maps(runs: Path, out: Path, methods: Sequence[str], seed: int = 0) -> None:
    """Draw maps/<data set>.png under `out`, with a panel for untrained and for each method, on the log scale.

    Data sets that have no such runs, or whose map is newer than the runs, are left out.

    Args:
        runs: the folder of run folders, <data set>/<method>/seed-<k>.
        out: where the report goes.
        methods: the methods' names, in the order of the panels.
        seed: the seed of the runs and of the maps.
    """
    for dataset in (
        sorted(path.name for path in runs.iterdir() if path.is_dir()) if runs.exists() else ()
    ):
        paths = {
            m: runs / dataset / m / f"seed-{seed}" / EMBEDDINGS for m in ("untrained", *methods)
        }
        target = out / "maps" / f"{dataset}.png"
        if not all(path.exists() for path in paths.values()):
            continue
        if target.exists() and target.stat().st_mtime > max(
            path.stat().st_mtime for path in paths.values()
        ):
            continue
        panels = {}
        for method, path in paths.items():
            with np.load(path) as arrays:
                classes, y = np.unique(arrays["y"], return_inverse=True)
                embedding = arrays["untrained" if method == "untrained" else "trained"]
                panels[f"{dataset}, {method}"] = rescale(embedding, "log")
        target.parent.mkdir(parents=True, exist_ok=True)
        embedding_map(panels, y, target, seed, classes.tolist())
