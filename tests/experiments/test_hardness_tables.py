"""The tables of the study of hardness: its verdicts on records with a known truth, and what stands beside a score."""

import functools

import numpy as np
import pytest
from helpers.paths import EXPERIMENTS

from experiments.hardness import sections, tables
from experiments.hardness.arms import AGAINST_CONTROLS, ARMS, BOUND, CLAIMS, FEWEST, FURTHER, WIDE
from graphcl_hard.sweeps.plan import read_plan
from graphcl_hard.sweeps.report.effects import BOTH, SEEDS, effects_frame
from graphcl_hard.sweeps.report.files import write_report

SETS = ("MUTAG", "ENZYMES")
GRAPHS, RUNS = 600, 20


def records(methods, seed=0, shared=True):
    """Records whose methods are right with the given probabilities, on draws that they share or not."""
    random = np.random.default_rng(seed)
    found = []
    for dataset in SETS:
        labels = random.integers(0, 2, GRAPHS)
        draws = random.random(
            (RUNS, GRAPHS)
        )  # shared by the methods, as initial weights and folds are
        for method, accuracy in methods.items():
            draws = draws if shared else random.random((RUNS, GRAPHS))
            for run in range(RUNS):
                right = draws[run] < accuracy
                predicted = np.where(right, labels, 1 - labels)
                scored = {"predicted": [predicted.tolist()], "correct": [[int(right.sum())]]}
                found.append(
                    {
                        "dataset": dataset,
                        "method": method,
                        "seed": run,
                        "status": "finished",
                        "last_epoch": 3,
                        "labels": labels.tolist(),
                        "scores": {"svm": {"3": scored}},
                        "steps": 30,
                        "weight_change": 0.25 + run / 100,
                        "training": {
                            "loss": [3.0, 2.0, 1.0],
                            "effective_negatives": [0.3, 0.2, 0.1],
                            "beta": [1.0, 2.0, 3.0],
                            "clamped": [0.0, 0.0, 0.3],
                        },
                    }
                )
    return found


def answers(methods):
    effects = effects_frame(records(methods), [(one.method, one.control) for one in CLAIMS])
    return tables.answers_frame(effects, len(SETS)).set_index(["method", "question"])


def test_a_true_difference_is_found_and_one_of_nothing_is_equivalent():
    found = answers({"uniform": 0.70, "hard-20": 0.74, "hard-5": 0.66, "hard-50": 0.70})
    for question in (SEEDS, BOTH):
        assert found.loc[("hard-20", question), "verdict"] == "above"
        assert found.loc[("hard-5", question), "verdict"] == "below"
        assert found.loc[("hard-50", question), "verdict"] == "equivalent"
        assert found.loc[("hard-20", question), "difference"] == pytest.approx(0.04, abs=0.004)
    assert len(found) == 6  # only the claims whose arms have records


def test_a_difference_that_is_there_and_too_small_to_matter_is_called_both():
    found = answers({"uniform": 0.70, "hard-20": 0.7015})
    assert found.loc[("hard-20", SEEDS), "verdict"] == f"above, by less than {100 * BOUND:g}"


def test_an_answer_is_about_all_data_sets():
    effects = effects_frame(records({"uniform": 0.70, "hard-20": 0.74}), [("hard-20", "uniform")])
    assert len(tables.answers_frame(effects, len(SETS))) == 2
    assert tables.answers_frame(effects, len(SETS) + 1).empty
    some = [one for one in records({"uniform": 0.70, "hard-20": 0.74}) if one["seed"] < FEWEST - 1]
    assert tables.answers_frame(effects_frame(some, [("hard-20", "uniform")]), len(SETS)).empty


def test_few_seeds_are_undecided():
    every = records({"uniform": 0.70, "hard-20": 0.70}, shared=False)
    some = [one for one in every if one["seed"] < FEWEST]
    found = tables.answers_frame(effects_frame(some, [("hard-20", "uniform")]), len(SETS))
    assert set(found["verdict"]) == {"undecided"}


