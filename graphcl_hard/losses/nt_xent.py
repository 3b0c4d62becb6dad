"""NT-Xent: two views of every item against the views of the other items."""

import functools

import torch
from torch import Tensor

from graphcl_hard._tensor import full_precision
from graphcl_hard.losses.anchor_losses import info_nce
from graphcl_hard.losses.blockwise import Contrast, contrast, with_queue
from graphcl_hard.losses.checks import (
    Debias,
    check_choices,
    check_queue,
    check_range,
    check_views,
)
from graphcl_hard.losses.context import NO_CONTEXT, Context
from graphcl_hard.losses.weights import DEFAULT_BETA, Diagnostics


def nt_xent(
    view1: Tensor,
    view2: Tensor,
    *,
    beta: float = DEFAULT_BETA,
    effective_negatives: float | None = None,
    tau_plus: float = 0.1,
    debias: Debias = "paper",
    temperature: float = 0.5,
    detach_weights: bool = True,
    return_diagnostics: bool = False,
    _context: Context = NO_CONTEXT,
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""Return the NT-Xent objective of two views with hard, debiased negatives.

    The rows of both views are the 2B anchors. The positive of an anchor is the other view of its item; its n = 2B - 2
    negatives are all rows of other items. With scores :math:`z^\top z'/t` and weights
    :math:`\bar w \propto e^{\beta z^\top z'/t}` of mean one, the loss is that of `local_global_info_nce`,
    averaged over the 2B anchors.

    Args:
        view1: (B, D) float, rows of unit length (`torch.nn.functional.normalize`), B at least 2.
        view2: (B, D) float, rows of unit length; row i is the other view of row i of `view1`.
        beta: hardness, at least 0.
        effective_negatives: share of the negatives that the weights leave effective, in [1e-6, 1], for example 0.2;
            beta is found for it in each call from up to 256 anchors, and must be left at 10. None: `beta` holds.
        tau_plus: class prior in [0, 1).
        debias: "paper" or "consistent", as in `local_global_jsd`.
        temperature: t, above 0.
        detach_weights: whether the weights are constants for the gradient, as in `local_global_jsd`.
        return_diagnostics: whether to return (loss, `Diagnostics`), whose means are over the 2B anchors.

    Returns:
        The mean loss (), or (loss, diagnostics). Items may be anything that is embedded: graphs, images, sentences.

    Raises:
        InputError: an argument is outside its range, the shapes differ, there is only one item, or rows do not have
            unit length (checked only on the CPU, since the check would synchronise a GPU).

    Source: Robinson et al. (ICLR 2021), eq. 4; Chen et al., "SimCLR", ICML 2020, eq. 1.

    Examples:
        >>> import torch
        >>> from graphcl_hard import nt_xent
        >>> first = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> second = torch.tensor([[0.8, 0.6], [0.6, 0.8], [-1.0, 0.0]])
        >>> round(nt_xent(first, second, beta=1.0, tau_plus=0.1, temperature=0.5).item(), 3)
        0.921
    """
    check_range(beta, tau_plus, temperature, effective_negatives)
    check_choices(debias=(debias, Debias))
    parts, queue = _context.parts, _context.queue
    if parts is not None:
        view1, view2 = parts.gather(view1), parts.gather(view2)
    check_views(view1, view2)
    check_queue(queue, view1, unit=True)
    items, queued = view1.size(0), 0 if queue is None else queue.size(0)
    n = 2 * items - 2 + queued
    anchors = views = torch.cat([full_precision(view1), full_precision(view2)])  # (2B, D)
    anchor = torch.arange(2 * items, device=views.device)
    if parts is not None:
        anchor = anchor.view(2, items)[:, parts.start : parts.stop].flatten()
        anchors = views[anchor]
    other = (anchor + items) % (2 * items)
    loss = functools.partial(
        info_nce,
        tau_plus=tau_plus,
        debias=debias,
        detach_weights=detach_weights,
        log_lower=-1 / temperature,
    )
    excluded = torch.stack([anchor, other], dim=1)
    setting = Contrast(
        loss,
        other,
        excluded,
        beta=float(beta),
        share=effective_negatives,
        parts=parts,
        position=anchor,
        constants=queued,
    )
    with torch.autocast(views.device.type, enabled=False):
        outcome = contrast(setting, anchors, with_queue(views, queue) / temperature)
        if not return_diagnostics:
            return outcome.loss
        own = anchors.detach().square().sum() / (
            2 * items * temperature
        )  # the score of an anchor against itself
    negative = (outcome.total - outcome.positive - own) / n
    return outcome.loss, Diagnostics(
        outcome.effective / n, outcome.positive, negative, outcome.beta, outcome.clamped
    )
