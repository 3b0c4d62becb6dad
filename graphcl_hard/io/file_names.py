"""The names of the files and folders that a run leaves."""

CONFIG, METRICS, RESULT = "config.yaml", "metrics.csv", "result.json"
SUMMARY, EMBEDDINGS = "summary.json", "embeddings.npz"
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-before.safetensors")
FEATURES = "features.json"
ENCODER = ("encoder.safetensors", "encoder.json")
PICTURES = ("training.png", "embedding.png")
RUN_FILES = {CONFIG, METRICS, RESULT, SUMMARY, EMBEDDINGS, FEATURES, *CHECKPOINTS, *ENCODER, *PICTURES}
LOCK, REPLACED = ".graphcl_hard.lock", "replaced-run"
LOGS, EVENTS = "logs", "events.out.tfevents."  # of Fabric's loggers, beside a metrics.csv
MOVING = "replaced-run-moving"
"""Where an old run is while its files are set aside one by one: none of a new run's is there before all are."""
