"""The tables of accuracies: fixed settings, chosen settings, epochs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from experiments.tu.families import FAMILIES, OVER_EPOCHS, SETS, TRAINED, default_methods, sets_of
from graphcl_hard.config import Config
from graphcl_hard.sweeps.report.analysis import (
    NAMES,
    Results,
    at_epoch,
    estimate,
    ordered,
    rank_table,
)
from graphcl_hard.sweeps.report.selection import best_epoch, selected
from graphcl_hard.sweeps.report.table import (
    INTERVAL,
    Table,
    by_set,
    estimates,
    shown_estimate,
    shown_seeds,
    value_row,
)

# Of InfoGraph, in per cent: Sun et al., ICLR 2020, table 1. That paper has neither PROTEINS nor DD: these two are what
# GraphCL's paper prints for InfoGraph (You et al., NeurIPS 2020, table 4), 74.44 and 72.85.
PUBLISHED = {
    "MUTAG": 89.0,
    "PTC_MR": 61.7,
    "IMDB-BINARY": 73.0,
    "PROTEINS": 74.4,
    "IMDB-MULTI": 49.7,
    "DD": 72.9,
    "REDDIT-BINARY": 82.5,
}
DEVELOPMENT = (
    "MUTAG",
    "PTC_MR",
    "ENZYMES",
    "IMDB-BINARY",
)  # the package's defaults were chosen on these
LAST, BEST = "last epoch", "best epoch (optimistic)"


def main_lines(scores: pd.DataFrame) -> dict[str, Results]:
    """Return each family's results at the last epoch of its method in the main table."""
    return {family: at_epoch(scores, method) for family, method in default_methods(scores).items()}


def main_table(scores: pd.DataFrame) -> Table:
    """Return data sets x methods at fixed settings, with average ranks."""
    methods, lines = default_methods(scores), main_lines(scores)
    found = {family: estimates(results) for family, results in lines.items()}
    shown, values = [], []
    for dataset in sets_of(scores):
        per_family = {family: found.get(family, {}).get(dataset) for family in FAMILIES}
        row = {
            NAMES.get(family, family): shown_estimate(one) or "absent"
            for family, one in per_family.items()
        }
        seeds = shown_seeds(one.seeds for one in per_family.values() if one)
        shown.append(
            {
                "data set": dataset + (" (dev)" if dataset in DEVELOPMENT else ""),
                **row,
                "seeds": seeds,
            }
        )
        values += [
            {
                "dataset": dataset,
                "family": family,
                "method": methods[family],
                **value_row(per_family[family]),
            }
            for family in lines
        ]
    ranks = rank_table(lines)
    if len(ranks):
        means = ranks.mean()
        label = f"average rank over {len(ranks)}"
        shown_means = {NAMES.get(family, family): f"{mean:.2f}" for family, mean in means.items()}
        shown.append({"data set": label, **shown_means})
        values += [
            {"dataset": label, "family": family, "method": methods[family], "rank": means[family]}
            for family in lines
        ]
    defaults = Config()
    note = (
        f"{INTERVAL} Fixed settings, last epoch: hard at the package's defaults (beta {defaults.beta:g}, tau_plus "
        f"{defaults.tau_plus:g}), released at the same beta, uniform at beta 0 and tau_plus 0. Ranks (1 is the best, "
        f"ties averaged) over the data sets where all methods have records: {', '.join(ranks.index) or 'none'}. "
        "dev: the package's epochs and scale were chosen on these data sets, with other seeds."
    )
    columns = ["dataset", "family", "method", "accuracy", "low", "high", "seeds", "rank"]
    frame = pd.DataFrame(values).reindex(columns=columns)
    return Table(
        "main",
        "Accuracy at fixed settings",
        note,
        pd.DataFrame(shown).fillna(""),
        frame,
        int(len(ranks) > 0),
    )


def fixed_table(scores: pd.DataFrame) -> Table:
    """Return every beta and tau_plus of the main families at the last epoch."""
    rows = scores[scores["family"].isin(TRAINED)]
    keys = ["family", "beta", "tau_plus", "method"]
    labels = rows[keys].drop_duplicates()
    labels = labels.sort_values(["family", "tau_plus", "beta", "method"], kind="stable")
    labels = pd.concat(
        [labels[labels["family"] == family] for family in ("uniform", "hard", "released")]
    )
    lines = [at_epoch(scores, method) for method in labels["method"]]
    released = labels["family"] == "released"
    plain = pd.DataFrame(
        {
            "objective": labels["family"],
            "tau_plus": labels["tau_plus"].map("{:g}".format).mask(released, "0.5"),
            "beta": labels["beta"].map("{:g}".format),
            "method": labels["method"],
        }
    )
    note = (
        f"{INTERVAL} Last epoch. released always has tau_plus 0.5. Where cells are missing, rows have different "
        "seeds (their number is in the CSV file) and must not be compared."
    )
    return by_set("fixed", "Every fixed setting", note, plain, lines, SETS)


def selected_lines(scores: pd.DataFrame) -> tuple[dict[str, Results], dict[str, pd.DataFrame]]:
    """Return each trained family's results with settings and epoch chosen in the training folds, and the choices."""
    pairs = {
        family: selected(scores, family)
        for family in OVER_EPOCHS
        if (scores["family"] == family).any()
    }
    return {family: one[0] for family, one in pairs.items()}, {
        family: one[1] for family, one in pairs.items()
    }


