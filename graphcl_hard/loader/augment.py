"""Random augmentations of whole batches: two views of the same graph should have similar embeddings.

Every augmentation works on all graphs of the batch at once. Its random numbers come from a generator on the CPU, so
they are the same on every device. On a GPU it synchronises only where the size of a tensor depends on the draw.

The augmentations of PyTorch Geometric are not used: they take no generator, and they sample from the batch as a whole
instead of within each graph.

Source: You, Chen, Sui, Chen, Wang, Shen, "Graph Contrastive Learning with Augmentations", NeurIPS 2020, table 1. The
authors' code for the TU data sets removes edges without adding any, each direction independently; this module follows
the paper.

The paper's section 4.2 recommends the following views. A data set does not state its kind, so no view is chosen
automatically.

======================================  ====================================================
node-drop, subgraph                     good on every kind of data set; the default pair
edge-perturb                            good on social networks, bad on some molecules
attribute-mask                          better the denser the graphs
two different views                     better than the same view twice
======================================  ====================================================

"random2", "random3" and "random" correspond to random2, random3 and random4 in the authors' code. They choose between
node-drop and subgraph; between these two and edge-perturb; and among all four. The authors' code contrasts the original
graph with one view that changes a tenth of the nodes or edges; the views "none" and "random2" with strength 0.1 do the
same.
"""

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from graphcl_hard._tensor import offsets
from graphcl_hard.config import View
from graphcl_hard.data.adjacency import Adjacency, sort_rows
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.loader.random_walks import NEVER, first_visits


def with_views(
    batch: GraphBatch,
    views: Sequence[View],
    strengths: Sequence[float],
    generator: torch.Generator | None = None,
) -> GraphBatch:
    """Return the batch with two augmented views, given two names and two strengths; see `augment`."""
    pairs = zip(views, strengths, strict=True)
    first, second = (augment(batch, view, strength, generator) for view, strength in pairs)
    return batch._replace(views=(first, second))


def augment(
    batch: GraphBatch, view: View, strength: float = 0.2, generator: torch.Generator | None = None
) -> GraphBatch:
    r"""Return a random view of every graph of a batch.

    An augmentation of strength s changes :math:`\lfloor s\, n_g + u_g \rfloor` of the :math:`n_g` nodes or edges of
    graph g, with one uniform :math:`u_g \in [0, 1)` for each graph, so the expected share is s. Every graph keeps its
    position in the batch and at least one node. Kept nodes and edges keep their order and features. Undirected graphs
    stay undirected.

    Args:
        batch: G graphs without self-loops or repeated edges, as returned by `load_graphs`.
        view: "node-drop" (`drop_nodes`), "edge-perturb" (`perturb_edges`), "attribute-mask" (`mask_attributes`) or
            "subgraph" (`subgraph`); "none" for the batch itself; "random2", "random3" or "random" for one of the first
            two, three or four of node-drop, subgraph, edge-perturb and attribute-mask, drawn once for the whole batch.
        strength: s in [0, 1).
        generator: generator of the random numbers, on the CPU; None for PyTorch's default generator.

    Returns:
        The view, on the device of the batch, without sampled nodes.

    Raises:
        InputError: the view is unknown, or the strength is out of range.
    """
    if not 0 <= strength < 1:
        raise InputError(f"strength must lie in [0, 1), got {strength}; 0.2 is usual.")
    if view not in get_args(View):
        raise InputError(
            f"view must be one of {', '.join(get_args(View))}, got {short_repr(view)}."
        )
    batch = batch._replace(sample=None, views=None)
    if view == "none":
        return batch
    chosen: str = view
    if view in POOLS:
        chosen = POOLS[view][
            int(torch.randint(len(POOLS[view]), (1,), device="cpu", generator=generator))
        ]
    return AUGMENTATIONS[chosen](batch, strength, generator)


