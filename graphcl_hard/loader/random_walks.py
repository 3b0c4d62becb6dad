"""Random walks on all graphs of a batch at once, and the step of the first visit to each node."""

import torch
from torch import Tensor

from graphcl_hard.data.adjacency import Adjacency, compress

STEPS, WALKS = 4, 4  # steps of a round; walks from each node that the previous round reached
MAX_ROUNDS, PATIENCE = (
    256,
    4,
)  # PATIENCE: consecutive rounds without a new node after which a graph stops
NEVER = STEPS * MAX_ROUNDS + 1


def first_visits(
    adjacency: Adjacency,
    graph: Tensor,
    ptr: Tensor,
    wanted: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Return the step in which random walks first visit each node of a batch with N nodes.

    In each graph the walks start at one node, drawn uniformly, and follow edges in either direction. Many short walks
    replace a single long one, which would take thousands of steps: in each round of 4 steps, 4 walks start at every
    node that the previous round reached first, so the walks grow at the boundary of the visited part. After a round
    without a new node, walks start at all visited nodes again.

    A graph is done when `wanted` nodes are reached, after four consecutive rounds without a new node (for instance
    because the component of the first node is too small), or after 1024 steps.

    Args:
        adjacency: adjacency of the N nodes.
        graph: (N,) int64, the graph of each node, sorted.
        ptr: (G + 1,) int64, the offsets of the graphs' nodes.
        wanted: (G,) int64, number of nodes to reach in each graph.
        generator: generator of the random numbers, on the CPU; None for PyTorch's default generator.

    Returns:
        (N,) int64: 0 for the first nodes, `NEVER` for nodes that are not reached. Every node reached in a later step
        has a neighbour reached in an earlier one, so the nodes reached up to any step are connected. On a GPU the
        function synchronises once per round.
    """
    begin, neighbour = adjacency.ptr, adjacency.source
    if not adjacency.is_symmetric:
        target = adjacency.target_rows()
        ends = torch.cat([target, adjacency.source]), torch.cat([adjacency.source, target])
        begin, neighbour = compress(*ends, graph.numel())
    ranges = torch.stack(
        [begin[:-1], begin.diff()], dim=1
    )  # (N, 2) start and count of a node's neighbours
    visit = torch.full_like(graph, NEVER)
    size = ptr.diff()
    # A graph without nodes has no first node.
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
        steps = torch.arange(start + 1, start + 1 + STEPS, device=ptr.device).repeat_interleave(
            position.numel()
        )
        visit.scatter_reduce_(0, torch.cat(path), steps, "amin")
        visited = visit < NEVER
        count = torch.cat([ptr[:1], visited.cumsum(0)]).index_select(0, ptr).diff()
        stalls = torch.where(count > reached, 0, stalls + 1)
        reached = count
        # The next round starts at the nodes that were reached after this step.
        after = torch.where(stalls > 0, -1, start).masked_fill(
            (reached >= wanted) | (stalls >= PATIENCE), NEVER
        )
        home = (
            (visited & has_neighbours & (visit > after.index_select(0, graph))).nonzero().squeeze(1)
        )
    return visit


def _draw(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Return random 30-bit integers."""
    return torch.randint(2**30, shape, device="cpu", generator=generator).to(like.device)


def _below(size: Tensor, draw: Tensor) -> Tensor:
    """Map 30-bit integers to integers in [0, `size`)."""
    return (draw * size) >> 30
