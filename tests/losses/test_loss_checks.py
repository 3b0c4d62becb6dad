"""What the objectives refuse, and that the sentence names the cause."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from graphcl_hard import (
    InputError,
    beta_schedule,
    effective_negatives,
    hard_negative_weights,
    local_global_info_nce,
    local_global_jsd,
    nt_xent,
)

ROWS = F.normalize(torch.tensor([[1.0, 2.0], [3.0, 1.0], [-1.0, 1.0]]))
BATCH = torch.tensor([0, 0, 1])


def changed(row, value):
    rows = ROWS.clone()
    rows[row] = value
    return rows


VIEWS = [
    (changed(1, 0.0), ROWS, "rows of view1 .* length 0 of row 1; zeros have no direction"),
    (ROWS, changed(2, 3.0), r"rows of view2 .* length 4\.24 of row 2; normalise them"),
    (ROWS, changed(0, torch.nan), "rows of view2 .* length nan of row 0; .* not finite"),
    (ROWS.long(), ROWS, r"view1 must be a floating-point tensor, got torch\.int64"),
    (ROWS, ROWS.tolist(), "view2 must be a floating-point tensor, got a list"),
    (ROWS, ROWS.to("meta"), "view1 and view2 must be on one device, got cpu and meta"),
]


@pytest.mark.parametrize(("view1", "view2", "message"), VIEWS)
def test_views(view1, view2, message):
    with pytest.raises(InputError, match=message):
        nt_xent(view1, view2)


def test_a_row_of_zeros_that_was_normalised():
    views = F.normalize(changed(0, 0.0)), ROWS
    with pytest.raises(
        InputError, match="row 0; zeros have no direction, so normalising keeps them"
    ):
        nt_xent(*views)


PAIRS = [
    (ROWS.numpy(), ROWS, BATCH, "local must be a floating-point tensor, got a ndarray"),
    (ROWS, None, BATCH, "summary must be a floating-point tensor, got a NoneType"),
    (ROWS, ROWS.double(), BATCH, r"must have one dtype, got torch\.float32 and torch\.float64"),
    (ROWS, ROWS, BATCH.tolist(), r"batch must be \(3,\) int64 on cpu, .*, got a list"),
    (ROWS, ROWS, BATCH.to("meta"), "int64 on cpu, .* on meta; convert it"),
    (ROWS, ROWS, BATCH.int(), r"got \(3,\) torch\.int32"),
]


@pytest.mark.parametrize("objective", [local_global_jsd, local_global_info_nce])
@pytest.mark.parametrize(("local", "summary", "batch", "message"), PAIRS)
def test_pairs(objective, local, summary, batch, message):
    with pytest.raises(InputError, match=message):
        objective(local, summary, batch)


@pytest.mark.parametrize("name", ["beta", "tau_plus", "temperature"])
@pytest.mark.parametrize("value", ["0.5", None, [0.5], torch.nan], ids=repr)
def test_numbers(name, value):
    for call in (
        lambda **given: nt_xent(ROWS, ROWS, **given),
        lambda **given: local_global_jsd(ROWS, ROWS, BATCH, **given),
    ):
        with pytest.raises(InputError, match=f"{name} must lie in .*got"):
            call(**{name: value})


def test_numbers_of_other_libraries():
    expected = nt_xent(ROWS, ROWS, beta=0.5)
    for value in (np.float32(0.5), np.float64(0.5), torch.tensor(0.5)):
        assert torch.equal(nt_xent(ROWS, ROWS, beta=value), expected)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, 3), r"mask must be \(3, 2\) bool, like .*, got \(3, 3\) torch\.float32"),
        ([[True]], r"mask must be \(3, 2\) bool, like .*, got \[\[True\]\]"),
    ],
)
def test_masks(mask, message):
    for call in (
        lambda: hard_negative_weights(ROWS, 1.0, mask),
        lambda: effective_negatives(ROWS, mask),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_matrices():
    for call in (lambda rows: hard_negative_weights(rows, 1.0), effective_negatives):
        with pytest.raises(
            InputError, match=r"must be \(N, G\), .*, got \(2,\); for one anchor give"
        ):
            call(ROWS[0])
        with pytest.raises(InputError, match="must be a floating-point tensor"):
            call(ROWS.tolist())


def test_steps():
    with pytest.raises(InputError, match=r"step must lie in .*, got '0'"):
        beta_schedule("0", 5, 1.0)
