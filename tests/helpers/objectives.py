"""The objectives, their forms, and inputs for them."""

import torch
import torch.nn.functional as F

from graphcl_hard.losses.local_global import local_global_info_nce, local_global_jsd

from . import naive

LOCAL_GLOBAL = {"jsd": local_global_jsd, "info_nce": local_global_info_nce}
NAIVE = {"jsd": naive.local_global_jsd, "info_nce": naive.local_global_info_nce}
FORMS = [
    {
        "critic": critic,
        "score_scale": score_scale,
        "detach_weights": detach_weights,
        "debias": debias,
    }
    for critic, score_scale in (("dot", "max"), ("dot", "none"), ("cosine", "max"))
    for detach_weights in (True, False)
    for debias in ("paper", "consistent")
]


def pairs(nodes=17, graphs=5, dim=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    local = torch.randn(nodes, dim, generator=generator, dtype=torch.float64)
    summary = torch.randn(graphs, dim, generator=generator, dtype=torch.float64)
    batch = torch.cat(
        [torch.arange(graphs), torch.randint(graphs, (nodes - graphs,), generator=generator)]
    )
    return local.to(dtype), summary.to(dtype), batch.sort().values


def views(items=6, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, items, dim, generator=generator, dtype=torch.float64)
    return F.normalize(first, dim=1), F.normalize(second + first, dim=1)
