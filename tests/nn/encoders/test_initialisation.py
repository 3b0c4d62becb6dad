"""Initial weights are the same everywhere, and distributed as PyTorch's."""

import math

import numpy as np
import pytest
import torch

from graphcl_hard import HardInfoGraph, InputError, MessagePassingEncoder
from graphcl_hard.nn.encoders.initialisation import initialise
from graphcl_hard.nn.encoders.pretrained import load_pretrained


def encoder():
    return MessagePassingEncoder("gine", in_channels=7, hidden_channels=5, edge_channels=3)


def test_weights_are_those_of_the_formula():
    found = encoder()
    initialise(found, seed=3)
    parameters = dict(found.named_parameters())
    stream = iter(np.random.PCG64(3).random_raw(10_000).tolist())
    for name in sorted(name for name in parameters if parameters[name].dim() == 2):
        weight = parameters[name]
        for tensor in (weight, parameters[name.replace("weight", "bias")]):
            for value in tensor.flatten().tolist():
                wanted = (2 * ((next(stream) >> 40) / 2**24) - 1) / math.sqrt(weight.size(1))
                assert value == np.float32(wanted)
    assert torch.equal(parameters["bns.0.weight"], torch.ones(5))


def test_weights_depend_only_on_the_seed():
    torch.manual_seed(0)
    one, other, third = encoder(), encoder(), encoder()
    initialise(one, seed=0)
    torch.set_default_dtype(torch.float64)
    try:
        initialise(other, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    initialise(third, seed=1)
    state, same, different = (each.state_dict() for each in (one, other, third))
    assert all(torch.equal(state[name], same[name]) for name in state)
    assert not torch.equal(state["convs.0.nn.0.weight"], different["convs.0.nn.0.weight"])
    assert state["convs.0.nn.0.weight"].dtype == torch.float32


def test_weights_have_the_distribution_of_pytorch():
    large = MessagePassingEncoder("gine", in_channels=400, hidden_channels=300, edge_channels=3)
    initialise(large, seed=0)
    weight = large.state_dict()["convs.0.nn.0.weight"].double()
    bound = 1 / math.sqrt(400)
    assert weight.abs().max() <= bound
    standard_error = bound / math.sqrt(3) / math.sqrt(weight.numel())
    assert abs(weight.mean()) < 4 * standard_error
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)


def test_the_named_encoder_reads_molecules():
    pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")
    vectors = HardInfoGraph.from_pretrained("molecules-random").transform(["CCO", "c1ccccc1O"])
    assert vectors.shape == (2, 2048)
    # Of this package on one machine: others must agree up to rounding.
    pinned = [
        [0.0, 0.01806823, 0.13936757, 0.0],
        [0.02363256, 0.0, 0.50807554, 0.0],
    ]
    assert np.abs(vectors[:, ::512] - pinned).max() < 1e-5


def test_a_molecule_has_one_vector_however_its_smiles_is_written():
    pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")
    written = ["N[C@@H](C)C(=O)O", "OC(=O)[C@H](C)N", "N[C@@H](C(=O)O)C", "CC(N)C(O)=O"]
    vectors = HardInfoGraph.from_pretrained("molecules-random").transform([*written, "CC(N)CO"])
    assert np.abs(vectors[:4] - vectors[0]).max() < 1e-5
    assert np.abs(vectors[4] - vectors[0]).max() > 0.1


def test_a_named_encoder_takes_no_random_numbers_of_the_caller():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_pretrained("molecules-random")
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_name_lists_those_that_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no encoder 'molecule-random'; .* are molecules-random"):
        HardInfoGraph.from_pretrained("molecule-random")
    found, features = load_pretrained("molecules-random")
    assert features.vocabulary.name == "molecules-without-stereo-1"
    assert features.widths == (found.in_channels, found.edge_channels) == (174, 25)
    (tmp_path / "molecules-random").mkdir()
    with pytest.raises(
        InputError, match=r"is an encoder of the package and a folder here; give '\./"
    ):
        load_pretrained("molecules-random")
    with pytest.raises(InputError, match="it has no encoder"):
        load_pretrained("./molecules-random")
