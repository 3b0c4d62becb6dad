"""From embeddings and labels to scores, intervals and tests."""
