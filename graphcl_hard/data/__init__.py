"""Where graphs come from, and the flat tensors that they become."""