def selected_table(scores: pd.DataFrame) -> Table:
    """Return the results with settings and epoch chosen inside the training folds."""
    lines, choices = selected_lines(scores)
    counts = [shown_seeds(choices[family]["candidates"]) for family in lines]
    labels = pd.DataFrame({"family": list(lines), "candidates": counts})
    note = (
        f"{INTERVAL} For each outer fold, the setting and the epoch (after 0) of the family with the largest inner "
        "accuracy, which depends only on the training folds. Ties go to the smallest beta, then the smallest tau_plus, "
        "then the earliest epoch. The untrained encoder and the Weisfeiler-Lehman kernel have no choice here. These "
        "rows must not be mixed with fixed settings."
    )
    return by_set(
        "selected",
        "Settings chosen inside the training folds",
        note,
        labels,
        list(lines.values()),
        SETS,
    )


def choices_table(scores: pd.DataFrame) -> Table:
    """Return the choices made inside the training folds; the most frequent one is shown."""
    frames = [found.assign(family=family) for family, found in selected_lines(scores)[1].items()]
    values = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    values = values.reindex(columns=["family", "dataset", "method", "epoch", "share", "candidates"])
    first = values.groupby(["family", "dataset"], sort=False).first().reset_index()
    first["text"] = [
        f"{method}, epoch {epoch} ({share:.0%})"
        for method, epoch, share in zip(
            first["method"], first["epoch"], first["share"], strict=True
        )
    ]
    wide = first.pivot(index="family", columns="dataset", values="text").fillna("")
    wide = wide.reindex(
        index=list(dict.fromkeys(first["family"])), columns=ordered(wide.columns, SETS)
    )
    shown = wide.rename_axis(columns=None).reset_index()
    note = "The most frequent choice, with its share of the outer folds; the CSV file has them all."
    return Table("selected_choices", "Choices of the training folds", note, shown, values)


def epochs_table(scores: pd.DataFrame) -> Table:
    """Return the accuracy at every scored epoch, at the default settings."""
    methods = {
        family: method
        for family, method in default_methods(scores).items()
        if family in OVER_EPOCHS
    }
    rows = scores[scores["method"].isin(methods.values())]
    epochs = sorted(int(epoch) for epoch in rows["epoch"].unique())
    shown, values = [], []
    for dataset in ordered(rows["dataset"], SETS):
        for family, method in methods.items():
            found = {epoch: at_epoch(scores, method, epoch).get(dataset) for epoch in epochs}
            each = {epoch: estimate(folds) for epoch, folds in found.items() if folds}
            texts = {f"epoch {epoch}": shown_estimate(each.get(epoch)) for epoch in epochs}
            shown.append({"data set": dataset, "family": family, **texts})
            keys: dict[str, Any] = {"dataset": dataset, "family": family, "method": method}
            values += [{**keys, "epoch": epoch, **value_row(one)} for epoch, one in each.items()]
    columns = ["dataset", "family", "method", "epoch", "accuracy", "low", "high", "seeds"]
    note = f"{INTERVAL} The settings of the main table; epoch 0, where present, is untrained."
    return Table(
        "epochs",
        "Accuracy by epoch",
        note,
        pd.DataFrame(shown),
        pd.DataFrame(values).reindex(columns=columns),
    )


def best_epoch_lines(scores: pd.DataFrame) -> dict[str, Mapping[str, Results]]:
    """Return each trained family's results at its last and its best epoch (optimistic), at default settings."""
    return {
        family: {LAST: at_epoch(scores, method), BEST: best_epoch(scores, method)}
        for family, method in default_methods(scores).items()
        if family in TRAINED
    }


def best_epoch_table(scores: pd.DataFrame) -> Table:
    """Return the last epoch beside the best one on the test folds, and InfoGraph's published figure."""
    lines = best_epoch_lines(scores)
    shown, values = [], []
    for dataset in ordered(
        {name for kinds in lines.values() for one in kinds.values() for name in one}, SETS
    ):
        published = PUBLISHED.get(dataset)
        row = {
            "data set": dataset,
            "InfoGraph, published": "" if published is None else f"{published:.1f}",
        }
        for family, kinds in lines.items():
            for kind, results in kinds.items():
                found = estimate(results[dataset]) if dataset in results else None
                row[f"{family}, {kind}"] = shown_estimate(found)
                keys = {"dataset": dataset, "family": family, "epoch": kind, "published": published}
                values.append({**keys, **value_row(found)})
        shown.append(row)
    note = (
        f"{INTERVAL} Optimistic: the best of the scored epochs after 0 is chosen by each seed on the test folds, which "
        "is not possible in practice; it is shown because published figures are often made so. Published: Sun et al., "
        "ICLR 2020, table 1; on PROTEINS and DD, which that paper does not have, You et al. (GraphCL), NeurIPS 2020, "
        "table 4."
    )
    columns = ["dataset", "family", "epoch", "published", "accuracy", "low", "high", "seeds"]
    frame = pd.DataFrame(values).reindex(columns=columns)
    return Table(
        "best_epoch", "Best epoch (optimistic) beside the last", note, pd.DataFrame(shown), frame
    )
