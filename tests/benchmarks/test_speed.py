"""The speed benchmark compares like with like, counts what it says it counts, and runs."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from helpers.paths import ROOT
from lightning_fabric import Fabric
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.data import Batch

from benchmarks.speed import __main__ as speed
from benchmarks.speed import floor, memory, neighbours, report, textbook, workloads
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.losses.local_global import local_global_jsd
from graphcl_hard.training.build import build_model

# PyTorch says so of every sparse tensor, PyG's own too.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse (CSR|CSC|invariant)")
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def run(*words):
    command = [sys.executable, "-m", "benchmarks.speed", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def fabric():
    return Fabric(accelerator="cpu", devices=1)


def both_models(workload, one_hot):
    """The package's model and the textbook's in float64 with the same weights, and the same seven graphs for each."""
    graphs, features, config = workload
    dense = workload.dense_x().double()
    ours = build_model(config, features.channels).double()
    theirs = textbook.Textbook(features.channels, config).double()
    weights = dict(ours.named_parameters())
    assert weights.keys() == dict(theirs.named_parameters()).keys()
    with torch.no_grad():
        for key, weight in theirs.named_parameters():
            weight.copy_(weights[key])
    chosen = torch.tensor([5, 0, 17, 3, 11, 20, 8])
    batch = GraphBatches(graphs, features.x if one_hot else dense, "cpu", torch.float64).select(
        chosen
    )
    data = textbook.data_list(graphs, dense)
    return ours, theirs, batch, Batch.from_data_list([data[g] for g in chosen])


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("name", ["MUTAG", "synthetic-24"])
def test_textbook_computes_the_packages_loss(name, one_hot):
    ours, theirs, batch, data = both_models(workloads.load(name, "cpu"), one_hot)
    torch.testing.assert_close(theirs(data), ours(batch, 10.0)[0], **EXACT)


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("name", ["MUTAG", "synthetic-24"])
def test_textbook_computes_the_packages_gradients(name, one_hot):
    ours, theirs, batch, data = both_models(workloads.load(name, "cpu"), one_hot)
    with torch.no_grad():
        # F.softplus's derivative is 1 from 20 on and so off by 2e-9 there; with small summaries no score gets so far.
        for model in (ours, theirs):
            for layer in (model.global_head.block[4], model.global_head.linear_shortcut):
                layer.weight *= 0.02
        nodes, graphs = theirs.encoder(data)
        assert 1 < (theirs.local_head(nodes) @ theirs.global_head(graphs).T).max() < 20
    ours(batch, 10.0)[0].backward()
    theirs(data).backward()
    for (key, weight), other in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert (
            other.grad.abs().max() > 1e-9 or "convs" in key
        )  # a bias before a batch norm has no gradient
        torch.testing.assert_close(weight.grad, other.grad, **EXACT, msg=key)


def test_textbook_objective_is_the_packages_where_the_correction_is_bounded():
    generator = torch.Generator().manual_seed(0)
    local = torch.randn(60, 8, generator=generator, dtype=torch.float64)
    summary = 2 * torch.randn(9, 8, generator=generator, dtype=torch.float64)
    batch = torch.arange(60) % 9
    local = local + summary[batch]  # large positives, so that little is left of the negatives
    for tau_plus in (0.1, 0.6):
        found, expected = (
            f(local, summary, batch, beta=10.0, tau_plus=tau_plus)
            for f in (textbook.hard_jsd, local_global_jsd)
        )
        torch.testing.assert_close(found, expected, **EXACT)


def test_textbook_trains():
    graphs, _, config = workload = workloads.load("synthetic-24", "cpu")
    run = textbook.prepare(graphs, workload.dense_x(), config, torch.device("cpu"))
    assert run() > 0
    model = textbook.Textbook(8, config)
    loader = textbook.DataLoader(
        textbook.data_list(graphs, workload.dense_x()), batch_size=8, shuffle=True
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = [textbook.train_epoch(model, loader, optimizer, torch.device("cpu")) for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0]


def test_synthetic_sets_are_simple_undirected_graphs_that_a_seed_fixes():
    graphs = workloads.synthetic(300)
    source, target = graphs.edge_index
    sizes = graphs.node_ptr.diff()
    assert (sizes.min(), sizes.max()) == (20, 40)
    assert (source != target).all()
    edges = list(zip(source.tolist(), target.tolist(), strict=True))
    assert edges == sorted(set(edges))
    assert set(edges) == {(b, a) for a, b in edges}
    owner = torch.repeat_interleave(torch.arange(300), sizes)
    assert torch.equal(owner[source], owner[target])
    assert torch.equal(torch.bincount(owner[source], minlength=300), graphs.edge_ptr.diff())
    assert 3.5 < graphs.num_edges / graphs.num_nodes < 4.1
    assert graphs.node_label.unique().tolist() == list(range(8))
    again, other = workloads.synthetic(300), workloads.synthetic(300, seed=1)
    assert torch.equal(again.edge_index, graphs.edge_index)
    assert not torch.equal(other.node_ptr, graphs.node_ptr)


VIEWS = (
    "detach",
    "alias",
    "slice",
    "t",
    "transpose",
    "permute",
    "crow_indices",
    "col_indices",
    "values",
)


class Products(TorchDispatchMode):
    """Counts dense products by their shapes and neighbour sums by their width."""

    def __init__(self):
        super().__init__()
        self.dense, self.sparse = Counter(), Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name == "mm":
            self.dense[(*args[0].shape, args[1].size(1))] += 1
        elif name in ("addmm", "_embedding_bag_forward_only", "_embedding_bag"):
            self.sparse[args[2 if name == "addmm" else 0].size(1)] += 1
        else:
            assert name in VIEWS, name  # nothing else may be done
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("one_hot", [True, False])
def test_floor_does_the_products_that_it_names(one_hot):
    cuts = workloads.cut_epoch(workloads.load("synthetic-24", "cpu"), fabric())
    (cut,) = cuts
    n, g, f, h, d = cut.nodes, cut.graphs, 5, 32, 96
    bottom = floor.Floor(cuts, floor.Sizes(f, one_hot), torch.device("cpu"))
    with Products() as seen:
        bottom.epoch()

    def linear(rows, width, channels):
        return [(rows, width, channels), (rows, channels, width), (width, rows, channels)]

    expected = Counter(linear(n, h, h) * 5)
    expected += Counter(linear(n, d, d) * 4 + linear(g, d, d) * 4 + linear(n, d, g))
    if not one_hot:
        expected += Counter([(n, f, h), (f, n, h)])
    assert seen.dense == expected
    assert seen.sparse == ({h: 6} if one_hot else {h: 4, f: 1})


def test_floors_sparse_products_are_sums_over_neighbours():
    (cut,) = workloads.cut_epoch(workloads.load("synthetic-24", "cpu"), fabric())
    x, out = torch.randn(2, cut.nodes, 7)
    expected = torch.zeros_like(x).index_add(0, cut.edge_index[1], x[cut.edge_index[0]])
    matrix = floor.csr_matrix(cut.edge_index, cut.nodes, torch.int32)
    for product in (floor.csr_product, floor.bag_product):
        torch.testing.assert_close(product(matrix, x, out), expected)


def test_every_way_to_sum_neighbours_agrees_or_says_why_not():
    (cut,) = workloads.cut_epoch(workloads.load("synthetic-24", "cpu"), fabric())
    found = neighbours.measure(cut, 4, 2)
    assert found.keys() == neighbours.WAYS.keys()
    assert {key for key in found if "skipped" in found[key]} <= {
        "gather + segment_csr (torch-scatter)"
    }
    assert all(
        len(times) == 2
        for ways in found.values()
        if "skipped" not in ways
        for times in ways.values()
    )


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="resets the peak as Linux does"
)
def test_peak_sees_memory_that_is_given_back():
    device = torch.device("cpu")
    mebibytes = memory.peak_over(lambda: torch.ones(64, 2**18).sum(), device)["extra_mib"]
    assert 60 < mebibytes < 80
    assert memory.peak_over(lambda: None, device)["extra_mib"] < 5  # the earlier peak is forgotten


def test_power_law_recovers_exponent_and_error():
    sizes = [500, 2000, 8000, 32000]
    exact = report.power_law(sizes, [0.003 * size**1.25 for size in sizes])
    assert exact["exponent"] == pytest.approx(1.25)
    assert exact["factor"] == pytest.approx(0.003)
    assert exact["standard_error"] == pytest.approx(0, abs=1e-9)
    # By hand: logarithms 0, 1, 2 against 0, 2, 2 have the slope 1, residuals 1/3 (-1, 2, -1) and the error 1/sqrt(3).
    rough = report.power_law([1, torch.e, torch.e**2], [1, torch.e**2, torch.e**2])
    assert rough["exponent"] == pytest.approx(1)
    assert rough["standard_error"] == pytest.approx(3**-0.5)
    assert report.power_law([1, 2], [1, 2])["standard_error"] is None


def test_ratios_are_of_the_same_repeat():
    assert report.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 3.0]) == {"median": 2.0, "min": 1.0, "max": 4.0}
    assert report.digits(1234.5) == "1,234"
    assert [report.digits(value) for value in (12.34, 0.01234, 0.0)] == ["12.3", "0.0123", "0"]


@pytest.mark.slow
def test_quick_run_writes_everything_and_a_section_made_again_replaces_its_own_record(tmp_path):
    done = run("--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    record = json.loads((tmp_path / "speed.json").read_text())
    assert list(record) == ["epochs", "neighbours", "memory", "evaluation", "trials", "views"]
    for name in report.TABLES:
        assert (tmp_path / f"{name}.md").read_text() in done.stdout
        assert (tmp_path / f"{name}.csv").read_text().count("\n") > 1
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    for one in record["epochs"]["sets"]:
        assert all(seconds > 0 for times in one["seconds"].values() for seconds in times)
        assert set(one["peak"]) == set(one["seconds"]) - {"floor"} >= {"textbook", "package"}
        assert all("skipped" in peak or peak["extra_mib"] > 0 for peak in one["peak"].values())
    assert record["memory"]["objectives"].keys() == {"package", "textbook"}

    changed = {**record["evaluation"], "folds": 7}
    assert "| MUTAG | 7 |" in speed.keep(tmp_path, "evaluation", changed)
    assert json.loads((tmp_path / "speed.json").read_text()) == {**record, "evaluation": changed}
    assert "| MUTAG | 7 |" in (tmp_path / "evaluation.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--repeats", "0"], "--repeats must be at least 1, got 0."),
        (["--datasets", "synthetic-1"], "synthetic-N must have at least N = 2 synthetic graphs"),
        (["--table-only"], "has no speed.json"),
    ],
)
def test_arguments_that_make_no_sense_are_told(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["speed.py", "--sections", "epochs", "--out", str(tmp_path / "none"), *words]
    )
    assert speed.main() == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
