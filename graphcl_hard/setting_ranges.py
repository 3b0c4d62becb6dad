"""What the settings may be, and what to say of a number outside its range."""

from typing import Literal

Probe = Literal["svm", "linear-svm", "logistic", "knn"]
Scale = Literal["linear", "log"]
Logger = Literal["none", "csv", "tensorboard"]
METHOD_SETTINGS = {
    "infograph": ("objective", "mode", "critic", "score_scale", "nodes_per_graph"),
    "graphcl": ("views", "view_strength", "second_view_strength"),
}
"""The settings that one method alone has; with another one they keep their defaults."""
RANGES: dict[str, tuple[float, float]] = {
    "beta": (0, 1e6),
    "temperature": (1e-6, 1e6),
    "nodes_per_graph": (0, 1_000_000),
    "negative_queue": (0, 10_000_000),
    "hidden_channels": (1, 65536),
    "num_layers": (1, 100),
    "epochs": (0, 1_000_000),
    "batch_size": (2, 1_000_000),
    "gradient_cache": (0, 1_000_000),
    "lr": (0, 1000),
    "seed": (0, 2**32 - 1),
    "seeds": (1, 10_000),
    "folds": (2, 1000),
    "repeats": (1, 1000),
    "checkpoint_seconds": (0, 1e9),
}
BELOW_ONE = ("tau_plus", "view_strength", "second_view_strength")
"""The settings in [0, 1), or None."""
ADVICE = {
    "beta": "0 is uniform weights",
    "tau_plus": "0 switches the correction off",
    "temperature": "0.5 is usual",
    "nodes_per_graph": "0 takes all nodes",
    "negative_queue": "0 takes the negatives of the batch alone",
    "view_strength": "0.2 is usual",
    "second_view_strength": "0.2 is usual, and None is the first view's",
    "hidden_channels": "32 is usual",
    "num_layers": "3 is usual",
    "epochs": "5 is usual, and 0 scores the untrained encoder alone",
    "batch_size": "the other graphs of a batch are the negatives, and 128 is usual",
    "gradient_cache": "0 encodes a batch at once, and 512 graphs at a time is usual",
    "lr": "0.001 is usual, and 0 moves the statistics of batch norm alone",
    "seed": "take a small whole number",
    "seeds": "5 is usual",
    "folds": "10 is usual",
    "repeats": "3 is usual",
    "checkpoint_seconds": "10 is usual, and 0 writes one after every epoch",
}
