"""More negatives than a batch holds: `python -m experiments.more_negatives`."""
