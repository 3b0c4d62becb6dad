"""The plots of a run: its training curves and a map of its embedding."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from graphcl_hard.evaluation.rounding import flatten_constants, float32_columns
from graphcl_hard.io.atomic_write import atomic_write

MAX_TSNE_GRAPHS = 3000  # for more graphs t-SNE takes minutes, and PCA shows as much


def training_curves(
    losses: Sequence[float], effective_negatives: Sequence[float], title: str, path: Path
) -> None:
    """Plot the loss and the share of effective negatives over the epochs into a PNG file.

    Args:
        losses: the loss of each finished epoch.
        effective_negatives: the share in (0, 1] of each finished epoch.
        title: title of the figure.
        path: the file to write.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(losses) + 1)
    marker = "o" if len(losses) <= 40 else ""
    left.plot(epochs, losses, color="#1b6ca8", marker=marker, markersize=4)
    left.set(xlabel="epoch", ylabel="loss")
    right.plot(epochs, effective_negatives, color="#b8461b", marker=marker, markersize=4)
    right.set(xlabel="epoch", ylabel="effective negatives (share of all)", ylim=(0, 1.05))
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def embedding_map(
    embeddings: Mapping[str, npt.NDArray[np.floating]],
    y: npt.NDArray[Any],
    path: Path,
    seed: int = 0,
    classes: Sequence[int | str] = (),
    target: str = "target",
) -> None:
    """Plot the graphs in two dimensions, coloured by label, into a PNG file with one panel for each embedding.

    Args:
        embeddings: title of the panel -> (G, D) embedding.
        y: (G,) numbers of classes, negative where the label is missing; or float measured targets, NaN where missing.
        path: the file to write.
        seed: seed of t-SNE.
        classes: names of the classes for the legend; by default their numbers.
        target: name of the measured target.
    """
    figure = Figure(figsize=(0.4 + 5.6 * len(embeddings), 5.2), layout="constrained")
    panels = figure.subplots(1, len(embeddings), squeeze=False)[0]
    measured = y.dtype.kind == "f"
    missing = np.isnan(y) if measured else y < 0
    numbers = [] if measured else np.unique(y[~missing]).tolist()
    for axes, (title, embedding) in zip(panels, embeddings.items(), strict=True):
        points, method = _in_two_dimensions(embedding, seed)
        style: dict[str, Any] = {"s": 18, "alpha": 0.75, "linewidths": 0}
        axes.scatter(
            *points[missing].T,
            **style,
            color="#9a9a9a",
            label=f"no {'target' if measured else 'class'}" if missing.any() else None,
        )
        if measured:
            shown = axes.scatter(*points[~missing].T, **style, c=y[~missing], cmap="viridis")
        for k, number in enumerate(numbers):
            # People with red-green colour blindness can distinguish the first colours of tab10.
            name = classes[number] if classes else number
            axes.scatter(*points[y == number].T, **style, color=f"C{k % 10}", label=f"class {name}")
        axes.set(xticks=[], yticks=[], title=f"{title} ({method})")
        axes.title.set_fontsize(11)
    if measured:
        figure.colorbar(shown, ax=list(panels), label=target)
    if len(numbers) <= 12 and (numbers or (measured and missing.any())):
        panels[-1].legend(frameon=False, fontsize=9)
    _save(figure, path)


def _in_two_dimensions(
    embedding: npt.NDArray[np.floating], seed: int
) -> tuple[npt.NDArray[np.floating], str]:
    """Return (G, 2) coordinates of an embedding (G, D), and the name of the method.

    The method is t-SNE, or PCA for fewer than 5 or more than 3000 graphs or if all graphs coincide; both are applied to
    standardised columns.
    """
    graphs = len(embedding)
    columns = embedding.copy()
    flatten_constants(columns, columns, float32_columns(embedding))
    columns = StandardScaler().fit_transform(columns)
    with warnings.catch_warnings():
        # PCA divides by the variance, which is 0 if all graphs coincide.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = PCA(min(2, *columns.shape), random_state=seed).fit_transform(columns)
    points = np.zeros((graphs, 2))
    points[:, : found.shape[1]] = found
    spread = points[:, 0].std()
    if not 5 <= graphs <= MAX_TSNE_GRAPHS or not spread > 0:  # t-SNE fails without variance
        return points, "PCA"
    tsne = TSNE(
        perplexity=min(30.0, (graphs - 1) / 3), init=points / spread * 1e-4, random_state=seed
    )
    # One thread, since on a busy machine the short parallel loops of t-SNE wait longer for each other than they run.
    with threadpool_limits(1):
        return tsne.fit_transform(columns), "t-SNE"


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=130)
