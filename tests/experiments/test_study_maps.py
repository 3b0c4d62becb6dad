"""Maps of the study's embeddings."""

import os

import matplotlib.image
import numpy as np

from experiments.tu.maps import draw_maps


def run_folder(folder, **arrays):
    folder.mkdir(parents=True)
    np.savez(folder / "embeddings.npz", y=np.arange(12) % 2, **arrays)


def test_each_set_with_all_methods_has_a_map_and_old_maps_are_drawn_again(tmp_path):
    embedding = np.random.default_rng(0).normal(size=(12, 3))
    run_folder(tmp_path / "runs" / "A" / "untrained" / "seed-0", untrained=embedding)
    run_folder(tmp_path / "runs" / "A" / "hard" / "seed-0", trained=embedding)
    run_folder(tmp_path / "runs" / "B" / "untrained" / "seed-0", untrained=embedding)
    draw_maps(tmp_path / "runs", tmp_path / "out", ["hard"])
    assert [path.name for path in (tmp_path / "out" / "maps").iterdir()] == ["A.png"]
    picture = tmp_path / "out" / "maps" / "A.png"
    assert (
        matplotlib.image.imread(picture).shape[1] > 1.5 * matplotlib.image.imread(picture).shape[0]
    )
    before = picture.stat().st_mtime_ns
    draw_maps(tmp_path / "runs", tmp_path / "out", ["hard"])
    assert picture.stat().st_mtime_ns == before
    later = before / 1e9 + 100
    os.utime(tmp_path / "runs" / "A" / "hard" / "seed-0" / "embeddings.npz", (later, later))
    draw_maps(tmp_path / "runs", tmp_path / "out", ["hard"])
    assert picture.stat().st_mtime_ns > before
