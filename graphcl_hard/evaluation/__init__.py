"""Evaluation of embeddings: scores of classifiers, confidence intervals and significance tests."""
