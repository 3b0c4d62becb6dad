"""Log the values of each epoch with Fabric's loggers, to follow many runs in one place.

The metrics.csv of a run contains the same values. Log files are never read back: when a run continues from a
checkpoint, the folder `logs` is written again from the epochs in the checkpoint, so no epoch is missing or repeated.
"""

import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning_fabric.utilities.rank_zero import rank_zero_only

from graphcl_hard import config
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import LOGS
from graphcl_hard.training.state import Epoch


def check_logger(kind: config.Logger) -> None:
    """Raise `InputError` if the logger's package is not installed."""
    if kind == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "`logger=tensorboard` needs the package tensorboard, which is not installed; install the extra "
            "graphcl_hard[tensorboard], or give csv."
        )


class EpochLog:
    """A logger of a run's epochs and, at the end, of the scores of the evaluated epochs.

    Args:
        kind: "none" logs nothing; "csv" writes logs/metrics.csv, "tensorboard" an event file in logs/.
        folder: the run's folder. Earlier content of its `logs` is deleted when the first epoch is logged.

    Raises:
        InputError: the logger's package is not installed.
    """

    def __init__(self, kind: config.Logger, folder: Path) -> None:
        check_logger(kind)
        self.kind = kind
        self.folder = folder
        self._logger: Logger | None = None

    def epoch(self, epoch: Epoch, lr: float) -> None:
        """Log the values of an epoch under their names in metrics.csv, and the learning rate `lr`, at this epoch."""
        values = epoch._asdict()
        step = values.pop("epoch")
        self._log({"lr": lr, **values}, step)

    def scores(self, scores: Mapping[str, Mapping[str, Any]], best: int) -> None:
        """Log the scores of result.json, as svm/accuracy and so on, at the epochs that were evaluated."""
        for probe, found in scores.items():
            by_epoch = {int(epoch): scored for epoch, scored in found.get("by_epoch", {}).items()}
            by_epoch |= {
                epoch: found[name]
                for name, epoch in (("untrained", 0), ("trained", best))
                if name in found
            }
            for epoch, scored in sorted(by_epoch.items()):
                means = {
                    f"{probe}/{name}": summary["mean"]
                    for name, summary in scored["summary"].items()
                    if summary["mean"] is not None
                }
                self._log(means, epoch)

    def close(self) -> None:
        """Write what is not on disk yet."""
        if self._logger is not None:
            self._logger.finalize("success")

    def _log(self, values: dict[str, float], step: int) -> None:
        if self.kind == "none":
            return
        if self._logger is None:
            # Only the process that writes the run has an `EpochLog`. From SLURM's variables Fabric would assign every
            # task of a job but the first a non-zero rank, and its loggers would silently write nothing.
            rank_zero_only.rank = 0  # type: ignore[attr-defined]
            shutil.rmtree(self.folder / LOGS, ignore_errors=True)
            where: dict[str, Any] = {"root_dir": self.folder, "name": LOGS, "version": ""}
            if self.kind == "csv":
                self._logger = CSVLogger(**where, flush_logs_every_n_steps=1)
            else:
                self._logger = TensorBoardLogger(**where, flush_secs=10)
        self._logger.log_metrics(values, step)
