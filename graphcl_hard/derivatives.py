"""Guard of the hand-written gradients."""

import torch


def refuse_second_derivatives(what: str) -> None:
    """Raise RuntimeError in a backward that shall itself be differentiated (`create_graph=True`).

    Without this a hand-written gradient would count as a constant, and a second derivative as 0, without a word.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(f"The gradient of {what} cannot be differentiated again; leave create_graph=True out.")
