"""The arms of the study, the claims that its page makes, and the bound of equivalence that was set beforehand."""

from typing import NamedTuple

SETS = ("MUTAG", "PTC_MR", "ENZYMES", "IMDB-BINARY", "IMDB-MULTI", "PROTEINS")
LARGE_SETS = ("DD", "REDDIT-BINARY")
"""The data sets of large.yaml, which no claim is about."""

BOUND = 0.005
"""The difference in accuracy, pooled over the data sets, below which two arms are called equivalent: half a point."""

FEWEST = 5
"""Seeds from which on both questions are answered: with fewer, a test may reject more often than it says."""

INFOGRAPH = (
    "uniform",
    "hard-50",
    "hard-20",
    "hard-5",
    "debiased",
    "hard-20-debiased",
    "hard-20-consistent",
    "hard-20-attached",
    "released",
)
GRAPHCL = (
    "graphcl-uniform",
    "graphcl-hard-50",
    "graphcl-hard-20",
    "graphcl-hard-5",
    "graphcl-debiased",
    "graphcl-hard-20-debiased",
    "graphcl-hard-20-consistent",
)
CONTROLS = ("untrained", "bn-exact")
ARMS = (*CONTROLS, *INFOGRAPH, *GRAPHCL)
WIDE = (
    "bn-exact-256",
    "uniform-256",
    "hard-20-256",
    "graphcl-uniform-256",
    "graphcl-hard-20-256",
)
"""The arms of wide.yaml."""


class Claim(NamedTuple):
    """A comparison of two arms that the page makes a statement on."""

    question: str
    method: str
    control: str


CLAIMS = (
    Claim("half of the negatives effective", "hard-50", "uniform"),
    Claim("a fifth", "hard-20", "uniform"),
    Claim("a twentieth", "hard-5", "uniform"),
    Claim("debiasing without hardness", "debiased", "uniform"),
    Claim("debiasing under hardness, the paper's", "hard-20-debiased", "hard-20"),
    Claim("debiasing under hardness, consistent", "hard-20-consistent", "hard-20"),
    Claim("gradients through the weights", "hard-20-attached", "hard-20"),
    Claim("the released code", "released", "uniform"),
    Claim("training at all", "uniform", "bn-exact"),
    Claim("GraphCL: half of the negatives effective", "graphcl-hard-50", "graphcl-uniform"),
    Claim("GraphCL: a fifth", "graphcl-hard-20", "graphcl-uniform"),
    Claim("GraphCL: a twentieth", "graphcl-hard-5", "graphcl-uniform"),
    Claim("GraphCL: debiasing without hardness", "graphcl-debiased", "graphcl-uniform"),
    Claim(
        "GraphCL: debiasing under hardness, the paper's",
        "graphcl-hard-20-debiased",
        "graphcl-hard-20",
    ),
    Claim(
        "GraphCL: debiasing under hardness, consistent",
        "graphcl-hard-20-consistent",
        "graphcl-hard-20",
    ),
    Claim("GraphCL: training at all", "graphcl-uniform", "bn-exact"),
    Claim("GraphCL against InfoGraph", "graphcl-uniform", "uniform"),
)
"""All of them are one family: their p-values are corrected together by Holm's method."""

FURTHER = (
    ("hard-20-256", "uniform-256"),
    ("graphcl-hard-20-256", "graphcl-uniform-256"),
    ("uniform-256", "bn-exact-256"),
    ("graphcl-uniform-256", "bn-exact-256"),
    *((one.method, one.control) for one in CLAIMS),
)
"""Pairs of wide encoders and on large graphs, which are families of their own."""

AGAINST_CONTROLS = (
    ("graphcl-uniform", "size"),
    ("graphcl-uniform", "histograms"),
    ("graphcl-uniform", "wl"),
    ("graphcl-uniform", "wl-log-degree"),
    ("graphcl-uniform", "wl-oa"),
    ("graphcl-uniform", "wl-oa-degree"),
    ("graphcl-uniform", "untrained-512"),
    ("untrained-512", "untrained"),
    ("untrained-1024", "untrained"),
    ("bn-exact-512", "bn-exact"),
    ("uniform", "uniform-running"),
    ("graphcl-uniform", "graphcl-uniform-running"),
    ("untrained-c1e5", "untrained"),
    ("size-c1e5", "size"),
)
"""Pairs with the baselines and controls of controls.yaml, a family of their own."""
