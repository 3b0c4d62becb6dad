"""The warnings after training, and the line that they refer to."""

import warnings

import pytest

from graphcl_hard.exceptions import user_stacklevel
from graphcl_hard.training.state import Epoch
from graphcl_hard.training.warnings import caution


def epochs(*pairs):
    """Return the warnings for (beta, effective negatives) pairs."""
    return [
        Epoch(number, beta, 1.0, share, 0.0, 0.0, 0.0)
        for number, (beta, share) in enumerate(pairs, start=1)
    ]


@pytest.mark.parametrize(
    ("graphs", "batch_size", "method", "behind", "sentence"),
    [
        (188, 128, "infograph", [(10, 0.5)], None),
        (
            188,
            15,
            "infograph",
            [(10, 0.5)],
            "A batch has 15 graphs, so 14 negatives; 128 graphs are usual.",
        ),
        (
            15,
            128,
            "graphcl",
            [(0, 1)],
            "A batch has 15 graphs, so 28 negatives; 128 graphs are usual.",
        ),
        (16, 128, "infograph", [(0, 1)], None),
        (
            101,
            128,
            "infograph",
            [(10, 0.019)],
            "The weights leave 1.9 of 100 negatives effective; lower `beta`.",
        ),
        (101, 128, "infograph", [(10, 0.02)], None),
        (
            101,
            128,
            "graphcl",
            [(10, 0.0095)],
            "The weights leave 1.9 of 200 negatives effective; lower `beta`.",
        ),
        (
            188,
            128,
            "infograph",
            [(1e-5, 1.0)],
            "The weights of the negatives are all alike; a larger `beta`",
        ),
        (188, 128, "infograph", [(0, 1.0)], None),
        (188, 128, "infograph", [], None),
        (3, 128, "infograph", [], None),
        # the hardest epoch counts, and of several the last
        (188, 128, "infograph", [(10, 0.5), (5, 0.7), (0, 1.0)], None),
        (188, 128, "infograph", [(1e-3, 1.0), (10, 0.5)], None),
        (101, 128, "infograph", [(10, 0.001), (10, 0.5)], None),
        (101, 128, "infograph", [(10, 0.5), (10, 0.015)], "The weights leave 1.5 of 100"),
    ],
)
def test_cautions(graphs, batch_size, method, behind, sentence):
    found = caution(graphs, batch_size, method, epochs(*behind))
    assert found is None if sentence is None else found.startswith(sentence)


@pytest.mark.parametrize(
    ("target", "behind", "sentence"),
    [
        (0.2, [(0.5, 0.2), (0, 1.0)], "All negatives stayed effective instead of 20%, since the"),
        (0.2, [(0, 1.0), (0.5, 0.2)], None),  # the last epoch counts
        (0.02, [(5, 0.015)], None),  # beta cannot be lowered, and a sample decides on it
        (1.0, [(0, 1.0)], None),
        (
            0.2,
            [(1e6, 0.26)],
            "26% of the negatives are effective, the target is 20%: too many negatives have equal",
        ),
        (0.2, [(1e6, 0.24)], None),
        (1e-3, [(1e6, 0.065)], None),  # two of the 100 stay effective
        (1e-3, [(1e6, 0.075)], "8% of the negatives are effective, the target is 0.1%: too many"),
    ],
)
def test_cautions_where_beta_is_found(target, behind, sentence):
    found = caution(101, 128, "infograph", epochs(*behind), target=target)
    assert found is None if sentence is None else found.startswith(sentence)


@pytest.mark.parametrize(
    ("graphs", "batch_size", "method", "queue", "sentence"),
    [
        (188, 8, "infograph", 7, "A batch has 8 graphs, so 14 negatives"),
        (188, 8, "infograph", 8, None),
        (12, 8, "infograph", 100, "A batch has 8 graphs, so 11 negatives"),
        (19, 8, "graphcl", 100, None),
        (188, 128, "infograph", 60, None),
        (
            128,
            128,
            "infograph",
            60,
            "A batch holds all 128 graphs, so a queue of negatives is empty",
        ),
        (188, 100, "graphcl", 1000, None),
    ],
)
def test_a_queues_negatives_count(graphs, batch_size, method, queue, sentence):
    found = caution(graphs, batch_size, method, epochs((10, 0.5)), queue)
    assert found is None if sentence is None else found.startswith(sentence)
    if queue == 1000:
        few = caution(graphs, batch_size, method, epochs((10, 0.005)), queue)
        assert few == "The weights leave 1.9 of 374 negatives effective; lower `beta`."


def test_the_level_of_a_call_from_outside_is_its_own_line():
    assert user_stacklevel() == 1
    with pytest.warns(UserWarning, match="text") as caught:
        warnings.warn("text", stacklevel=user_stacklevel())
    assert caught[0].filename == __file__
