"""Graph representation learning without labels: InfoGraph with hard, debiased negatives."""
