"""Objectives: pure functions from tensors to a scalar."""
