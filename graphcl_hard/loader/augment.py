"""Random views of a whole batch: what two augmentations leave of a graph should be embedded alike.

Every augmentation works on all graphs of the batch at once. Its random numbers come from a generator on the CPU, so
that they are the same on every device; on a GPU the program waits only where a tensor's size depends on the draw.

PyG's own augmentations take no generator, and draw over the batch and not within each graph.

Source: You, Chen, Sui, Chen, Wang, Shen, "Graph Contrastive Learning with Augmentations", NeurIPS 2020, table 1. Its
released code for the TU sets removes edges without adding any, each direction by itself; here it is as the paper says.

Which views for which set, by the paper's section 4.2 (a set does not say of which kind it is, so none is chosen here):

======================================  ====================================================
node-drop, subgraph                     good on every kind of set; the default pair
edge-perturb                            good on social networks, bad on some molecules
attribute-mask                          better the denser the graphs
two different ones                      better than twice the same
======================================  ====================================================

"random2", "random3" and "random" are its code's random2, random3 and random4: node-drop or subgraph; one of these and
edge-perturb; any of the four. It contrasts the graph itself with one view of a tenth of the nodes or edges, as the
views "none" and "random2" at the strength 0.1 do.
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
    batch: GraphBatch, views: Sequence[View], strengths: Sequence[float], generator: torch.Generator | None = None
) -> GraphBatch:
    """The batch with two views of it, by two names and two strengths; arguments and errors as in `augment`."""
    pairs = zip(views, strengths, strict=True)
    first, second = (augment(batch, view, strength, generator) for view, strength in pairs)
    return batch._replace(views=(first, second))


def augment(
    batch: GraphBatch, view: View, strength: float = 0.2, generator: torch.Generator | None = None
) -> GraphBatch:
    r"""A random view of every graph of a batch.

    A share s, the strength, of :math:`n_g` things of graph g is :math:`\lfloor s\, n_g + u_g \rfloor` of them with one
    uniform :math:`u_g \in [0, 1)`, s on average. Every graph keeps its number, and a node; kept nodes keep their order
    and features, and so do kept edges. What was undirected stays so.

    Args:
        batch: G graphs, without self-loops or repeated edges, as `load_graphs` gives them.
        view: "node-drop", "edge-perturb", "attribute-mask" or "subgraph", see the functions of these names; "none":
            the batch itself; "random2", "random3" or "random": one of the first two, three or four of node-drop,
            subgraph, edge-perturb and attribute-mask, the same for the whole batch.
        strength: s in [0, 1).
        generator: of the random numbers, on the CPU; None: PyTorch's own.

    Returns:
        The view, on the device of the batch, without a sample of nodes.

    Raises:
        InputError: an unknown view, or a strength outside its range.
    """
    if not 0 <= strength < 1:
        raise InputError(f"strength must lie in [0, 1), got {strength}; 0.2 is usual.")
    if view not in get_args(View):
        raise InputError(f"view must be one of {', '.join(get_args(View))}, got {short_repr(view)}.")
    batch = batch._replace(sample=None, views=None)
    if view == "none":
        return batch
    chosen: str = view
    if view in POOLS:
        chosen = POOLS[view][int(torch.randint(len(POOLS[view]), (1,), generator=generator))]
    return AUGMENTATIONS[chosen](batch, strength, generator)


def drop_nodes(batch: GraphBatch, strength: float, generator: torch.Generator | None) -> GraphBatch:
    """Leave out a share of each graph's nodes, every node with the same chance, and all their edges."""
    ptr = _node_ptr(batch)
    count = _num_dropped(ptr.diff(), strength, generator)
    return _keep(batch, ~_choose(batch.batch, ptr, count, generator))


