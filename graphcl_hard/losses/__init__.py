"""The objectives: pure functions from tensors to a scalar."""
