"""Print by how many bytes one step of training grows a process, with a batch encoded at once or in chunks."""

import functools
import sys
from pathlib import Path

import torch

from graphcl_hard import GINEncoder, GraphCL, nt_xent
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.data.batch import GraphBatch

GRAPHS, NODES = 2000, 40
PROC = Path("/proc/self")


def resident(field: str) -> int:
    lines = (PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def cycles(graphs: int) -> GraphBatch:
    """Cycles of 40 nodes."""
    node = torch.arange(graphs * NODES)
    step = torch.arange(NODES).roll(-1).repeat(graphs) + node // NODES * NODES
    adjacency = Adjacency.from_edge_index(torch.stack([torch.cat([node, step]), torch.cat([step, node])]), len(node))
    batch = GraphBatch(torch.rand(len(node), 5), adjacency, node // NODES, graphs)
    return batch._replace(views=(batch, batch))


def main() -> None:
    torch.manual_seed(0)
    model = GraphCL(GINEncoder(5, 64, 3), functools.partial(nt_xent), gradient_cache=int(sys.argv[1]))
    model(cycles(10), 1.0)[0].backward()
    batch = cycles(GRAPHS)
    (PROC / "clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    model(batch, 1.0)[0].backward()
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main()