def corrected_by_enumeration(p, tests):
    """Shaffer's correction, from its definition: how many hypotheses can still be true, one of each pair at most."""
    order = sorted(range(len(p)), key=lambda one: p[one])
    found, largest = [0.0] * len(p), 0.0
    for rejected, place in enumerate(order):
        can_be_true = min(tests // 2, tests - rejected)
        largest = max(largest, min(1.0, can_be_true * p[place]))
        found[place] = largest
    return found


def test_the_correction_is_that_of_its_definition():
    p = np.random.default_rng(0).random(12) ** 4
    found = tables.corrected(p, 20)
    assert found.tolist() == pytest.approx(corrected_by_enumeration(p.tolist(), 20), rel=1e-12)
    assert (found >= p).all()
    # 10 true nulls, and 10 equivalences that are false, as the two hypotheses of an effect exclude each other
    random = np.random.default_rng(1)
    errors = 0
    for _ in range(2000):
        nulls, alternatives = random.random(10), np.full(10, 1e-12)
        both = tables.corrected(np.concatenate([alternatives, nulls]), 20)
        errors += bool((both[10:] < 0.05).any())
    assert abs(errors / 2000 - 0.05) < 4 * (0.05 * 0.95 / 2000) ** 0.5


def test_the_family_is_the_whole_page_also_while_arms_are_missing():
    methods = {"uniform": 0.70, "hard-20": 0.7010}
    pairs = [("hard-20", "uniform")]
    raw = effects_frame(records(methods), pairs)
    p = raw[(raw["dataset"] == "pooled") & (raw["question"] == SEEDS)]["p"].item()
    found = answers(methods).loc[("hard-20", SEEDS), "p_difference"]
    assert found >= min(1.0, p * 2 * len(CLAIMS))


def test_an_accuracy_stands_beside_what_the_arm_was_given():
    table = tables.arms_table(records({"uniform": 0.7, "hard-20": 0.7}))
    row = table.values.set_index(["dataset", "method"]).loc[("MUTAG", "hard-20")]
    assert (row["steps"], row["seeds"]) == (30, RUNS)
    assert row["weight_change"] == pytest.approx(0.25 + 0.095)
    assert row["effective_negatives"] == pytest.approx(0.2)  # over the last epochs
    assert row["clamped"] == pytest.approx(0.1)
    assert row["low_graphs"] <= row["low_seeds"] < row["accuracy"] < row["high_seeds"]
    shown = table.shown.set_index(["data set", "arm"]).loc[("MUTAG", "uniform")]
    assert shown["steps"] == "30"
    assert shown["moved"] == "34%"
    means = tables.accuracies_table(records({"uniform": 0.7})).shown
    assert float(means["mean"].item()) == pytest.approx(70, abs=1)


def methods_of(plan):
    return tuple(dict.fromkeys(one.method for one in read_plan(EXPERIMENTS / "hardness" / plan)))


def test_the_plans_have_the_arms_of_the_claims_and_pairs():
    assert methods_of("plan.yaml") == ARMS
    assert methods_of("wide.yaml") == WIDE
    assert {name for one in CLAIMS for name in (one.method, one.control)} <= set(ARMS)
    assert {name for pair in FURTHER for name in pair} <= {*ARMS, *WIDE}
    assert {name for pair in AGAINST_CONTROLS for name in pair} <= {
        *ARMS,
        *methods_of("controls.yaml"),
    }
    assert set(methods_of("large.yaml")) <= set(ARMS)


def plain(record):
    """The record as a sweep writes it, of a cell of the plan."""
    about = {"family": record["method"], "settings": {}, "config": {}, "versions": {}, "threads": 1}
    return {
        **about,
        "git_commit": "0" * 40,
        "platform": "here",
        "seconds": {"total": 1.0},
        **record,
    }


def page_of(some, monkeypatch):
    monkeypatch.setattr(sections, "of_plan", lambda records, _: (list(records), []))
    answers_of_two = functools.partial(tables.answers_frame, datasets=len(SETS))
    monkeypatch.setattr(tables, "answers_frame", answers_of_two)
    monkeypatch.setattr(sections, "review_tables", list)  # they have a test of their own
    return sections.study_page([plain(one) for one in some], [])


def test_the_page_is_made_of_many_records_and_of_few(monkeypatch, tmp_path):
    some = records({"uniform": 0.70, "hard-20": 0.74, "hard-50": 0.70})
    page = page_of(some, monkeypatch)
    assert [one.name for one in page.sections] == ["answers", "sets", "arms", "cells"]
    assert (tmp_path / "report.html") in write_report(page, tmp_path)
    one_seed = page_of([one for one in some if one["seed"] == 0], monkeypatch)
    assert [one.name for one in one_seed.sections] == ["arms", "cells"]
    failed = {**some[0], "status": "failed", "error": "It failed.", "scores": {}, "seed": 99}
    del failed["labels"]
    names = [
        part.name
        for section in page_of([*some, failed], monkeypatch).sections
        for part in section.parts
    ]
    assert "failures" in names


def test_wide_arms_large_graphs_and_controls_have_sections_of_their_own(monkeypatch):
    arms = records({"uniform": 0.70, "hard-20": 0.74})
    large = [one | {"dataset": "DD"} for one in arms if one["dataset"] == "MUTAG"]
    wide = records({"uniform-256": 0.70, "hard-20-256": 0.74})
    page = page_of([*arms, *large, *wide, *records({"size": 0.6})], monkeypatch)
    parts = {part.name: part for section in page.sections for part in section.parts}
    assert set(parts["accuracies"].values["dataset"]) == set(SETS)
    assert set(parts["accuracies"].values["method"]) == {"uniform", "hard-20"}
    assert set(parts["controls"].values["method"]) == {"size"}
    assert set(parts["large_effects"].values["dataset"]) == {"DD"}
    assert set(parts["wide_effects"].values["method"]) == {"hard-20-256"}
    pooled = parts["wide_effects"].values.query("dataset == 'pooled'")
    assert pooled["difference"].tolist() == pytest.approx([4.0, 4.0], abs=0.4)
    assert set(parts["answers"].values["datasets"]) == {len(SETS)}


def test_records_of_other_settings_are_in_no_table(monkeypatch):
    monkeypatch.setattr(sections, "review_tables", list)
    cells = read_plan(EXPERIMENTS / "hardness" / "plan.yaml")
    cell = next(one for one in cells if one.key == ("MUTAG", "hard-20", 0))
    record = plain(records({"hard-20": 0.7})[0]) | {**cell.identity(), "config": cell.config()}
    other = record | {"seed": 1, "config": {**cell.config(), "seed": 1, "epochs": 7}}
    page = sections.study_page([record, other], cells)
    parts = {part.name: part for section in page.sections for part in section.parts}
    assert list(parts["other_settings"].values["difference"]) == ["epochs 7, now 100"]
