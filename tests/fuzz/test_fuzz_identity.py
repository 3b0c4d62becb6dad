"""Three hundred generated inputs, of the kinds in which rows, labels and columns get lost, and what comes of each.

Every input is a table of molecules, a TU folder, or graphs of PyTorch Geometric, networkx or SciPy, most of them with a
fault that users have reported. A model in plain Python says what a right reading has: the ids, the labels with their
names, and the size of each graph. The outcome must be this reading, or an error of one sentence where the input is
ambiguous or wrong.
"""

import contextlib
import io
import math
import warnings
from collections import Counter

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from helpers.fuzz import CASES, CHANCE, campaign, outcome
from torch_geometric.data import Data

from graphcl_hard import GraphShards, InputError, load_graphs, write_shards
from graphcl_hard.convert import main as convert
from graphcl_hard.data.collate import to_graph_data

KINDS = ("tables", "TU folders", "PyG graphs", "networkx graphs", "SciPy graphs")
COUNTS = {kind: Counter() for kind in KINDS}
MISSING = ("", "NA", "nan", "None", "<NA>")


def count(kind, found, wanted):
    """Count an outcome after checking that exactly the wrong inputs are refused."""
    COUNTS[kind]["refused" if found is None else "right"] += 1
    assert (found is None) == (wanted is None), (found, wanted)
    return found is not None


def named(labels):
    """Return what a right reading makes of labels: their sorted names and the labels, None where one is missing.

    Raises:
        InputError: the labels are names and numbers.
    """
    known = [label for label in labels if label is not None]
    whole = known and all(isinstance(label, str) and label.isdecimal() for label in known)
    if whole and not any(
        label.startswith("0") or int(label) > 2**53 for label in known
    ):  # no codes
        labels = [None if label is None else int(label) for label in labels]
        known = [label for label in labels if label is not None]
    if {isinstance(label, str) for label in known} == {True, False}:
        raise InputError("The labels are names and numbers.")
    if any(isinstance(label, float) and not label.is_integer() for label in known):
        return (), [None if label is None else float(label) for label in labels]
    whole = [label if label is None or isinstance(label, str) else int(label) for label in labels]
    return tuple(sorted({label for label in whole if label is not None})), whole


def check_labels(found, labels):
    """Compare the labels of a data set, and of each of its graphs, with the right reading."""
    classes, wanted = named(labels)
    assert found.classes == classes
    own = [None] * len(found) if found.labels is None else found.labels.tolist()
    own = [
        None if label == "" or (isinstance(label, float) and math.isnan(label)) else label
        for label in own
    ]
    assert own == wanted
    numbers = [classes.index(label) if label in classes else -1 for label in wanted]
    assert found.y.is_floating_point() or found.y.tolist() == numbers


def some_labels(chance, rows):
    """Draw labels: of one kind, with some missing, and now and then of two kinds."""
    kind = chance.choice(["none", "whole", "names", "codes", "measured", "two kinds"])
    draw = {
        "none": lambda: None,
        "whole": lambda: chance.choice([-1, 1, 2, 7]),
        "names": lambda: chance.choice(["acid", "Na", "base", 'müll, "x"']),
        "codes": lambda: chance.choice(["007", "7", "12", str(2**60), str(2**60 + 1)]),
        "measured": lambda: chance.choice([0.25, -3.5, 2.0]),
        "two kinds": lambda: chance.choice(["acid", 4]),
    }[kind]
    return [None if chance.random() < 0.2 else draw() for _ in range(rows)]


def cell(text, separator):
    return '"' + text.replace('"', '""') + '"' if set(text) & {'"', separator, "\n"} else text


