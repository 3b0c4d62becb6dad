"""The study of the eight TU data sets: `python -m experiments.tu`."""