def perturb_edges(batch: GraphBatch, strength: float, generator: torch.Generator | None) -> GraphBatch:
    """Remove a share of each graph's edges, and add as many between pairs of its nodes that had none.

    A graph with too few such pairs gets them all. Each edge has the same chance to be removed, and each pair to be
    joined. In a set of undirected graphs a pair is without order, and both directions go together.

    A new edge has the features of a removed one of its graph, none twice, matched at random; where an edge's two
    directions differ, each goes on with its own. The paper says nothing of them. So edges move, and a graph keeps as
    many of each kind as it had; a row of zeros would be a kind of edge that no graph has, and tell the two views apart.
    """
    adjacency, ptr = batch.adjacency, _node_ptr(batch)
    source, target = adjacency.source, adjacency.target_rows()
    if adjacency.is_symmetric:
        once = (source < target).nonzero().squeeze(1)
        source, target = source.index_select(0, once), target.index_select(0, once)
    graph = batch.batch.index_select(0, target)  # (M,) of each edge, rising
    edge_ptr = torch.searchsorted(graph, torch.arange(batch.num_graphs + 1, device=graph.device))
    size, edges = ptr.diff(), edge_ptr.diff()
    pairs = size * (size - 1) // (2 if adjacency.is_symmetric else 1)  # (G,)
    count = _share(edges, strength, generator)
    order = _shuffled(graph, generator)  # of each graph's edges the first `count` go
    kept = (~_first(order, graph, edge_ptr, count)).nonzero().squeeze(1)

    # All pairs of the batch are numbered, graph after graph. Of those that are no edges, the r-th has the number r plus
    # that of the edges before it, which are the edges with at most r pairs before them that are none.
    start, before = pairs.cumsum(0) - pairs, ptr[:-1]
    code = start[graph] + _pair_code(source - before[graph], target - before[graph], size[graph], adjacency)
    absent_before = code.sort().values - torch.arange(code.numel(), device=code.device)
    owner, rank = _spread_draws(torch.minimum(count, pairs - edges), pairs - edges, generator)
    rank = rank + (start - edge_ptr[:-1])[owner]
    number = rank + torch.searchsorted(absent_before, rank, right=True) - start[owner]
    new_source, new_target = _pair(number, size[owner], adjacency)
    new_ends = new_source + before[owner], new_target + before[owner]
    ends = [torch.cat([end.index_select(0, kept), new]) for end, new in zip((source, target), new_ends, strict=True)]
    origin = None
    if batch.edge_attr is not None:
        place = torch.arange(owner.numel(), device=owner.device) - torch.searchsorted(owner, owner)
        origin = torch.cat([kept, order.index_select(0, edge_ptr.index_select(0, owner) + place)])
    return _rejoin(batch, (source, target), ends, origin)


def mask_attributes(batch: GraphBatch, strength: float, generator: torch.Generator | None) -> GraphBatch:
    """Put zeros in the place of all features of a share of each graph's nodes; columns of one-hot inputs become -1.

    The paper's code puts noise there. Zero is the mean of a standardised column, and -1 no label at all, which
    `GINEncoder.forward` takes for a row of zeros.
    """
    ptr = _node_ptr(batch)
    masked = _choose(batch.batch, ptr, _share(ptr.diff(), strength, generator), generator)
    return batch._replace(x=batch.x.masked_fill(masked.unsqueeze(1), 0 if batch.x.is_floating_point() else -1))


def subgraph(batch: GraphBatch, strength: float, generator: torch.Generator | None) -> GraphBatch:
    """Keep a connected part of each graph, which random walks from one of its nodes reach first: all but a share.

    Nodes that are reached in the same step come in random order. A graph that lacks nodes when the walks end, as where
    the first node's component is too small, keeps those that were reached, which may be the first alone; see
    `walks.first_visits`.
    """
    ptr = _node_ptr(batch)
    wanted = ptr.diff() - _num_dropped(ptr.diff(), strength, generator)
    visit = first_visits(batch.adjacency, batch.batch, ptr, wanted, generator)
    ties = torch.randint(2**32, visit.shape, generator=generator).to(visit.device)
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
"""The views that are one of several, drawn for each batch."""


