"""Maps of the embeddings: what training does to a set, method beside method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphcl_hard.pictures import embedding_map
from graphcl_hard.records import EMBEDDINGS


def draw_maps(runs: Path, out: Path, datasets: Sequence[str], methods: Sequence[str], seed: int = 0) -> list[Path]:
    """Draw maps/<data set>.png under `out`, untrained and each method of one seed side by side.

    Args:
        runs: the folder of run folders, <data set>/<method>/seed-<k>.
        out: where the report goes.
        datasets: the sets; one of which a run is missing is left out.
        methods: the methods' names, in the order of the panels.
        seed: the seed of the runs and of the maps.

    Returns:
        The files written.
    """
    written = []
    for dataset in datasets:
        paths = {m: runs / dataset / m / f"seed-{seed}" / EMBEDDINGS for m in ("untrained", *methods)}
        if not all(path.exists() for path in paths.values()):
            continue
        panels = {}
        for method, path in paths.items():
            with np.load(path) as arrays:
                labels = arrays["y"]
                panels[f"{dataset}, {method}"] = arrays["untrained" if method == "untrained" else "trained"]
        target = out / "maps" / f"{dataset}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        embedding_map(panels, labels, target, seed)
        written.append(target)
    return written
