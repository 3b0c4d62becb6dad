"""Embedding methods of others: what is refused before a sweep, what fails in a cell, and what they may see."""

import json
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from graphcl_hard import cross_validate, load_graphs, sweep
from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps import worker
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.data import without_labels
from graphcl_hard.sweeps.embedder import check_embedder, embed
from graphcl_hard.sweeps.plan import read_plan
from graphcl_hard.sweeps.records import read_records

GIVEN = {"folds": 3, "repeats": 1, "scale": "linear"}
CODE = '''
import random, sys
import numpy as np
import torch

CONSTANT = 3


class Sizes:
    """Numbers of nodes and edges, with noise."""

    def __init__(self, noise=0.0, random_state=None):
        self.noise, self.random_state = noise, random_state

    def fit_transform(self, graphs):
        print("not for the terminal")
        sizes = np.array([[graph.num_nodes, graph.num_edges] for graph in graphs], dtype=float)
        draws = [random.random(), np.random.random(), float(torch.rand(())), self.random_state]
        return np.hstack([sizes, np.tile(draws, (len(graphs), 1)) * self.noise])


class TwoSteps:
    def fit(self, graphs):
        self.mean = np.mean([graph.num_nodes for graph in graphs])

    def transform(self, graphs):
        return torch.tensor([[graph.num_nodes - self.mean] for graph in graphs])


class Panic(BaseException):
    pass


class Returns:
    def __init__(self, kind):
        self.kind = kind

    def fit_transform(self, graphs):
        rows = np.ones((len(graphs), 2))
        if self.kind == "exit":
            sys.exit("the end")
        if self.kind == "interrupt":
            raise KeyboardInterrupt("x")
        if self.kind == "panic":
            raise Panic("at the disco")
        if self.kind == "raise":
            raise ValueError("no\\nluck")
        return {
            "fewer": rows[1:], "flat": rows[:, 0], "nan": rows * np.nan, "none": None, "text": [["a"]] * len(graphs),
            "list": rows.tolist(), "empty": rows[:, :0], "self": self,
        }[self.kind]


class Meddles:
    def fit_transform(self, graphs):
        import os

        os.chdir("/")
        torch.set_default_dtype(torch.float64)
        graphs.node_ptr[1:] = 0
        graphs.edge_index[:] = 0
        return np.ones((len(graphs), 1))


class Neither:
    pass
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module of methods, which nothing else can import afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "foreign_methods.py").write_text(CODE)
    (tmp_path / "broken_module.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "ending_module.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "panicking_module.py").write_text("raise BaseException(3)\n")
    yield tmp_path
    for name in ("foreign_methods", "broken_module", "ending_module"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("path", "parameters", "sentence"),
    [
        ("Sizes", {}, "method must be an import path such as package.module:Class, got 'Sizes'"),
        (3, {}, "method must be an import path such as package.module:Class, got 3"),
        ("no_such_module:X", {}, "ModuleNotFoundError: No module named 'no_such_module'; install"),
        ("broken_module:X", {}, "'nothing_of_this_name' (broken_module.py, line 1); install"),
        ("ending_module:X", {}, "cannot be imported: SystemExit: 3 (ending_module.py, line 1)"),
        ("panicking_module:X", {}, "cannot be imported: BaseException: 3 (panicking_module.py"),
        ("foreign_methods:Size", {}, "foreign_methods.py has no Size; did you mean Sizes?"),
        ("foreign_methods:CONSTANT", {}, "CONSTANT must be a class, got int"),
        ("foreign_methods:Neither", {}, "must have a method fit_transform(graphs), or fit(graphs)"),
        ("foreign_methods:Sizes", {"nois": 1}, "got an unexpected keyword argument 'nois'"),
        ("foreign_methods:Returns", {}, "missing a required argument: 'kind'"),
        ("foreign_methods:Sizes", {"noise": {1, 2}}, "parameters must be numbers, strings, lists"),
    ],
)
def test_what_cannot_embed_is_refused_in_one_sentence(folder, path, parameters, sentence):
    with pytest.raises(InputError) as refusal:
        check_embedder(path, parameters, [str(folder)])
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def cell_of(folder, name, seed=0, given=GIVEN, **parameters):
    embedder = check_embedder(f"foreign_methods:{name}", parameters, [str(folder)])
    return Cell("MUTAG", name, name, {}, seed, given, "", embedder)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("fewer", "must have one row for each label, got 187 for 188"),
        ("flat", "must have shape (G, D) with D >= 1, got (188,)"),
        ("empty", "must have shape (G, D) with D >= 1, got (188, 0)"),
        ("nan", "must be finite, got NaN or infinity in 188 of 188 rows"),
        (
            "none",
            "What foreign_methods:Returns returns cannot be used: vectors must have shape (G, D)",
        ),
        ("text", "must be a (G, D) array of numbers, got list: it holds <U1"),
        ("self", "Returns returns cannot be used: vectors must "),
        ("exit", "SystemExit: the end (foreign_methods.py, line "),
        ("interrupt", "KeyboardInterrupt: x (foreign_methods.py, line "),
        ("panic", "Panic: at the disco (foreign_methods.py, line "),
        ("raise", "ValueError: no luck (foreign_methods.py, line "),
    ],
)
def test_what_a_method_does_wrong_is_the_reason_of_its_record(folder, tmp_path, kind, sentence):
    record = worker.run_cell(cell_of(folder, "Returns", kind=kind), tmp_path, 1)
    assert (record["status"], record["scores"]) == ("failed", {})
    assert sentence in record["error"]
    assert "\n" not in record["error"]
    json.dumps(record, allow_nan=False)


def test_a_cell_has_the_scores_of_cross_validate(folder, tmp_path, capsys):
    record = worker.run_cell(cell_of(folder, "TwoSteps", seed=4), tmp_path, 1)
    assert capsys.readouterr() == ("", "")
    graphs = load_graphs("MUTAG")
    sizes = np.diff(graphs.node_ptr.numpy())
    plain = cross_validate((sizes - sizes.mean())[:, None], graphs.labels, cv=3, repeats=1, seed=4)
    found = record["scores"]["svm"]["0"]
    np.testing.assert_array_equal(
        np.divide(found["correct"], record["test_sizes"]), plain["vectors"].accuracy
    )
    assert (record["status"], record["channels"], record["last_epoch"]) == ("finished", 1, 0)
    assert record["embedder"]["class"] == "foreign_methods:TwoSteps"


def test_what_a_method_changes_stays_in_its_cell(folder, tmp_path):
    before = worker.run_cell(cell_of(folder, "TwoSteps"), tmp_path, 1)
    where, state = Path.cwd(), torch.get_default_dtype()
    assert worker.run_cell(cell_of(folder, "Meddles"), tmp_path, 1)["status"] == "finished"
    assert (Path.cwd(), torch.get_default_dtype()) == (where, state)
    after = worker.run_cell(cell_of(folder, "TwoSteps"), tmp_path, 1)
    assert after["scores"] == before["scores"]


def test_the_seed_of_a_cell_is_that_of_all_random_states(folder):
    graphs = without_labels(load_graphs("MUTAG"))
    embedder = check_embedder("foreign_methods:Sizes", {"noise": 1.0}, [str(folder)])
    first, again, other = (embed(embedder, graphs, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first[0, 2:] != other[0, 2:]).all()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = [random.random(), np.random.random(), float(torch.rand(())), 1]
    np.testing.assert_array_equal(first[0, 2:], expected)
    fixed = check_embedder("foreign_methods:Sizes", {"noise": 1.0, "random_state": 7}, [])
    assert embed(fixed, graphs, 1)[0, 5] == 7


def test_no_label_can_be_seen():
    graphs = without_labels(load_graphs("MUTAG"))
    assert graphs.labels is None
    assert (graphs.y == -1).all()
    assert "y" not in graphs[0]
    assert "graph_label" not in graphs[0]


def test_a_class_by_its_path_is_a_method_and_so_is_each_point_of_its_grid(folder):
    plan = folder / "plan.yaml"
    plan.write_text(
        "datasets: [MUTAG]\nmethods:\n- majority\n- foreign_methods:TwoSteps\n"
        "- {method: 'foreign_methods:Sizes', parameters: {random_state: 1}, grid: {noise: [1e-1, 2]}}\n"
        "- {method: 'foreign_methods:TwoSteps', name: linear, settings: {scale: linear}}\n"
    )
    cells = {cell.method: cell for cell in read_plan(plan)}
    assert list(cells) == ["majority", "TwoSteps", "Sizes-noise0.1", "Sizes-noise2", "linear"]
    assert cells["Sizes-noise0.1"].embedder.parameters == {"random_state": 1, "noise": 0.1}
    assert cells["Sizes-noise0.1"].family == "Sizes"
    assert cells["linear"].config()["scale"] == "linear"
    evaluation = {"folds", "max_c", "probes", "repeats", "scale", "seed"}
    assert set(cells["linear"].config()) == evaluation


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        ("[hard]", "methods has the unknown control 'hard'; choose from majority, size"),
        ("[wll]", "methods has the unknown control 'wll'; did you mean 'wl'?"),
        ("[{method: 'foreign_methods:Sizes', settings: {beta: 1}}]", "unknown key 'beta'"),
        ("[{family: hard, parameters: {beta: 1}}]", "unknown key 'parameters'"),
        ("[{method: 'foreign_methods:Sizes', family: wl}]", "in the family of a control, 'wl'"),
        ("[{method: 'foreign_methods:Sizes', parameters: 3}]", "parameters must hold keys"),
        ("[{family: hard, control: 1}]", "method hard, control must be true or false, got 1"),
        (
            "[{method: 'foreign_methods:Sizes', settings: {folds: 5}}]",
            "settings has folds 5, but all",
        ),
        ("[{family: hard, grid: {repeats: [1, 2]}}]", "grid has repeats [1, 2], but all methods"),
        ("[{method: 3}]", "a method's family must be"),
        ("[nowhere:X]", "nowhere:X cannot be imported"),
    ],
)
def test_a_wrong_method_in_a_plan_is_refused(folder, methods, sentence):
    plan = folder / "plan.yaml"
    plan.write_text(f"datasets: [MUTAG]\nmethods: {methods}\n")
    with pytest.raises(InputError, match=re.escape(sentence)) as refusal:
        read_plan(plan)
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_a_changed_source_is_refused_unless_it_failed_or_is_asked_for(folder, capsys):
    plan, module = folder / "plan.yaml", folder / "foreign_methods.py"
    out = folder / "out"
    words = [str(plan), "--out", str(out), "--jobs", "1", "--no-report"]
    plan.write_text(
        "datasets: [MUTAG]\nsettings: {folds: 3, repeats: 1}\nmethods:\n- foreign_methods:TwoSteps\n"
        "- {method: 'foreign_methods:Returns', parameters: {kind: raise}}\n"
    )
    assert sweep.main(words) == 1
    before = read_records(out / "records")
    assert [record["status"] for record in before] == ["failed", "finished"]
    assert sweep.main(words) == 1
    assert "0 of 2 cells to do" in capsys.readouterr().out

    module.write_text(CODE + "\n# changed\n")
    assert sweep.main(words) == 2
    assert re.search(
        r"MUTAG TwoSteps seed 0 has a record with source '\w+', now '\w+'; choose another --out",
        capsys.readouterr().err,
    )
    assert sweep.main([*words, "--methods", "Returns"]) == 1  # it failed: it is run again
    assert "1 of 1 cells to do" in capsys.readouterr().out
    assert sweep.main([*words, "--rerun-changed", "--methods", "TwoSteps"]) == 0
    assert "1 of 1 cells to do" in capsys.readouterr().out
    after = read_records(out / "records")
    assert [record["embedder"]["source"] for record in after] != [
        record["embedder"]["source"] for record in before
    ]
    assert sweep.main([*words, "--dry-run"]) == 0