def table(chance):
    """Draw a table of molecules; return its bytes, the words of the command, and what is right (None: refused)."""
    rows = chance.randint(1, 10)
    good = {"CCO": 3, "c1ccccc1": 6, "C": 1, "CC(=O)O": 4}
    smiles = [chance.choice([*good] * 4 + ["C1CC", "", "no molecule"]) for _ in range(rows)]
    labels = some_labels(chance, rows)
    ids = chance.choice(
        [
            None,
            [f"m{10 - row}" for row in range(rows)],
            [str(100 - row) for row in range(rows)],
            ["m1"] * rows,
            ["m0", *[""] * (rows - 1)],
        ]
    )
    separator, encoding = (
        chance.choice(",;\t|"),
        chance.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    )
    columns = {
        "smiles": smiles,
        "label": [chance.choice(MISSING) if one is None else str(one) for one in labels],
    }
    words = ["--labels", "label"]
    if ids is not None:
        columns["key"] = ids
        words += ["--id", "key"]
    if chance.random() < 0.3:
        columns["Unnamed: 0"] = [str(row) for row in range(rows)]
    names = list(columns)
    chance.shuffle(names)
    lines = [names, *zip(*(columns[name] for name in names), strict=True)]
    end = chance.choice(["\n", "\r\n"])
    text = (
        end.join(separator.join(cell(value, separator) for value in line) for line in lines) + end
    )
    if chance.random() < 0.7:
        words.append("--skip-invalid")
    kept = [row for row in range(rows) if smiles[row] in good]
    unreadable = encoding == "latin-1" and not text.isascii()
    unidentified = ids is not None and (len(set(ids)) < rows or "" in ids)
    if (
        unreadable
        or unidentified
        or not kept
        or (len(kept) < rows and "--skip-invalid" not in words)
    ):
        return text.encode(encoding), words, None
    try:
        named(labels)
    except InputError:
        return text.encode(encoding), words, None
    own = [int(one) if one.isdecimal() else one for one in ids] if ids else list(range(rows))
    right = {
        "ids": [own[row] for row in kept],
        "labels": [labels[row] for row in kept],
        # What a column is, is decided by all rows, and which classes there are by those that are kept.
        "classes": tuple(one for one in named(labels)[0] if one in [labels[row] for row in kept]),
        "sizes": [good[smiles[row]] for row in kept],
        "left out": [own[row] for row in range(rows) if row not in kept],
    }
    return text.encode(encoding), words, right


@campaign("identity, tables", CHANCE)
def test_tables(tmp_path_factory, chance):
    folder = tmp_path_factory.mktemp("t")
    content, words, right = table(chance)
    (folder / "m ü.csv").write_bytes(content)
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = convert([str(folder / "m ü.csv"), *words, "--out", str(folder / "set")])
    assert status in (0, 2)
    assert said.getvalue().startswith("error: ") == (status == 2)
    found = GraphShards(folder / "set") if status == 0 else None
    if not count("tables", found, right):
        assert not (folder / "set").exists()
        return
    assert found.ids.tolist() == right["ids"]
    assert found.node_ptr.diff().tolist() == right["sizes"]
    assert found.classes == right["classes"]
    own = [None] * len(found) if found.labels is None else found.labels.tolist()
    for one, label in zip(own, right["labels"], strict=True):
        assert one == label or (label is None and (one in (None, "") or math.isnan(one)))
    if right["left out"]:
        lines = (folder / "set" / "left-out.csv").read_text().splitlines()
        assert [line.split(",")[1] for line in lines[1:]] == [str(one) for one in right["left out"]]


def tu_folder(chance, folder):
    """Write a TU folder, with a fault or without; return what is right: graphs, labels and whether to warn."""
    graphs = [
        nx.gnm_random_graph(chance.randint(2, 5), 4, seed=chance.randrange(99))
        for _ in range(chance.randint(1, 5))
    ]
    for graph in graphs:
        nx.add_path(graph, graph)  # every node has an edge
    labels = chance.choice(
        [
            None,
            [chance.choice([1, 2, 5]) for _ in graphs],
            [chance.choice([0.5, 2.25]) for _ in graphs],
        ]
    )
    starts = np.cumsum([0, *map(len, graphs)]).tolist()
    files = {
        "A": [
            f"{start + u + 1}, {start + v + 1}"
            for start, graph in zip(starts, graphs, strict=False)
            for a, b in graph.edges
            for u, v in ((a, b), (b, a))
        ],
        "graph_indicator": [str(number) for number, g in enumerate(graphs, 1) for _ in g],
        "node_labels": [str(chance.randint(0, 3)) for g in graphs for _ in g],
    }
    if labels is not None:
        files["graph_labels"] = [str(one) for one in labels]
    fault = chance.choice(
        [
            "none",
            "none",
            "mark",
            "from zero",
            "surplus label",
            "missing line",
            "blank cell",
            "one way",
            "repeated",
        ]
    )
    target = chance.choice(["A", "graph_indicator", "node_labels"])
    if fault == "from zero":
        files["A"] = [
            ", ".join(str(int(end) - 1) for end in line.split(",")) for line in files["A"]
        ]
    elif fault == "surplus label":
        files["node_labels"].append("1")
    elif fault == "missing line":
        files[target].pop(chance.randrange(len(files[target])))
    elif fault == "blank cell":
        files[target][chance.randrange(len(files[target]))] = chance.choice(["", "nan", "NA"])
    elif fault == "one way":
        files["A"] = files["A"][::2]
    elif fault == "repeated":
        files["A"].append(files["A"][0])
    for kind, lines in files.items():
        text = "".join(f"{line}\n" for line in lines)
        marked = fault == "mark" and kind == target
        (folder / f"DS_{kind}.txt").write_text(text, encoding="utf-8-sig" if marked else "ascii")
    refused = fault in ("from zero", "surplus label", "blank cell")
    if fault == "missing line":
        refused = target != "A"
    warned = fault == "one way" or (fault == "missing line" and not refused)
    return graphs, labels, files, refused, warned


