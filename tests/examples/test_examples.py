"""The examples run; their tables say what the scores say; and training never sees a label."""

import csv
import os
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from helpers.paths import EXAMPLES, ROOT

from graphcl_hard.evaluation.statistics import paired_difference

sys.path.insert(0, str(EXAMPLES))
import images
import molecules
import scoring
import text

sys.path.remove(str(EXAMPLES))

BASELINE = {"images": "raw pixels", "text": "TF-IDF"}
PROBES = ["linear, %", "10-NN, %", "1-NN of 100 labels, %"]


def read(path):
    scores = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            scoring.add(scores, row["encoder"], {row["probe"]: float(row["score"])})
    return scores


@pytest.mark.slow
@pytest.mark.parametrize("module", [images, text])
def test_an_example_runs_and_writes_its_table(module, monkeypatch, tmp_path, capsys):
    name = module.__name__
    whole = text.corpus()
    monkeypatch.setattr(text, "corpus", lambda: whole[:, ::8])
    words = ["--seeds", "2", "--epochs", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    module.main()
    scores, table = read(tmp_path / f"{name}.csv"), (tmp_path / f"{name}.md").read_text()
    assert list(scores) == [BASELINE[name], "untrained", "uniform", "debiased", "hard"]
    for found in scores.values():
        assert list(found) == PROBES
        assert all(len(values) == 2 for values in found.values())
    assert table in capsys.readouterr().out
    for fact in (f"examples/{name}.py --seeds 2 --epochs 1", "torch 2.", "2 seeds, 0 to 1"):
        assert fact in table


@pytest.mark.parametrize("module", [images, text])
def test_every_objective_trains_an_encoder_of_its_own(module, vectors_of):
    rows = vectors_of(module)[2::2]  # the training vectors of all but the baseline
    assert len({row.tobytes() for row in rows}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINE)
def test_help_says_what_it_is(name):
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--help"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "ICLR 2021" in done.stdout
    assert "--tau-plus" in done.stdout


@pytest.mark.parametrize("name", BASELINE)
def test_the_committed_table_is_that_of_the_committed_scores(name):
    table = scoring.table(read(EXAMPLES / "results" / f"{name}.csv"))
    assert (EXAMPLES / "results" / f"{name}.md").read_text().startswith(table + "\n")
    assert table in (ROOT / "docs" / "examples.md").read_text()


def test_the_page_says_how_many_differences_from_uniform_are_left():
    found = []
    for name in BASELINE:
        scores = read(EXAMPLES / "results" / f"{name}.csv")
        pairs = [
            (scores[row][probe], scores["uniform"][probe])
            for row in ("debiased", "hard")
            for probe in PROBES
        ]
        found += [
            paired_difference(*pair, scoring.TEST_SHARE / (1 - scoring.TEST_SHARE))
            for pair in pairs
        ]
    assert len(found) == 12
    assert sum(each.low > 0 or each.high < 0 for each in found) == 3
    assert 12 * min(each.p for each in found) > 0.05  # Holm's first step


def test_a_table_by_hand():
    """Two seeds; the corrected error of a mean is sqrt((1/2 + 1/3) s^2), and t of 0.975 with 1 degree is 12.706."""
    rows = {
        "untrained": [50.0, 52.0],
        "uniform": [60.0, 60.0],
        "debiased": [61.0, 63.0],
        "hard": [60.0, 60.0],
    }
    table = scoring.table({row: {"linear": values} for row, values in rows.items()}).splitlines()
    half = 12.7062 * (5 / 6 * 2) ** 0.5  # s^2 is 2
    assert table[2] == f"| untrained | 51.0 [{51 - half:.1f}, {51 + half:.1f}] |"
    assert table[6:] == [
        f"| uniform - untrained | +9.0 [{9 - half:+.1f}, {9 + half:+.1f}] |",
        f"| hard - untrained | +9.0 [{9 - half:+.1f}, {9 + half:+.1f}] |",
        f"| debiased - uniform | +2.0 [{2 - half:+.1f}, {2 + half:+.1f}] |",
        "| hard - uniform | +0.0 [+0.0, +0.0] |",
    ]


def test_the_objectives_are_what_their_names_say():
    arguments = scoring.Arguments(seeds=2, epochs=1, beta=3.0, tau_plus=0.2)
    assert {row: tuple(arguments.of(row).values()) for row in scoring.OBJECTIVES} == {
        "uniform": (0, 0),
        "debiased": (0, 0.2),
        "hard": (3, 0.2),
    }


@pytest.fixture
def vectors_of(monkeypatch):
    """Runs an example for a seed; gives all (train, test) vectors that its probes see."""

    def run(module):
        seen = []

        def judge(train, train_labels, test, test_labels):
            assert (train.shape[0], test.shape[0]) == (len(train_labels), len(test_labels))
            seen.extend((train, test))
            return dict.fromkeys(PROBES, 50.0)

        monkeypatch.setattr(module, "classify", judge)
        monkeypatch.setattr(module, "write", lambda *_: None)
        monkeypatch.setattr(sys, "argv", ["example", "--seeds", "1", "--epochs", "1"])
        module.main()
        assert len(seen) == 5 * 2
        return [each.toarray() if hasattr(each, "toarray") else each for each in seen]

    return run


@pytest.mark.slow
def test_images_do_not_see_labels(vectors_of, monkeypatch):
    digits = images.load_digits()
    monkeypatch.setattr(images, "load_digits", lambda: digits)
    first = vectors_of(images)
    digits.target = np.random.default_rng(0).permutation(digits.target)
    for one, other in zip(first, vectors_of(images), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_sentences_do_not_see_labels(vectors_of, monkeypatch):
    sentences, functions, modules = text.corpus()
    monkeypatch.setattr(text, "corpus", lambda: (sentences, functions, modules))
    first = vectors_of(text)
    monkeypatch.setattr(
        text,
        "corpus",
        lambda: (sentences, functions, np.random.default_rng(0).permutation(modules)),
    )
    for one, other in zip(first, vectors_of(text), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_sees_the_training_images_alone(vectors_of, monkeypatch):
    parts = []
    monkeypatch.setattr(
        images, "train", lambda encoder, part, objective, arguments: parts.append(part.flatten(1))
    )
    judged = vectors_of(images)
    assert len(parts) == 3
    for part in parts:
        np.testing.assert_array_equal(part.numpy(), judged[0])  # the first row is of raw pixels
    assert not {image.tobytes() for image in judged[0]} & {image.tobytes() for image in judged[1]}


def test_training_sees_the_training_sentences_alone(monkeypatch):
    """Functions stand in for the labels here, so that the judge sees them; training is given as many sentences."""
    sentences, functions, _ = text.corpus()
    parts, judged = [], []
    monkeypatch.setattr(text, "corpus", lambda: (sentences, functions, functions))
    monkeypatch.setattr(
        text, "train", lambda vectors, words, objective, arguments: parts.append(len(words))
    )

    def judge(train, train_labels, test, test_labels):
        judged.append(len(train_labels))
        assert not set(train_labels) & set(test_labels)
        assert len(train_labels) + len(test_labels) == 4000
        return dict.fromkeys(PROBES, 50.0)

    monkeypatch.setattr(text, "classify", judge)
    monkeypatch.setattr(text, "write", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["example", "--seeds", "1"])
    text.main()
    assert parts == judged[2:]


def test_the_corpus_has_each_sentence_once_and_500_a_module():
    sentences, functions, modules = text.corpus()
    assert len(set(sentences)) == len(sentences) == 4000
    assert {module: int((modules == module).sum()) for module in text.MODULES} == dict.fromkeys(
        text.MODULES, 500
    )
    assert all(
        function.startswith(f"{module}.")
        for function, module in zip(functions, modules, strict=True)
    )
    assert min(len(sentence.split()) for sentence in sentences) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_corpus_is_the_same_in_every_process(hash_seed):
    command = [sys.executable, "-c", "import text; print('|'.join(text.corpus().ravel()))"]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{EXAMPLES}",
        "PYTHONHASHSEED": hash_seed,
    }
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "|".join(text.corpus().ravel())


@pytest.mark.slow
def test_molecules_run_and_write_their_table(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        sys, "argv", ["molecules.py", "--repeats", "1", "--molecules", "60", "--out", str(tmp_path)]
    )
    molecules.main()
    scores, table = read(tmp_path / "molecules.csv"), (tmp_path / "molecules.md").read_text()
    assert list(scores) == ["Morgan counts", *molecules.ENCODERS]
    assert all(len(values) == 4 for found in scores.values() for values in found.values())
    assert len({tuple(found["ridge, R2 in %"]) for found in scores.values()}) == 5
    assert table in capsys.readouterr().out
    assert f"rdkit {version('rdkit')}" in table


@pytest.mark.slow
def test_encoders_of_molecules_see_the_training_folds_alone(monkeypatch):
    smiles, activity = molecules.molecules()
    smiles, activity = smiles[:40], activity[:40]
    monkeypatch.setattr(molecules, "molecules", lambda: (smiles, activity))
    monkeypatch.setattr(molecules, "write", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["molecules.py", "--repeats", "1"])
    given, judged = [], []

    class Encoder(molecules.HardInfoGraph):
        def fit(self, graphs, y=None):
            assert y is None
            assert all(graph.y is None for graph in graphs)
            given.append([graph.smiles for graph in graphs])
            return super().fit(graphs)

    def judge(vectors, target, seen, unseen):
        np.testing.assert_array_equal(target, activity)
        judged.append([smiles[each] for each in seen])
        assert sorted([*seen, *unseen]) == list(range(40))
        return {"ridge, R2 in %": 0.0}

    monkeypatch.setattr(molecules, "HardInfoGraph", Encoder)
    monkeypatch.setattr(molecules, "regress", judge)
    molecules.main()
    assert given == [
        fold for number, fold in enumerate(judged) if number % 5
    ]  # the first row has no encoder


def test_an_outlying_molecule_does_not_blow_up_the_regression():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((40, 3))
    vectors[:, 2] = 0.0
    vectors[:2, 2] = 1e-6, 1e6  # all but constant in training
    target = vectors[:, 0]
    found = molecules.regress(vectors, target, np.r_[0, 2:30], np.r_[1, 30:40])
    assert found["ridge, R2 in %"] > 90


def test_the_committed_table_of_molecules_is_that_of_its_scores():
    table = scoring.table(read(EXAMPLES / "results" / "molecules.csv"))
    assert (EXAMPLES / "results" / "molecules.md").read_text().startswith(table + "\n")


@pytest.mark.slow
def test_own_graphs_fall_into_clusters():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLES / "own_graphs.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    *kinds, last = done.stdout.splitlines()
    assert [sum(map(int, line.split()[-3:])) for line in kinds] == [40, 40, 40]
    assert float(last.split()[-1]) > 0.3  # chance is 0
