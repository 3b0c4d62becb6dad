"""Per-graph reductions against loops, and torch-scatter against PyTorch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcl_hard.nn.readout import HAS_TORCH_SCATTER, scatter, scatter_native

REDUCE = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}


@settings(deadline=None, max_examples=50)
@given(
    index=st.lists(st.integers(0, 5), max_size=12),
    extra=st.integers(0, 2),
    reduce=st.sampled_from(["sum", "mean", "max"]),
)
def test_native_equals_a_loop(index, extra, reduce):
    size = max(index, default=0) + 1 + extra
    src = torch.randn(len(index), 3, dtype=torch.float64)
    index = torch.tensor(index, dtype=torch.int64)
    expected = torch.zeros(size, 3, dtype=torch.float64)
    for row in range(size):
        if (index == row).any():
            expected[row] = REDUCE[reduce](src[index == row], dim=0)
    torch.testing.assert_close(scatter_native(src, index, size, reduce), expected)
    torch.testing.assert_close(scatter(src, index, size, reduce), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_counts_beyond_256(dtype):
    src, index = torch.full((2000, 2), 0.5, dtype=dtype), torch.zeros(2000, dtype=torch.int64)
    for function in (scatter, scatter_native):
        assert function(src, index, 1, "mean")[0, 0].item() == pytest.approx(0.5)
        assert function(src, index, 1, "sum")[0, 0].item() == pytest.approx(1000.0)


@pytest.mark.scatter
@pytest.mark.skipif(
    not HAS_TORCH_SCATTER, reason="torch-scatter is not installed (the extra [scatter])"
)
@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_torch_scatter_equals_native_in_value_and_gradient(reduce):
    index = torch.tensor([0, 0, 3, 1, 3, 3])
    results = []
    for function in (scatter, scatter_native):
        src = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(6, 4).sin().requires_grad_()
        out = function(src, index, 5, reduce)
        (out * torch.arange(20).reshape(5, 4)).sum().backward()
        results.append((out, src.grad))
    torch.testing.assert_close(results[0], results[1])
