"""Sources of graphs, and the flat tensors that hold them."""