def drop_nodes(batch: GraphBatch, strength: float, generator: torch.Generator | None) -> GraphBatch:
    """Drop a share of each graph's nodes, chosen uniformly, and all their edges."""
    ptr = _node_ptr(batch)
    count = _num_dropped(ptr.diff(), strength, generator)
    return _keep(batch, ~_choose(batch.batch, ptr, count, generator))


def perturb_edges(
    batch: GraphBatch, strength: float, generator: torch.Generator | None
) -> GraphBatch:
    """Remove a share of each graph's edges, and add as many between pairs of its nodes that had no edge.

    A graph with too few unconnected pairs gets all of them. Removed edges and new pairs are chosen uniformly. In
    undirected graphs pairs are unordered, and both directions of an edge are removed or added together.

    The paper does not say which features a new edge has. Here, each new edge takes over the features of a different
    removed edge of its graph, matched at random; where the two directions of an edge have different features, each
    direction keeps its own. So every graph keeps its number of edges of each kind. A row of zeros would be a kind of
    edge that occurs in no graph, by which an encoder could distinguish the two views.
    """
    adjacency, ptr = batch.adjacency, _node_ptr(batch)
    source, target = adjacency.source, adjacency.target_rows()
    if adjacency.is_symmetric:
        once = (source < target).nonzero().squeeze(1)
        source, target = source.index_select(0, once), target.index_select(0, once)
    graph = batch.batch.index_select(0, target)  # (M,) of each edge, ascending
    edge_ptr = torch.searchsorted(graph, torch.arange(batch.num_graphs + 1, device=graph.device))
    size, edges = ptr.diff(), edge_ptr.diff()
    pairs = size * (size - 1) // (2 if adjacency.is_symmetric else 1)  # (G,)
    count = _share(edges, strength, generator)
    order = _shuffled(graph, generator)  # the first `count` edges of each graph are removed
    kept = (~_first(order, graph, edge_ptr, count)).nonzero().squeeze(1)

    # All pairs of the batch are numbered, graph after graph. The number of the r-th pair without an edge is r plus the
    # count of edges before it, which are the edges preceded by at most r pairs without an edge.
    start, before = pairs.cumsum(0) - pairs, ptr[:-1]
    code = start[graph] + _pair_code(
        source - before[graph], target - before[graph], size[graph], adjacency
    )
    absent_before = code.sort().values - torch.arange(code.numel(), device=code.device)
    owner, rank = _spread_draws(torch.minimum(count, pairs - edges), pairs - edges, generator)
    rank = rank + (start - edge_ptr[:-1])[owner]
    number = rank + torch.searchsorted(absent_before, rank, right=True) - start[owner]
    new_source, new_target = _pair(number, size[owner], adjacency)
    new_ends = new_source + before[owner], new_target + before[owner]
    ends = [
        torch.cat([end.index_select(0, kept), new])
        for end, new in zip((source, target), new_ends, strict=True)
    ]
    origin = None
    if batch.edge_attr is not None:
        place = torch.arange(owner.numel(), device=owner.device) - torch.searchsorted(owner, owner)
        origin = torch.cat([kept, order.index_select(0, edge_ptr.index_select(0, owner) + place)])
    return _rejoin(batch, (source, target), ends, origin)


def mask_attributes(
    batch: GraphBatch, strength: float, generator: torch.Generator | None
) -> GraphBatch:
    """Set all features of a share of each graph's nodes to zero; indices of one-hot columns become -1.

    The authors' code inserts noise instead. Zero is the mean of a standardised column; -1 stands for no label, which
    `GINEncoder.forward` reads as a row of zeros.
    """
    ptr = _node_ptr(batch)
    masked = _choose(batch.batch, ptr, _share(ptr.diff(), strength, generator), generator)
    return batch._replace(
        x=batch.x.masked_fill(masked.unsqueeze(1), 0 if batch.x.is_floating_point() else -1)
    )


