"""A batch that is encoded in chunks against the same batch at once."""

import dataclasses

import pytest
from test_distributed import BASE, a_training, largest_difference

CHANGES = {
    "jsd": {},
    "info-nce": {"objective": "info-nce"},
    "released": {"mode": "released"},
    "sampled": {"nodes_per_graph": 3},
    "graphcl": {"method": "graphcl", "views": ("edge-perturb", "node-drop")},
    "queue": {"negative_queue": 10, "batch_size": 7, "epochs": 2},
}
ENCODERS = ["gin", "gine", "gcn", "gat", "sage", "pna"]


@pytest.mark.parametrize("chunk", [1, 5, 24, 100])
@pytest.mark.parametrize("name", CHANGES)
def test_loss_gradients_and_statistics_are_those_of_the_whole_batch(name, chunk):
    config = dataclasses.replace(BASE, **CHANGES[name])
    whole, cached = a_training(config), a_training(dataclasses.replace(config, gradient_cache=chunk))
    assert max(abs(array).max() for key, array in whole.items() if key.startswith("grad encoder")) > 1e-3
    assert largest_difference(whole, cached)[0] < 1e-9, largest_difference(whole, cached)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("readout", ["sum", "max", "attention"])
def test_it_is_exact_for_every_encoder(encoder, readout):
    config = dataclasses.replace(BASE, encoder=encoder, readout=readout, num_layers=3)
    whole, cached = a_training(config), a_training(dataclasses.replace(config, gradient_cache=5))
    assert largest_difference(whole, cached)[0] < 1e-9, largest_difference(whole, cached)
