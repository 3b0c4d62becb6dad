"""The values of each epoch through Fabric's loggers, for those who follow many runs in one place.

A run's own metrics.csv has them too. What is written here is never read back: where a run goes on from a checkpoint,
the folder `logs` is made anew from the epochs that the checkpoint holds, so that none is there twice and none is lost.
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
    """Raise `InputError` where the logger's package is not installed."""
    if kind == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "`logger=tensorboard` needs the package tensorboard, which is not installed; install the extra "
            "graphcl_hard[tensorboard], or give csv."
        )


class EpochLog:
    """What a run tells a logger: its epochs, and in the end the scores of those that were scored.

    Args:
        kind: "none" logs nothing; "csv" writes logs/metrics.csv, "tensorboard" an event file in logs/.
        folder: the run's folder. What its `logs` holds goes with the first epoch that is logged.

    Raises:
        InputError: the logger's package is not installed.
    """

    def __init__(self, kind: config.Logger, folder: Path) -> None:
        check_logger(kind)
        self.kind = kind
        self.folder = folder
        self._logger: Logger | None = None

    def epoch(self, epoch: Epoch, lr: float) -> None:
        """Log an epoch's values by the names of metrics.csv, and `lr`, the learning rate; the step is the epoch."""
        values = epoch._asdict()
        step = values.pop("epoch")
        self._log({"lr": lr, **values}, step)

    def scores(self, scores: Mapping[str, Mapping[str, Any]], best: int) -> None:
        """Log the scores of result.json as svm/accuracy and so on, at the epochs that were scored."""
        for probe, found in scores.items():
            by_epoch = {int(epoch): scored for epoch, scored in found.get("by_epoch", {}).items()}
            by_epoch |= {epoch: found[name] for name, epoch in (("untrained", 0), ("trained", best)) if name in found}
            for epoch, scored in sorted(by_epoch.items()):
                means = {f"{probe}/{name}": summary["mean"] for name, summary in scored["summary"].items()}
                self._log(means, epoch)

    def close(self) -> None:
        """Write what is not on disk yet."""
        if self._logger is not None:
            self._logger.finalize("success")

    def _log(self, values: dict[str, float], step: int) -> None:
        if self.kind == "none":
            return
        if self._logger is None:
            # Who has an `EpochLog` writes the run; by SLURM's variables Fabric takes all tasks of a job but the first
            # for followers, and its loggers would then write nothing, without a word.
            rank_zero_only.rank = 0  # type: ignore[attr-defined]
            shutil.rmtree(self.folder / LOGS, ignore_errors=True)
            where: dict[str, Any] = {"root_dir": self.folder, "name": LOGS, "version": ""}
            if self.kind == "csv":
                self._logger = CSVLogger(**where, flush_logs_every_n_steps=1)
            else:
                self._logger = TensorBoardLogger(**where, flush_secs=10)
        self._logger.log_metrics(values, step)
