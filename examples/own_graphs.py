"""Your own graphs: cluster networkx graphs in 20 lines, without any labels.

    python examples/own_graphs.py          a few seconds

`HardInfoGraph` (InfoGraph: Sun et al., ICLR 2020; hard, debiased negatives: Robinson et al., ICLR 2021) accepts any
list of networkx graphs. Here there are three kinds with 40 graphs each: preferential attachment, small world, random.
Only the adjusted Rand index at the end (1 for a perfect clustering, about 0 for chance) uses the kinds.
"""

import networkx as nx
import tyro
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from graphcl_hard import HardInfoGraph


def main(seed: int = 0) -> None:
    """Make graphs, learn vectors, and cluster them.

    Args:
        seed: Seed of the graphs, the encoder and the clusters.
    """
    kinds = {
        "preferential": lambda s: nx.barabasi_albert_graph(30, 2, seed=s),
        "small world": lambda s: nx.watts_strogatz_graph(30, 4, 0.1, seed=s),
        "random": lambda s: nx.gnm_random_graph(30, 60, seed=s),
    }
    graphs = [make(1000 * seed + number) for make in kinds.values() for number in range(40)]
    vectors = HardInfoGraph(random_state=seed).fit_transform(graphs)
    found = KMeans(len(kinds), n_init=10, random_state=seed).fit_predict(
        StandardScaler().fit_transform(vectors)
    )
    for number, kind in enumerate(kinds):
        clusters = found[40 * number : 40 * (number + 1)].tolist()
        print(f"{kind:13}", *(f"{clusters.count(cluster):3}" for cluster in range(len(kinds))))
    truth = [number for number in range(len(kinds)) for _ in range(40)]
    print(f"adjusted Rand index {adjusted_rand_score(truth, found):.2f}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
