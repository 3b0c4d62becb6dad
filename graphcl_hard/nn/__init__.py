"""Neural networks: encoders, heads, and models that compute a loss from a batch."""
