"""Runs on TU folders without labels, with measured targets, and with files that may not fit together."""

import csv

import numpy as np
import pytest
from helpers.runs import SMALL

from graphcl_hard import convert, embed
from graphcl_hard.run import main


def write(folder, labels=None, edges=("{0}, {1}", "{1}, {0}")):
    """Sixteen paths of 3 nodes."""
    folder.mkdir()
    first_nodes = [(node, node + 1) for node in range(1, 49) if node % 3]
    files = {
        "A": [edge.format(*pair) for pair in first_nodes for edge in edges],
        "graph_indicator": [node // 3 + 1 for node in range(48)],
        "graph_labels": labels,
    }
    for kind, lines in files.items():
        if lines is not None:
            (folder / f"my set_{kind}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.mark.parametrize("labels", [None, np.linspace(-1.2, 0.37, 16), ["", 1] * 8])
def test_a_folder_without_classes_is_trained_on_and_embedded(tmp_path, capsys, labels):
    data = write(tmp_path / "größe 図", labels)
    out = tmp_path / "run"
    words = [*SMALL, "--no-evaluate", "--no-pictures", "--quiet", "--out", str(out)]
    assert main(["--dataset", str(data), *words]) == 0
    vectors = tmp_path / "vectors.csv"
    assert embed.main([str(out), "--data", str(data), "--out", str(vectors), "--quiet"]) == 0
    with vectors.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 17)]
    if labels is None:
        assert "y" not in rows[0]
    else:
        wanted = ["nan" if label == "" else float(label) for label in labels]
        found = ["nan" if row["y"] in ("", "nan") else float(row["y"]) for row in rows]
        assert found == wanted
    assert "Traceback" not in capsys.readouterr().err


def test_a_warning_of_the_folder_is_one_line(tmp_path, capsys):
    data = write(tmp_path / "mine", edges=["{0}, {1}"])
    out = tmp_path / "run"
    words = [*SMALL, "--no-evaluate", "--no-pictures", "--quiet", "--out", str(out)]
    commands = [
        lambda: main(["--dataset", str(data), *words]),
        lambda: embed.main([str(out), "--data", str(data), "--out", str(tmp_path / "v.npz")]),
        lambda: convert.main([str(data), "--out", str(tmp_path / "shards")]),
    ]
    for command in commands:
        assert command() == 0
        warned = [line for line in capsys.readouterr().err.splitlines() if "one direction" in line]
        assert len(warned) == 1
        start = (
            f"warning: {data / 'my set_A.txt'} lists 32 of 32 edges in one direction only (line 1:"
        )
        assert warned[0].startswith(start)
