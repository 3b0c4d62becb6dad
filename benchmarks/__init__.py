"""Benchmarks of the package: speed, memory, scale and soak; the index is in experiments/README.md."""
