"""Per-graph reductions, by torch-scatter if it is installed and by PyTorch's own operations otherwise."""

from typing import Literal

import torch
from torch import Tensor

from graphcl_hard._tensor import full_precision

try:
    import torch_scatter
except ImportError:
    torch_scatter = None

Reduce = Literal["sum", "mean", "max"]
HAS_TORCH_SCATTER = torch_scatter is not None


def scatter(src: Tensor, index: Tensor, dim_size: int, reduce: Reduce = "sum") -> Tensor:
    """Reduce the rows of `src` that share an index.

    Args:
        src: (N, D), float.
        index: (N,) int64 in [0, `dim_size`), in any order.
        dim_size: number of rows of the result, G.
        reduce: "sum", "mean" or "max".

    Returns:
        (G, D) of the same dtype; a row to which nothing belongs holds zeros. Half precision is reduced and returned in
        float32, since bfloat16 cannot count beyond 256.
    """
    src = full_precision(src)
    if torch_scatter is not None and not torch.compiler.is_compiling():
        reduced: Tensor = torch_scatter.scatter(src, index, dim=0, dim_size=dim_size, reduce=reduce)
        return reduced
    return scatter_native(src, index, dim_size, reduce)


def scatter_native(src: Tensor, index: Tensor, dim_size: int, reduce: Reduce = "sum") -> Tensor:
    """Return what `scatter` returns, computed only by PyTorch's own operations."""
    src = full_precision(src)
    out = src.new_zeros(dim_size, src.size(1))
    if reduce == "sum":
        return out.index_add(0, index, src)
    if reduce == "mean":
        count = src.new_zeros(dim_size).index_add(0, index, src.new_ones(src.size(0)))
        return out.index_add(0, index, src) / count.clamp_min(1).unsqueeze(1)
    # include_self=False keeps the zeros of rows without members.
    return out.scatter_reduce(0, index.unsqueeze(1).expand_as(src), src, "amax", include_self=False)
