"""Random walks on all graphs of a batch at once, and when they first come to each node."""

import torch
from torch import Tensor

from graphcl_hard.data.adjacency import Adjacency, compress

STEPS, WALKS = 4, 4  # of a round, and from each node that the round before reached
MAX_ROUNDS, PATIENCE = 256, 4  # PATIENCE: rounds on end without a new node, after which a graph gives up
NEVER = STEPS * MAX_ROUNDS + 1


def first_visits(
    adjacency: Adjacency, graph: Tensor, ptr: Tensor, wanted: Tensor, generator: torch.Generator | None
) -> Tensor:
    """The step in which random walks first come to each node of a batch with N nodes.

    In each graph they begin at one node, drawn uniformly, and go along edges in either direction. Walks are short and
    many, and not one and long, which would take thousands of steps: in a round of 4 steps, 4 of them begin at each node
    that the round before was the first to reach, so that they grow at the rim of what is reached. Where a round finds
    nothing new, all nodes that are reached begin again.

    A graph is done when `wanted` nodes are reached; when four rounds on end find nothing new, as where the first node's
    component is smaller than that; or after 1024 steps.

    Args:
        adjacency: of the N nodes.
        graph: (N,) int64, the graph of each node, rising.
        ptr: (G + 1,) int64, the offsets of the graphs' nodes.
        wanted: (G,) int64.
        generator: of the random numbers, on the CPU; None: PyTorch's own.

    Returns:
        (N,) int64, 0 for the first nodes; `NEVER` for those that are not reached. A node that is reached in a step has
        a neighbour that is in an earlier one, so that those up to any step are connected. On a GPU the program waits
        once a round.
    """
    begin, neighbour = adjacency.ptr, adjacency.source
    if not adjacency.is_symmetric:
        target = adjacency.target_rows()
        ends = torch.cat([target, adjacency.source]), torch.cat([adjacency.source, target])
        begin, neighbour = compress(*ends, graph.numel())
    ranges = torch.stack([begin[:-1], begin.diff()], dim=1)  # (N, 2) where a node's neighbours are, and how many
    visit = torch.full_like(graph, NEVER)
    size = ptr.diff()
    # A graph without nodes has no first one.
    first = (ptr[:-1] + _below(size, _draw((size.numel(),), generator, ptr)))[size > 0]
    visit[first] = 0
    has_neighbours = ranges[:, 1] > 0
    home = first[has_neighbours[first]]
    reached, stalls = torch.ones_like(size), torch.zeros_like(size)
    for start in range(0, STEPS * MAX_ROUNDS, STEPS):
        if not home.numel():
            break
        position, path = home.repeat(WALKS), []
        for draw in _draw((STEPS, position.numel()), generator, ptr):
            offset, degree = ranges.index_select(0, position).unbind(dim=1)
            position = neighbour.index_select(0, offset + _below(degree, draw))
            path.append(position)
        steps = torch.arange(start + 1, start + 1 + STEPS, device=ptr.device).repeat_interleave(position.numel())
        visit.scatter_reduce_(0, torch.cat(path), steps, "amin")
        visited = visit < NEVER
        count = torch.cat([ptr[:1], visited.cumsum(0)]).index_select(0, ptr).diff()
        stalls = torch.where(count > reached, 0, stalls + 1)
        reached = count
        # Nodes go on that were reached after this step.
        after = torch.where(stalls > 0, -1, start).masked_fill((reached >= wanted) | (stalls >= PATIENCE), NEVER)
        home = (visited & has_neighbours & (visit > after.index_select(0, graph))).nonzero().squeeze(1)
    return visit


def _draw(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Random numbers of 30 bits."""
    return torch.randint(2**30, shape, generator=generator).to(like.device)


def _below(size: Tensor, draw: Tensor) -> Tensor:
    """Numbers of 30 bits to numbers in [0, `size`)."""
    return (draw * size) >> 30
