"""Loaders from graphs to batches of encoder inputs: features, batches in memory or from disk, and random views."""
