"""An epoch that is continued after some of its batches, and the one that was never left."""

import torch

from graphcl_hard.loader.in_memory import EpochOrder


def same_continued_epochs(batches, batch_size):
    """Assert that an epoch continues after any of its batches with the same batches, and so does the one after it."""
    generator, order = torch.Generator().manual_seed(3), EpochOrder()
    next(batches.shuffled(batch_size, generator, 2, order))  # this epoch is left
    expected, places = [], []
    for batch in batches.shuffled(batch_size, generator, 2, order):
        expected.append(drawn(batch))
        places.append((generator.get_state(), dict(order.states)))
    assert len(expected) >= 3
    end = generator.get_state()
    following = drawn(next(batches.shuffled(batch_size, generator, 2)))
    assert following not in expected
    for done, (state, states) in enumerate(places, 1):
        again, continued = torch.Generator(), EpochOrder(done, states)
        again.set_state(state)
        rest = [drawn(batch) for batch in batches.shuffled(batch_size, again, 2, continued)]
        assert rest == expected[done:]
        assert torch.equal(again.get_state(), end)
    assert drawn(next(batches.shuffled(batch_size, again, 2, continued))) == following


def drawn(batch):
    """Return what is random in a batch: its graphs and its sample of nodes."""
    return batch.graph_ids.tolist(), batch.sample.node.tolist()
