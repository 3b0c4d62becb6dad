"""From graphs to batches of encoder inputs: features, loaders, and random views."""
