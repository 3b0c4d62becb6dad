"""The diagram of average ranks over data sets."""

from collections.abc import Mapping

import numpy as np
import scikit_posthocs
from scipy import stats

from graphcl_hard.sweeps.report.analysis import LEVEL, Results, rank_table
from graphcl_hard.sweeps.report.canvas import Picture, new_figure


def rank_diagram(
    lines: Mapping[str, Results], labels: Mapping[str, str], colours: Mapping[str, str]
) -> Picture | None:
    """Draw average ranks, with bars over methods that are not significantly different by Nemenyi's test.

    Args:
        lines: name -> results; those without any are left out.
        labels: name -> name in the figure.
        colours: name -> colour.

    Returns:
        None for fewer than 3 data sets that all methods have, or fewer than 3 methods.
    """
    lines = {name: results for name, results in lines.items() if results}
    if len(lines) < 3:
        return None
    ranks = rank_table(lines)
    if len(ranks) < 3:
        return None
    # Nemenyi's test ranks within each data set, and ranks of ranks are the same ranks
    p = scikit_posthocs.posthoc_nemenyi_friedman(ranks)
    count, distance = len(lines), nemenyi_distance(len(lines), len(ranks))
    figure = new_figure(8.5, 3.2)
    axes = figure.subplots()
    means = ranks.mean().rename(labels)
    drawn = scikit_posthocs.critical_difference_diagram(
        means,
        p.rename(index=labels, columns=labels),
        ax=axes,
        label_fmt_left="{label} ({rank:.2f})  ",
        label_fmt_right="  ({rank:.2f}) {label}",
        color_palette={labels[name]: colours[name] for name in lines},
        elbow_props={"linewidth": 1.2},
    )
    for (bar,) in drawn["crossbars"]:
        # the points of a bar come in the order of a Python set, which differs from process to process
        x, y = bar.get_data()
        bar.set_data([min(x), max(x)], y[:2])
    axes.set_xlim(0.9, count + 0.1)  # the markers at the ends stay whole
    axes.set_xlabel("average rank (1 is the best)")
    axes.xaxis.set_label_position("top")
    alt = "Critical-difference diagram: " + ", ".join(
        f"{name} {rank:.2f}" for name, rank in means.sort_values().items()
    )
    note = (
        f"Ranks over {', '.join(ranks.index)}. Bars join methods that are not significantly different by Nemenyi's "
        f"test at {LEVEL:g}, whose critical difference of two average ranks is {distance:.2f}."
    )
    return Picture("critical_difference", "Average ranks", alt, note, figure)


def nemenyi_distance(methods: int, sets: int) -> float:
    """Return the critical difference of two average ranks by Nemenyi's test at 0.05.

    Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006, section 3.2.2.
    """
    q = stats.studentized_range.ppf(1 - LEVEL, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * sets)))
