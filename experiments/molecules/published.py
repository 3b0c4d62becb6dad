"""Published test scores on OGB's scaffold splits, for comparison.

Source: Praski, Adamczyk and Czech, "Benchmarking Pretrained Molecular Embedding Models For Molecular Representation
Learning", arXiv 2508.06199. Scores are ROC AUC; a cell has those of the heads `ridge` and `rf`.
"""

SETS = ("BACE", "BBBP", "ClinTox", "SIDER", "Tox21")
HEADS = ("ridge", "rf")
_TABLE = """
ECFP counts             .808 .860  .681 .720  .705 .763  .647 .686  .741 .782
AtomPair counts         .843 .871  .672 .738  .685 .655  .676 .687  .726 .779
InfoGraph               .760 .830  .658 .690  .554 .636  .604 .610  .691 .722
GraphCL                 .742 .782  .701 .704  .673 .647  .622 .641  .705 .755
GraphMVP                .739 .777  .633 .709  .575 .573  .625 .673  .712 .756
GROVER large            .813 .854  .731 .710  .669 .390  .553 .579  .689 .670
MAT masking 2M          .839 .832  .726 .707  .890 .870  .616 .655  .762 .770
CLAMP                   .824 .834  .700 .701  .761 .711  .639 .692  .825 .832
"""
OURS = {"ecfp": "ECFP counts", "atompair": "AtomPair counts"}
"""Our representation -> the published one that it repeats."""


def published() -> dict[tuple[str, str, str], float]:
    """Return (representation, data set, head) -> ROC AUC."""
    found = {}
    for line in _TABLE.strip().splitlines():
        name, numbers = line[:24].strip(), [float(word) for word in line[24:].split()]
        columns = [(dataset, head) for dataset in SETS for head in HEADS]
        for (dataset, head), score in zip(columns, numbers, strict=True):
            found[name, dataset, head] = score
    return found