@campaign("identity, TU folders", CHANCE)
def test_tu_folders(tmp_path_factory, chance):
    folder = tmp_path_factory.mktemp("u")
    graphs, labels, files, refused, warned = tu_folder(chance, folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = outcome(lambda: load_graphs(folder))
    if not count("TU folders", found, None if refused else graphs):
        return
    assert any(issubclass(one.category, UserWarning) for one in caught) or not warned
    assert found.ids.tolist() == list(range(1, len(graphs) + 1))
    assert found.node_ptr.diff().tolist() == list(map(len, graphs))
    check_labels(found, labels or [None] * len(graphs))
    edges = {tuple(int(end) for end in line.split(",")) for line in files["A"]}
    assert {(u + 1, v + 1) for u, v in found.edge_index.T.tolist()} == edges


def pyg_graphs(chance):
    """Draw graphs of PyG, with a fault or without; return them and what is right."""
    count, width = chance.randint(1, 6), chance.choice([1, 3])
    kind = chance.choice(["whole x", "float x", "no x"])
    labels, ids = some_labels(chance, count), chance.choice([None, "text", "number", "some"])
    graphs = []
    for number in range(count):
        n = chance.randint(1, 4)
        data = Data(num_nodes=n, edge_index=torch.randint(0, n, (2, chance.randint(0, 5))))
        if kind == "whole x":
            data.x = torch.randint(0, 4, (n, width))
        elif kind == "float x":
            data.x = torch.rand(n, width)
        if labels[number] is not None:
            label = labels[number]
            data.y = label if isinstance(label, str) else torch.tensor([label])
        if ids in ("text", "number") or (ids == "some" and number == 0):
            data.id = 7 * number if ids == "number" else f"g{number}"
        graphs.append(data)
    fault = chance.choice(["none", "none", "nan", "kinds", "edge", "size", "no edges"])
    last, refused = graphs[-1], ids == "some" and count > 1
    if fault == "nan" and kind == "float x":
        last.x[0, 0], refused = math.nan, True
    elif fault == "kinds" and kind != "no x" and count > 1:
        last.x, refused = (last.x.float() if kind == "whole x" else last.x.long()), True
    elif fault == "edge":
        last.edge_index, refused = torch.tensor([[0], [last.num_nodes]]), True
    elif fault == "size":
        last.num_nodes, refused = last.num_nodes + 1, refused or kind != "no x"
    elif fault == "no edges":
        last.edge_index = torch.tensor([[], []])
    with contextlib.suppress(InputError):
        named(labels)
        return graphs, labels, kind, None if refused else graphs
    return graphs, labels, kind, None


@campaign("identity, PyG graphs", CHANCE)
def test_pyg_graphs(tmp_path_factory, chance):
    torch.manual_seed(chance.randrange(2**31))
    graphs, labels, kind, right = pyg_graphs(chance)
    found = outcome(lambda: to_graph_data(graphs))
    if not count("PyG graphs", found, right):
        return
    ids = [graph.id if "id" in graph else number for number, graph in enumerate(graphs)]
    check_labels(found, labels)
    assert (
        found.columns == {"whole x": {"node_label"}, "float x": {"node_attr"}, "no x": set()}[kind]
    )
    shards = write_shards(tmp_path_factory.mktemp("p") / "set", graphs)
    for one in (found, shards):
        assert one.ids.tolist() == ids
        assert one.node_ptr.diff().tolist() == [graph.num_nodes for graph in graphs]
        for data, graph in zip(one, graphs, strict=True):
            assert kind == "no x" or torch.equal(data.x, graph.x)
        chosen = [chance.randrange(-len(graphs), len(graphs)) for _ in range(3)]
        assert one[chosen].ids.tolist() == [ids[place] for place in chosen]
        again = to_graph_data(one.to_pyg(), **one.names._asdict())
        assert again.ids.tolist() == ids
        assert torch.equal(again.edge_index, found.edge_index)


@campaign("identity, networkx graphs", CHANCE)
def test_networkx_graphs(chance):
    count_, directed = chance.randint(1, 5), chance.random() < 0.4
    labels = some_labels(chance, count_)
    graphs = [
        nx.gnp_random_graph(chance.randint(1, 4), 0.6, seed=chance.randrange(99), directed=directed)
        for _ in range(count_)
    ]
    for number, graph in enumerate(graphs):
        graph.graph["y"] = labels[number]
        for node in graph:
            graph.nodes[node].update(kind=chance.choice("abc"), size=float(node))
    bad, value = chance.choice(graphs), chance.choice(["ok", "ok", None, math.nan, "gone", [1]])
    refused = value != "ok"
    if value == "gone":
        del bad.nodes[0]["kind"]
    elif refused:
        bad.nodes[0][chance.choice(["kind", "size"])] = value
        # Every value but a list, a vector of one number, is none of an attribute.
        refused = not (value == [1] and bad.nodes[0]["size"] == [1])
    with contextlib.suppress(InputError):
        named(labels)
        right = None if refused else graphs
        found = outcome(lambda: to_graph_data(graphs, node_label="kind", node_attr="size"))
        if count("networkx graphs", found, right):
            check_labels(found, labels)
            values = found.node_label_values[0]
            kinds = [graph.nodes[node]["kind"] for graph in graphs for node in graph]
            assert [values[one] for one in found.node_label[:, 0].tolist()] == kinds
            assert found.edge_ptr.diff().tolist() == [
                len(graph.edges) * (1 if directed else 2) for graph in graphs
            ]
        return
    found = outcome(lambda: to_graph_data(graphs, node_label="kind", node_attr="size"))
    count("networkx graphs", found, None)


@campaign("identity, SciPy graphs", CHANCE)
def test_scipy_graphs(chance):
    generator = np.random.default_rng(chance.randrange(2**31))
    weigh, matrices = chance.random() < 0.5, []
    for _ in range(chance.randint(1, 4)):
        size = chance.randint(1, 5)
        matrices.append(
            (generator.random((size, size)) < 0.5)
            * generator.integers(1, 9, (size, size)).astype(float)
        )
    fault = chance.choice(["none", "none", "nan", "infinite", "oblong", "complex"])
    bad = matrices[-1]
    if fault in ("nan", "infinite"):
        bad[0, -1] = math.nan if fault == "nan" else math.inf
    elif fault == "oblong":
        matrices[-1] = np.hstack([bad, bad])
    elif fault == "complex":
        matrices[-1] = bad.astype(complex)
    refused = fault in ("nan", "infinite", "oblong") or (fault != "none" and weigh)
    form = chance.choice(
        [scipy.sparse.csr_matrix, scipy.sparse.coo_array, scipy.sparse.lil_matrix, np.asarray]
    )
    given = [form(matrix) for matrix in matrices]
    found = outcome(lambda: to_graph_data(given, edge_attr="weight" if weigh else None))
    if not count("SciPy graphs", found, None if refused else given):
        return
    for number, matrix in enumerate(matrices):
        part = found[number : number + 1]
        dense = np.zeros(matrix.shape)
        for place, (u, v) in enumerate(part.edge_index.T.tolist()):
            dense[u, v] = part.edge_attr[place, 0] if weigh else 1
        wanted = matrix.copy() if weigh else (matrix != 0).astype(float)
        np.fill_diagonal(wanted, 0)
        assert np.array_equal(dense, wanted)


def test_every_kind_has_right_and_refused_inputs(record_property):
    """The campaigns above ran in this process; their counts go into the record."""
    if not all(COUNTS.values()):
        pytest.skip("the campaigns did not run")
    assert sum(sum(found.values()) for found in COUNTS.values()) >= 300
    for kind, found in COUNTS.items():
        assert sum(found.values()) >= CASES[f"identity, {kind}"], kind
        assert min(found["right"], found["refused"]) >= 10, kind
        record_property(kind, dict(found))
