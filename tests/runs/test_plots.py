"""The plots of a run work for data sets of any size."""

import matplotlib.image
import numpy as np
import pytest

from graphcl_hard.runs import plots as pictures


@pytest.mark.parametrize("graphs", [2, 4, 5, 40])
@pytest.mark.parametrize("columns", [1, 6])
def test_a_map_shows_every_class_in_its_colour(tmp_path, graphs, columns):
    embedding = np.random.default_rng(0).normal(size=(graphs, columns))
    pictures.embedding_map({"TOY": embedding}, np.arange(graphs) % 2, tmp_path / "map.png")
    picture = matplotlib.image.imread(tmp_path / "map.png")[..., :3]
    for colour in ("#1f77b4", "#ff7f0e"):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(picture - (0.75 * rgb + 0.25)).max(axis=-1) < 0.02).any()


def test_an_embedding_that_collapsed_to_one_point_still_has_a_map(tmp_path):
    pictures.embedding_map({"TOY": np.ones((12, 3))}, np.arange(12) % 3, tmp_path / "map.png")
    assert matplotlib.image.imread(tmp_path / "map.png").shape[2] == 4


def test_large_sets_are_mapped_by_pca(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_TSNE_GRAPHS", 10)
    monkeypatch.setattr(pictures, "TSNE", None)
    embedding = np.random.default_rng(0).normal(size=(11, 3))
    pictures.embedding_map({"TOY": embedding}, np.zeros(11, int), tmp_path / "map.png")
    assert (tmp_path / "map.png").exists()


def test_several_embeddings_lie_side_by_side(tmp_path):
    embedding = np.random.default_rng(0).normal(size=(20, 3))
    widths = []
    for names in (["a"], ["a", "b", "c"]):
        pictures.embedding_map(
            dict.fromkeys(names, embedding), np.arange(20) % 2, tmp_path / "map.png"
        )
        picture = matplotlib.image.imread(tmp_path / "map.png")[..., :3]
        orange = (
            np.abs(picture - (0.75 * np.array([255, 127, 14]) / 255 + 0.25)).max(axis=-1) < 0.02
        )
        thirds = np.array_split(orange.any(axis=0), len(names))
        assert all(third.any() for third in thirds)
        widths.append(picture.shape[1])
    assert widths[1] > 2.5 * widths[0]


@pytest.mark.parametrize("epochs", [1, 100])
def test_training_curves(tmp_path, epochs):
    pictures.training_curves(
        np.linspace(3, 1, epochs), np.linspace(0.2, 1, epochs), "TOY", tmp_path / "curves.png"
    )
    assert matplotlib.image.imread(tmp_path / "curves.png").shape[1] > 1000


def test_a_map_has_names_of_classes_a_scale_of_targets_and_grey_for_what_is_missing(
    tmp_path, monkeypatch
):
    figures, embedding = [], np.random.default_rng(0).normal(size=(12, 3))
    monkeypatch.setattr(pictures, "_save", lambda figure, path: figures.append(figure))
    missing = np.arange(12) % 3 == 2
    for y, classes in (
        (np.where(missing, -1, np.arange(12) % 3), ("acid", "base")),
        (np.where(missing, np.nan, np.arange(12) / 2), ()),
        (np.full(12, -1), ()),
    ):
        pictures.embedding_map({"TOY": embedding}, y, tmp_path / "map.png", classes=classes)
    texts = [
        [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        for figure in figures[:2]
    ]
    assert texts == [["no class", "class acid", "class base"], ["no target"]]
    assert [len(figure.axes) for figure in figures] == [1, 2, 1]  # the second has a scale
    assert figures[2].axes[0].get_legend() is None
