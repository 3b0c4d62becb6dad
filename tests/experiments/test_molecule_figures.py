"""What the figures of the study of molecules draw."""

from experiments.molecules.datasets import CLASSIFICATION, REGRESSION
from experiments.molecules.figures import points, width_figure

DATASETS = (*CLASSIFICATION, *REGRESSION)


def record(name, dataset, split, score, seed=0, columns=128):
    return {
        "representation": name,
        "dataset": dataset,
        "split": split,
        "score": score,
        "seed": seed,
        "columns": columns,
        "part": "valid",
        "head": "gcv",
    }


def study(name, base, seeds, columns):
    return [
        record(name, dataset, split, base + 0.1 * seed + 0.01 * number, seed, columns)
        for seed in seeds
        for number, split in enumerate(("inner-0", "inner-1"))
        for dataset in DATASETS
    ]


def test_a_seed_that_lacks_a_data_set_or_split_has_no_point():
    records = study("untrained-32", 0.5, (0, 1), 128)
    found = points(records[:-1], ("untrained-32",), REGRESSION)
    assert list(found["untrained-32"]) == [0]
    assert abs(found["untrained-32"][0] - 0.505) < 1e-12
    assert set(points(records[:-1], ("untrained-32",), CLASSIFICATION)["untrained-32"]) == {0, 1}
    assert points(records, ("ecfp",), CLASSIFICATION) == {}


def test_widths_are_drawn_in_order_with_a_point_for_each_seed():
    records = study("untrained-64", 0.6, (0, 1), 256) + study("untrained-32", 0.5, (0,), 128)
    figure = width_figure(records + study("ecfp", 0.7, (0,), 2048)).figure
    left = figure.axes[0]
    lines = [(line.get_xdata(), line.get_ydata()) for line in left.lines]
    assert [list(x) for x, _ in lines] == [[128, 256], [256, 256], [2048]]
    assert [[round(value, 6) for value in y] for _, y in lines] == [
        [0.505, 0.655],
        [0.605, 0.705],
        [0.705],
    ]
    assert width_figure([]) is None
