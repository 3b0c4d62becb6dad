"""Training: the loop, its state, checkpoints, devices and processes."""
