"""The pictures of a run are drawn for sets of any size."""

import matplotlib.image
import numpy as np
import pytest

from graphcl_hard import pictures


@pytest.mark.parametrize("graphs", [2, 4, 5, 40])
@pytest.mark.parametrize("columns", [1, 6])
def test_a_map_shows_every_class_in_its_colour(tmp_path, graphs, columns):
    embedding = np.random.default_rng(0).normal(size=(graphs, columns))
    pictures.embedding_map(embedding, np.arange(graphs) % 2, "TOY", tmp_path / "map.png")
    picture = matplotlib.image.imread(tmp_path / "map.png")[..., :3]
    for colour in ("#1f77b4", "#ff7f0e"):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(picture - (0.75 * rgb + 0.25)).max(axis=-1) < 0.02).any()


def test_an_embedding_that_collapsed_to_one_point_still_has_a_map(tmp_path):
    pictures.embedding_map(np.ones((12, 3)), np.arange(12) % 3, "TOY", tmp_path / "map.png")
    assert matplotlib.image.imread(tmp_path / "map.png").shape[2] == 4


def test_large_sets_are_mapped_by_pca(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_TSNE_GRAPHS", 10)
    monkeypatch.setattr(pictures, "TSNE", None)
    pictures.embedding_map(
        np.random.default_rng(0).normal(size=(11, 3)), np.zeros(11, int), "TOY", tmp_path / "map.png"
    )
    assert (tmp_path / "map.png").exists()


@pytest.mark.parametrize("epochs", [1, 100])
def test_training_curves(tmp_path, epochs):
    pictures.training_curves(np.linspace(3, 1, epochs), np.linspace(0.2, 1, epochs), "TOY", tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").shape[1] > 1000
