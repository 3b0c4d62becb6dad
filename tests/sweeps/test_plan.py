"""A plan says which cells there are, and what is wrong with it before anything runs."""

import pytest
from helpers.paths import EXPERIMENTS

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.plan import narrow, read_plan

SOUND = {
    "datasets": "[MUTAG, DD]",
    "seeds": "3",
    "seeds_of": "{DD: [7]}",
    "settings": "{epochs: 20, score_epochs: [1, 5, 20], folds: 5}",
    "methods": """
  - family: majority
  - {family: untrained, settings: {epochs: 0}}
  - {family: wl, settings: {iterations: [0, 2]}, datasets: [MUTAG]}
  - {family: hard, settings: {lr: 1e-2}, grid: {beta: [0, 2, "1e1"], tau_plus: [0, 0.1]}, without: [{beta: 0}]}
  - {family: hard, name: hard-cosine, settings: {critic: cosine}}
""",
}


@pytest.fixture
def plan(tmp_path):
    """A function from changed parts of a sound plan to its file."""

    def write(**changes):
        path = tmp_path / "plan.yaml"
        path.write_text("\n".join(f"{key}: {value}" for key, value in {**SOUND, **changes}.items()))
        return path

    return write


def test_a_plan_is_data_sets_times_methods_times_seeds(plan):
    cells = read_plan(plan())
    methods = [
        "majority",
        "untrained",
        "wl",
        *(f"hard-beta{b}-tau{t}" for b in (2, 10) for t in (0, 0.1)),
        "hard-cosine",
    ]
    expected = [("MUTAG", method, seed) for seed in range(3) for method in methods]
    expected += [("DD", method, 7) for method in methods if method != "wl"]
    assert [cell.key for cell in cells] == expected
    assert len({cell.path for cell in cells}) == len(cells)


def test_a_cell_has_its_own_settings_and_the_shared_ones(plan):
    cells = {cell.method: cell for cell in read_plan(plan()) if cell.key[2] == 1}
    hard = cells["hard-beta10-tau0.1"]
    assert hard.settings == {"lr": 0.01, "beta": 10.0, "tau_plus": 0.1}
    config = hard.config()
    assert {name: config[name] for name in hard.settings} == hard.settings
    assert (config["epochs"], config["score_epochs"], config["folds"], config["seed"]) == (
        20,
        [1, 5, 20],
        5,
        1,
    )
    assert cells["untrained"].settings == {
        "epochs": 0
    }  # and the shared epochs to score are not its own
    assert cells["untrained"].config()["score_epochs"] == [0]
    assert cells["wl"].settings == {"iterations": [0, 2]}
    assert cells["wl"].given["folds"] == 5
    assert cells["wl"].config() == {"max_c": 1000.0}