def subgraph(batch: GraphBatch, strength: float, generator: torch.Generator | None) -> GraphBatch:
    """Keep a connected part of each graph: the nodes that random walks from one of its nodes reach first.

    A share of the nodes is dropped. Ties between nodes reached in the same step are broken at random. If the walks end
    before enough nodes are reached, for instance because the component of the first node is too small, the graph keeps
    the nodes that were reached, possibly only the first; see `first_visits`.
    """
    ptr = _node_ptr(batch)
    wanted = ptr.diff() - _num_dropped(ptr.diff(), strength, generator)
    visit = first_visits(batch.adjacency, batch.batch, ptr, wanted, generator)
    ties = torch.randint(2**32, visit.shape, device="cpu", generator=generator).to(visit.device)
    order = (((batch.batch * (NEVER + 1) + visit) << 32) + ties).argsort(stable=True)
    return _keep(batch, _first(order, batch.batch, ptr, wanted) & (visit < NEVER))


AUGMENTATIONS = {
    "node-drop": drop_nodes,
    "edge-perturb": perturb_edges,
    "attribute-mask": mask_attributes,
    "subgraph": subgraph,
}
POOLS = {
    "random2": ("node-drop", "subgraph"),
    "random3": ("node-drop", "edge-perturb", "subgraph"),
    "random": tuple(AUGMENTATIONS),
}
"""Views that stand for one of several augmentations, drawn for each batch."""


