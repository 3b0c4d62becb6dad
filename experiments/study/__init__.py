"""The parts of the study: `experiments/tu.py` puts them together."""
