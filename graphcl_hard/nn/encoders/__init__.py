"""Graph encoders: the base class, GIN, other message passing layers, and saved encoders."""
