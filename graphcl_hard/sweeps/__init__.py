"""Sweeps: the cells of a plan, run in parallel and resumed, their records, and a report."""
