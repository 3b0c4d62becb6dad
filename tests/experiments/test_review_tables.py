"""The review of the first study: its tables are those of the committed records, its numbers those of the formulas."""

import math

import pytest
from scipy import stats

from experiments.hardness.review import graphcl_claim, old_study, tests_question, treatment
from experiments.hardness.review.__main__ import TABLES, tables
from experiments.tu.families import SETS
from graphcl_hard import HardInfoGraph, load_graphs
from graphcl_hard.config import Config
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.sweeps.report.files import write_table
from graphcl_hard.training.build import build_model


def fold_differences(first, second, dataset):
    """A list of differences of fold accuracies for each seed that both methods have."""
    accuracies = [
        {
            record["seed"]: [
                correct / size
                for correct, size in zip(
                    record["scores"]["svm"][str(record["last_epoch"])]["correct"][0],
                    record["test_sizes"][0],
                    strict=True,
                )
            ]
            for record in old_study.records_of(dataset, method)
        }
        for method in (first, second)
    ]
    seeds = sorted(accuracies[0].keys() & accuracies[1].keys())
    return [
        [a - b for a, b in zip(accuracies[0][seed], accuracies[1][seed], strict=True)]
        for seed in seeds
    ]


@pytest.mark.slow
def test_the_committed_tables_are_those_of_the_records(tmp_path):
    written = [path for table in tables() for path in write_table(table, tmp_path)]
    for path in written:
        assert path.read_bytes() == (TABLES / path.name).read_bytes(), path.name


def test_the_old_test_and_the_seeds_against_plain_loops():
    old, seeds = tests_question.old_effects(), tests_question.seed_effects()
    squares = []
    for dataset in SETS:
        by_seed = fold_differences(old_study.HARD, old_study.UNIFORM, dataset)
        folds = [one for row in by_seed for one in row]
        mean = sum(folds) / len(folds)
        variance = sum((one - mean) ** 2 for one in folds) / (len(folds) - 1)
        t = mean / math.sqrt((1 / len(folds) + 1 / 9) * variance)
        squares.append(t**2)
        assert old[dataset].mean == pytest.approx(mean, abs=1e-12)
        assert old[dataset].mean / old[dataset].se == pytest.approx(t)
        half = stats.t.ppf(0.975, len(folds) - 1) * old[dataset].se
        assert old[dataset].high == pytest.approx(mean + half)
        means = [sum(row) / len(row) for row in by_seed]
        spread = sum((one - mean) ** 2 for one in means) / (len(means) - 1)
        assert seeds[dataset].se == pytest.approx(math.sqrt(spread / len(means)))
        assert seeds[dataset].df == len(means) - 1
    found = tests_question.root_mean_square_t(old)
    assert found == pytest.approx(math.sqrt(sum(squares) / len(SETS)))
    assert round(found, 2) == 0.22  # the review's number


def test_graphcl_against_the_control_of_infograph_by_plain_loops():
    table = graphcl_claim.graphcl_table().values.set_index(["variant", "control"])
    for variant, control, above in (
        ("graphcl-uniform", "bn-only", 5),
        ("graphcl-uniform", "graphcl-bn-only", 7),
        ("graphcl-hard", "graphcl-bn-only", 8),
    ):
        gaps = []
        for dataset in SETS:
            folds = [one for row in fold_differences(variant, control, dataset) for one in row]
            gaps.append(100 * sum(folds) / len(folds))
        found = table.loc[(variant, control)]
        assert found["above"] == sum(gap > 0 for gap in gaps) == above
        assert found["mean"] == pytest.approx(sum(gaps) / len(gaps))
        assert found["p"] == pytest.approx(stats.wilcoxon(gaps).pvalue)


def test_printed_tests_are_those_of_the_printed_tables():
    rows = [
        line
        for path in graphcl_claim.TABLES.glob("*.md")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("| over the sets |")
    ]
    assert len(graphcl_claim.printed_tests()) == sum(line.count(", p ") for line in rows) == 51


def test_computed_runs_are_those_of_the_first_study():
    runs = treatment.computed_runs()
    assert set(runs) == {key for key, _ in treatment.runs_wanted()}
    for (dataset, arm, seed), run in runs.items():
        epochs = run["settings"]["epochs"]
        assert not run["git_commit"].endswith("-dirty")
        assert run["steps"] == treatment.steps(run["graphs"], epochs)
        assert len(run["movement"]) == len(run["loss"]) == epochs
        if arm != treatment.VERY_HARD:
            record = old_study.records_of(dataset, arm)[seed]
            for name in ("loss", "effective_negatives"):
                here = run[name][: old_study.EPOCHS]
                assert here == pytest.approx(record["training"][name], rel=1e-3), (dataset, arm)


def test_movement_is_the_relative_distance_of_the_weights_by_plain_loops(monkeypatch, tmp_path):
    committed = treatment.computed_runs()["MUTAG", old_study.UNIFORM, 0]
    monkeypatch.setattr(treatment, "COMPUTED", tmp_path / "runs.json")
    wanted = [(("MUTAG", old_study.UNIFORM, seed), 2) for seed in (0, 1)]
    monkeypatch.setattr(treatment, "runs_wanted", lambda: wanted)
    told = []
    treatment.compute(told.append)
    treatment.compute(told.append)  # nothing is left
    assert len(told) == 2
    graphs = load_graphs("MUTAG")
    first = build_model(Config(seed=0), FeatureMap.fit(graphs).channels).encoder
    model = HardInfoGraph(beta=0.0, tau_plus=0.0, epochs=2, batch_size=128, random_state=0)
    last = model.fit(graphs).encoder_
    moved = size = 0.0
    for before, after in zip(first.parameters(), last.parameters(), strict=True):
        moved += float((after.detach().double() - before.detach().double()).square().sum())
        size += float(before.detach().double().square().sum())
    found = treatment.computed_runs()["MUTAG", old_study.UNIFORM, 0]["movement"]
    assert found[-1] == pytest.approx(math.sqrt(moved / size), rel=1e-5)
    assert found == pytest.approx(committed["movement"][:2], rel=1e-3)
