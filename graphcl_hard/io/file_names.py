"""Names of the files and folders that the commands write."""

CONFIG, METRICS, RESULT = "config.yaml", "metrics.csv", "result.json"
SUMMARY, EMBEDDINGS = "summary.json", "embeddings.npz"
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-before.safetensors")
FEATURES = "features.json"
ENCODER = ("encoder.safetensors", "encoder.json")
HEAD = "head.safetensors"
"""Weights of the head of a fine-tuned model, beside its encoder."""
PREDICTIONS = "predictions.csv"
PREDICTED = "predicted.npz"
"""The class of each graph as the probes predict it in cross-validation."""
LEFT_OUT = "left-out.csv"
"""Table, in a folder of shards or of a fine-tuned model, of the rows that are not among its graphs."""
PICTURES = ("training.png", "embedding.png")
RUN_FILES = {
    CONFIG,
    METRICS,
    RESULT,
    SUMMARY,
    EMBEDDINGS,
    FEATURES,
    *CHECKPOINTS,
    *ENCODER,
    HEAD,
    PREDICTIONS,
    PREDICTED,
    LEFT_OUT,
    *PICTURES,
}
LOCK, REPLACED = ".graphcl_hard.lock", "replaced-run"
LOGS, EVENTS = "logs", "events.out.tfevents."  # written by Fabric's loggers, beside a metrics.csv
MOVING = "replaced-run-moving"
"""Folder of an old run while its files are moved away one by one; a new run writes only after all have been moved."""

TABLES = (".csv", ".csv.gz", ".parquet")
SMI, SDF = (".smi", ".smi.gz"), (".sdf", ".sdf.gz")
MOLECULE_FILES = (*TABLES, *SMI, *SDF)
"""How the names of files of molecules end."""
