"""The study of hardness at matched shares of effective negatives: `python -m experiments.hardness`."""