def _keep(batch: GraphBatch, kept: Tensor) -> GraphBatch:
    """Return the batch without the nodes where `kept` (N,) bool is False, and without their edges."""
    nodes, number = kept.nonzero().squeeze(1), kept.cumsum(0) - 1

    def cut(ptr: Tensor, column: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        row_kept = kept.repeat_interleave(ptr.diff(), output_size=column.numel())
        edge_kept = row_kept & kept.index_select(0, column)
        before = offsets(edge_kept.long())
        starts = torch.cat([ptr.index_select(0, nodes), ptr[-1:]])
        edges = edge_kept.nonzero().squeeze(1)
        return (
            before.index_select(0, starts),
            number.index_select(0, column.index_select(0, edges)),
            edges,
        )

    adjacency, edge_attr = batch.adjacency, batch.edge_attr
    *sends, edges = cut(adjacency.transposed_ptr, adjacency.target)
    receives = sends if adjacency.is_symmetric else cut(adjacency.ptr, adjacency.source)[:2]
    if edge_attr is not None:
        edge_attr = edge_attr.index_select(0, edges)
    x, graph = batch.x.index_select(0, nodes), batch.batch.index_select(0, nodes)
    return batch._replace(
        x=x, adjacency=Adjacency(*receives, *sends), batch=graph, edge_attr=edge_attr
    )


def _rejoin(
    batch: GraphBatch, old: Sequence[Tensor], new: Sequence[Tensor], origin: Tensor | None
) -> GraphBatch:
    """Return the batch with the `new` edges, sources and targets (M',), in place of the `old` (M,).

    Undirected edges are given once. `origin` (M',) holds the positions in `old` of the edges whose features the new
    edges take over.
    """
    nodes, symmetric = batch.batch.numel(), batch.adjacency.is_symmetric
    if symmetric:  # the direction from the larger node number comes first
        old, new = (
            [torch.cat([target, source]), torch.cat([source, target])]
            for source, target in (old, new)
        )
    ptr, order = sort_rows(new[0], nodes)
    edge_attr = batch.edge_attr
    if edge_attr is not None and origin is not None:
        if symmetric:
            origin = torch.cat([origin, origin + old[0].numel() // 2])
        source, target = batch.adjacency.edge_index
        code, by_code = (source * nodes + target).sort()
        # Rows of the `old` edges in `edge_attr`.
        place = by_code.index_select(0, torch.searchsorted(code, old[0] * nodes + old[1]))
        edge_attr = edge_attr.index_select(0, place.index_select(0, origin.index_select(0, order)))
    receives = sends = ptr, new[1].index_select(0, order)
    if not symmetric:
        ptr, order = sort_rows(new[1], nodes)
        receives = ptr, new[0].index_select(0, order)
    return batch._replace(adjacency=Adjacency(*receives, *sends), edge_attr=edge_attr)


def _node_ptr(batch: GraphBatch) -> Tensor:
    """Return (G + 1,), the offsets of the graphs' nodes."""
    return torch.searchsorted(
        batch.batch, torch.arange(batch.num_graphs + 1, device=batch.batch.device)
    )


def _share(size: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """Return (G,), a share of each size, rounded up or down at random so that the expected value is exact."""
    uniform = torch.rand(size.numel(), dtype=torch.float64, device="cpu", generator=generator)
    return (strength * size + uniform.to(size.device)).long().minimum(size)


def _num_dropped(size: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """Return (G,), how many nodes of each graph are dropped; every graph keeps one."""
    return _share(size, strength, generator).minimum((size - 1).clamp_min(0))


def _choose(group: Tensor, ptr: Tensor, count: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return a mask (M,) of `count` (G,) random members of each group; `group` (M,) is sorted with offsets `ptr`."""
    return _first(_shuffled(group, generator), group, ptr, count)


def _shuffled(group: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return (M,), the positions of all members, group after group, in random order within each group."""
    noise = torch.randint(2**32, group.shape, device="cpu", generator=generator).to(group.device)
    return ((group << 32) + noise).argsort(stable=True)


def _first(order: Tensor, group: Tensor, ptr: Tensor, count: Tensor) -> Tensor:
    """Return a mask (M,) of the first `count` (G,) members of each group in `order` (M,), which is sorted by group."""
    place = torch.arange(group.numel(), device=group.device) < (ptr[:-1] + count).index_select(
        0, group
    )
    return torch.empty_like(place).index_copy_(0, order, place)


def _spread_draws(
    count: Tensor, size: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw `count` distinct integers in [0, `size`) for each group, all equally likely; return (groups, integers).

    One integer is drawn from each of `count` strata; then all are shifted by the same random offset, modulo `size`.
    """
    group = torch.arange(count.numel(), device=count.device).repeat_interleave(count)  # (A,)
    stratum = torch.arange(group.numel(), device=count.device) - (count.cumsum(0) - count)[group]
    width, strata = size[group], count[group]
    low, high = stratum * width // strata, (stratum + 1) * width // strata
    drawn = low + _below(high - low, generator)
    return group, (drawn + _below(size, generator)[group]) % width


def _below(size: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw a random integer in [0, size) for each size; the result for size 0 is not used."""
    uniform = torch.rand(size.numel(), dtype=torch.float64, device="cpu", generator=generator)
    return (uniform.to(size.device) * size).long().minimum(size - 1)  # the product may round up


def _pair_code(source: Tensor, target: Tensor, size: Tensor, adjacency: Adjacency) -> Tensor:
    """Return the index of a pair of distinct nodes among all pairs of a graph of `size` nodes.

    Undirected pairs have source < target.
    """
    if adjacency.is_symmetric:
        return target * (target - 1) // 2 + source
    return target * (size - 1) + source - (source > target).long()


def _pair(code: Tensor, size: Tensor, adjacency: Adjacency) -> tuple[Tensor, Tensor]:
    """Return source and target of the pair with this index."""
    if not adjacency.is_symmetric:
        target, source = code // (size - 1), code % (size - 1)
        return source + (source >= target).long(), target
    target = ((1 + (1 + 8 * code.double()).sqrt()) / 2).long()
    target = (
        target - (target * (target - 1) // 2 > code).long()
    )  # the square root may be off in its last digit
    target = target + (target * (target + 1) // 2 <= code).long()
    return code - target * (target - 1) // 2, target