def _keep(batch: GraphBatch, kept: Tensor) -> GraphBatch:
    """The batch without the nodes where `kept` (N,) bool is False, and without their edges."""
    nodes, number = kept.nonzero().squeeze(1), kept.cumsum(0) - 1

    def cut(ptr: Tensor, column: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        row_kept = kept.repeat_interleave(ptr.diff(), output_size=column.numel())
        edge_kept = row_kept & kept.index_select(0, column)
        before = offsets(edge_kept.long())
        starts = torch.cat([ptr.index_select(0, nodes), ptr[-1:]])
        edges = edge_kept.nonzero().squeeze(1)
        return before.index_select(0, starts), number.index_select(0, column.index_select(0, edges)), edges

    adjacency, edge_attr = batch.adjacency, batch.edge_attr
    *sends, edges = cut(adjacency.transposed_ptr, adjacency.target)
    receives = sends if adjacency.is_symmetric else cut(adjacency.ptr, adjacency.source)[:2]
    if edge_attr is not None:
        edge_attr = edge_attr.index_select(0, edges)
    x, graph = batch.x.index_select(0, nodes), batch.batch.index_select(0, nodes)
    return batch._replace(x=x, adjacency=Adjacency(*receives, *sends), batch=graph, edge_attr=edge_attr)


def _rejoin(batch: GraphBatch, old: Sequence[Tensor], new: Sequence[Tensor], origin: Tensor | None) -> GraphBatch:
    """The batch with `new` edges, sources and targets (M',), in place of the `old` (M,); undirected, each once.

    `origin` (M',) are the places in `old` of the edges whose features the new ones have.
    """
    nodes, symmetric = batch.batch.numel(), batch.adjacency.is_symmetric
    if symmetric:  # the direction from the larger number stands first
        old, new = ([torch.cat([target, source]), torch.cat([source, target])] for source, target in (old, new))
    ptr, order = sort_rows(new[0], nodes)
    edge_attr = batch.edge_attr
    if edge_attr is not None and origin is not None:
        if symmetric:
            origin = torch.cat([origin, origin + old[0].numel() // 2])
        source, target = batch.adjacency.edge_index
        code, by_code = (source * nodes + target).sort()
        place = by_code.index_select(0, torch.searchsorted(code, old[0] * nodes + old[1]))  # in `edge_attr`, of `old`
        edge_attr = edge_attr.index_select(0, place.index_select(0, origin.index_select(0, order)))
    receives = sends = ptr, new[1].index_select(0, order)
    if not symmetric:
        ptr, order = sort_rows(new[1], nodes)
        receives = ptr, new[0].index_select(0, order)
    return batch._replace(adjacency=Adjacency(*receives, *sends), edge_attr=edge_attr)


def _node_ptr(batch: GraphBatch) -> Tensor:
    """(G + 1,) the offsets of the graphs' nodes."""
    return torch.searchsorted(batch.batch, torch.arange(batch.num_graphs + 1, device=batch.batch.device))


def _share(size: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """(G,) sizes to a share of each, rounded up or down at random so that the mean is exact."""
    uniform = torch.rand(size.numel(), generator=generator, dtype=torch.float64)
    return (strength * size + uniform.to(size.device)).long().minimum(size)


def _num_dropped(size: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """(G,) how many nodes of each graph go; a graph keeps one."""
    return _share(size, strength, generator).minimum((size - 1).clamp_min(0))


def _choose(group: Tensor, ptr: Tensor, count: Tensor, generator: torch.Generator | None) -> Tensor:
    """(M,) bool: `count` (G,) members of each group, all subsets alike; `group` (M,) rises, `ptr` are its offsets."""
    return _first(_shuffled(group, generator), group, ptr, count)


def _shuffled(group: Tensor, generator: torch.Generator | None) -> Tensor:
    """(M,) the places of all members, group after group, in random order within each."""
    noise = torch.randint(2**32, group.shape, generator=generator).to(group.device)
    return ((group << 32) + noise).argsort(stable=True)


def _first(order: Tensor, group: Tensor, ptr: Tensor, count: Tensor) -> Tensor:
    """(M,) bool: the first `count` (G,) members of each group in `order` (M,), which keeps groups together."""
    place = torch.arange(group.numel(), device=group.device) < (ptr[:-1] + count).index_select(0, group)
    return torch.empty_like(place).index_copy_(0, order, place)


def _spread_draws(count: Tensor, size: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """For each group `count` different whole numbers in [0, `size`), each with the same chance; and their groups.

    One number is drawn from each of `count` strata, and all are then moved by the same random number, around the end.
    """
    group = torch.arange(count.numel(), device=count.device).repeat_interleave(count)  # (A,)
    stratum = torch.arange(group.numel(), device=count.device) - (count.cumsum(0) - count)[group]
    width, strata = size[group], count[group]
    low, high = stratum * width // strata, (stratum + 1) * width // strata
    drawn = low + _below(high - low, generator)
    return group, (drawn + _below(size, generator)[group]) % width


def _below(size: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random whole number in [0, size) for each size; no matter what where it is 0."""
    uniform = torch.rand(size.numel(), generator=generator, dtype=torch.float64)
    return (uniform.to(size.device) * size).long().minimum(size - 1)  # the product may round up


def _pair_code(source: Tensor, target: Tensor, size: Tensor, adjacency: Adjacency) -> Tensor:
    """The number of a pair of different nodes among all of a graph of `size` nodes; undirected, source < target."""
    if adjacency.is_symmetric:
        return target * (target - 1) // 2 + source
    return target * (size - 1) + source - (source > target).long()


def _pair(code: Tensor, size: Tensor, adjacency: Adjacency) -> tuple[Tensor, Tensor]:
    """The pair that has this number, source and target."""
    if not adjacency.is_symmetric:
        target, source = code // (size - 1), code % (size - 1)
        return source + (source >= target).long(), target
    target = ((1 + (1 + 8 * code.double()).sqrt()) / 2).long()
    target = target - (target * (target - 1) // 2 > code).long()  # the root may be off by its last digit
    target = target + (target * (target + 1) // 2 <= code).long()
    return code - target * (target - 1) // 2, target
