"""What a review found wrong with the first study, in numbers: `python -m experiments.hardness.review`."""