@pytest.mark.slow
def test_the_study_itself_is_sound_and_names_uniform_once():
    cells = read_plan(EXPERIMENTS / "tu" / "plan.yaml")
    plain = {cell.method: cell.settings for cell in cells if cell.family in ("uniform", "hard")}
    settings = [(one["beta"], one["tau_plus"]) for one in plain.values()]
    assert sorted(settings) == [(b, t) for b in (0, 0.5, 1, 2, 5, 10) for t in (0, 0.1)]
    assert plain["uniform"] == {"beta": 0, "tau_plus": 0}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"dataset": "[MUTAG]"},
            "the plan has the unknown key 'dataset'; did you mean 'datasets'?",
        ),
        ({"datasets": "[mutag]"}, "There is no data set 'mutag'; did you mean MUTAG?"),
        ({"datasets": "[../x]"}, "datasets: there is no folder "),
        ({"datasets": "[{name: a/b, dataset: MUTAG}]"}, "The data set name 'a/b' must be"),
        ({"datasets": "[{name: a, path: MUTAG}]"}, "datasets has the unknown key 'path'"),
        ({"datasets": "[{dataset: ./}, {dataset: ./}]"}, "datasets must each be there once"),
        ({"datasets": "[DD]\nseeds: 1"}, "cannot be read: 'seeds' occurs twice"),
        ({"datasets": "[MUTAG, DD, DD]"}, "datasets must each be there once, got 'DD' 2 times"),
        (
            {"datasets": "MUTAG"},
            "datasets must be a list of names such as [MUTAG, PROTEINS], got 'MUTAG'",
        ),
        ({"seeds": "0"}, "seeds must be their number, from 1 to 10000, or a list"),
        ({"seeds": "true"}, "got True"),
        ({"seeds": "[1, -1]"}, "got [1, -1]; 5 is usual"),
        ({"seeds_of": "{DDD: 3}"}, "seeds_of has the unknown key 'DDD'; did you mean 'DD'?"),
        (
            {"settings": "{epoch: 3}"},
            "settings has the unknown key 'epoch'; did you mean 'epochs'?",
        ),
        ({"settings": "{seed: 3}"}, "settings has the unknown key 'seed'"),
        ({"settings": "[3]"}, "settings must hold keys with values, such as 'beta: 2', got [3]"),
        (
            {"settings": "{epochs: many}"},
            "settings: Error parsing --epochs: invalid literal for int()",
        ),
        (
            {"settings": "{epochs: {a: 1}}"},
            "settings: epochs must be one value or a list of them, got {'a': 1}",
        ),
        ({"settings": "{folds: 1}"}, "method majority: `folds` must lie in [2, 1000], got 1"),
        ({"methods": "[]"}, "methods must be a list of methods such as {family: hard"),
        (
            {"methods": "[{famly: hard}]"},
            "methods has the unknown key 'famly'; did you mean 'family'?",
        ),
        ({"methods": "[{name: hard}]"}, "a method's family must be 1 to 100 letters"),
        ({"methods": "[{family: hard, name: a/b}]"}, "a method's name must be 1 to 100 letters"),
        (
            {"methods": "[{family: Majority}]"},
            "the unknown family 'Majority'; did you mean 'majority'?",
        ),
        (
            {"methods": "[{family: majority, settings: {beta: 1}}]"},
            "unknown key 'beta'; leave it out.",
        ),
        (
            {"methods": "[{family: wl, settings: {iterations: [-1]}}]"},
            "method wl: iterations must be a list of whole numbers",
        ),
        (
            {"methods": "[{family: wl-oa, settings: {labels: log}}]"},
            "method wl-oa: labels must be one of given, constant, degree, log-degree, got 'log'",
        ),
        (
            {"methods": "[{family: wl, settings: {max_c: 1e12}}]"},
            "method wl: `max_c` must lie in",
        ),
        (
            {"methods": "[{family: hard, settings: {taus: 1}}]"},
            "method hard, settings has the unknown key 'taus'",
        ),
        (
            {"methods": "[{family: hard, settings: {tau_plus: 1}}]"},
            "method hard: `tau_plus` must lie in [0, 1), got 1.0",
        ),
        (
            {"methods": "[{family: hard, grid: {beta: [1, -1]}}]"},
            "method hard-beta-1: `beta` must lie in [0, 1e+06]",
        ),
        (
            {"methods": "[{family: hard, grid: {beta: 1}}]"},
            "grid beta must be a list of values, got 1",
        ),
        (
            {"methods": "[{family: hard, grid: {beta: [1, 1]}}]"},
            "grid beta must each be there once",
        ),
        (
            {"methods": "[{family: hard, grid: {beta: [1, 1.0]}}]"},
            "methods must each be there once, got 'hard-beta1'",
        ),
        (
            {"methods": "[{family: hard, settings: {beta: 1}, grid: {beta: [1]}}]"},
            "grid has the unknown key 'beta'",
        ),
        (
            {"methods": "[{family: hard, grid: {beta: [1]}, without: [{beta: 2}]}]"},
            "the grid has no point {'beta': 2.0}",
        ),
        (
            {"methods": "[{family: hard}, {family: hard}]"},
            "methods must each be there once, got 'hard' 2 times",
        ),
        (
            {"methods": "[{family: hard, datasets: [PROTEIN]}]"},
            "method hard, datasets has the unknown data set 'PROTEIN'",
        ),
        ({"methods": "["}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(plan, changes, sentence):
    with pytest.raises(InputError) as refusal:
        read_plan(plan(**changes))
    assert sentence in str(refusal.value)
    assert "plan.yaml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_data_sets_are_names_and_folders_beside_the_plan(plan, tmp_path):
    (tmp_path / "shards" / "zinc").mkdir(parents=True)
    cells = read_plan(
        plan(
            datasets="[MUTAG, shards/zinc, {name: again, dataset: shards/zinc}, {name: M, dataset: MUTAG}]",
            seeds_of="{again: [7]}",
            methods="[majority, bn-only]",
        )
    )
    folder = str(tmp_path / "shards" / "zinc")
    sources = {cell.dataset: cell.source for cell in cells}
    assert sources == {"MUTAG": "MUTAG", "zinc": folder, "again": folder, "M": "MUTAG"}
    assert [cell.seed for cell in cells if cell.dataset == "again"] == [7, 7]
    control = next(cell for cell in cells if cell.method == "bn-only")
    assert control.settings == {"lr": 0.0, "beta": 0.0, "tau_plus": 0.0}
    assert control.given["lr"] == 0


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: No such file"):
        read_plan(tmp_path / "none.yaml")


def test_a_plan_can_be_narrowed(plan):
    cells = read_plan(plan())
    assert narrow(cells) == cells
    assert {cell.key for cell in narrow(cells, ["MUTAG"], ["hard-cosine", "wl"], [2])} == {
        ("MUTAG", "hard-cosine", 2),
        ("MUTAG", "wl", 2),
    }
    assert {cell.method for cell in narrow(cells, methods=["hard"])} == {
        cell.method for cell in cells if cell.family == "hard"
    }
    for words, sentence in [
        (
            {"datasets": ["MUTAGG"]},
            "--datasets has the unknown data set 'MUTAGG'; did you mean 'MUTAG'?",
        ),
        (
            {"methods": ["majorty"]},
            "--methods has the unknown method 'majorty'; did you mean 'majority'?",
        ),
        ({"seeds": [9]}, "--seeds has the unknown seed 9; choose from 0, 1, 2, 7"),
    ]:
        with pytest.raises(InputError) as refusal:
            narrow(cells, **words)
        assert sentence in str(refusal.value)
