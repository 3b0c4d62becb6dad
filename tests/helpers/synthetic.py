"""Records of sweeps that nobody ran, with planted effects."""

import numpy as np

from graphcl_hard.config import Config
from graphcl_hard.sweeps import records

SETS = ("MUTAG", "PTC_MR", "ENZYMES")
GRAPHS, REPEATS, FOLDS = 600, 2, 5
EPOCHS = (0, 1, 5, 20)


class Synthetic:
    """Records of cells whose chances of a right answer are planted; the folds of a (set, seed) share their noise."""

    def __init__(self, folder, seed=0):
        self.folder = folder
        self.random = np.random.default_rng(seed)
        self.levels = {}

    def cell(
        self, dataset, method, family, seed, accuracy, settings=None, epochs=EPOCHS, **changes
    ):
        """Write a record whose accuracy grows from the first epoch to the last; `accuracy` is (first, last)."""
        sizes = np.full((REPEATS, FOLDS), GRAPHS // FOLDS)
        level = self.levels.setdefault((dataset, seed), self.random.normal(0, 0.02, sizes.shape))
        scores = {}
        for place, epoch in enumerate(epochs):
            chance = accuracy[0] + (accuracy[1] - accuracy[0]) * place / max(1, len(epochs) - 1)
            expected = np.clip(chance + level, 0, 1) * sizes
            correct = np.rint(expected + self.random.normal(0, 1.0, sizes.shape)).astype(int)
            inner = np.round(np.clip(chance + self.random.normal(0, 0.01, sizes.shape), 0, 1), 6)
            one = {
                "correct": correct.tolist(),
                "inner_accuracy": inner.tolist(),
                "chosen": np.ones(sizes.shape).tolist(),
            }
            scores[str(epoch)] = one | {"macro_f1": chance}
        settings = settings or {}
        baseline = family in ("majority", "wl")
        beta = settings.get("beta", 10.0)
        record = {
            "dataset": dataset, "method": method, "family": family, "settings": settings, "seed": seed,
            "status": "finished", "error": None,
            "config": {} if baseline else {**Config().to_dict(), "epochs": epochs[-1], **settings, "seed": seed},
            "versions": {"torch": "2.13.0"}, "git_commit": "0" * 40, "platform": "Linux", "threads": 1,
            "seconds": {"training": 1.0, "evaluation": 2.0, "total": 3.0},
            "data": {"graphs": GRAPHS, "classes": 2, "nodes": 12000},
            "training": {
                "loss": [1.0 / (1 + epoch) for epoch in range(epochs[-1])],
                "effective_negatives": [1 / (1 + beta * (0.02 + 0.004 * epoch)) for epoch in range(epochs[-1])],
            },
            "embedding": {} if baseline else {str(epoch): {"effective_rank": 9.0 - 0.2 * epoch} for epoch in epochs},
            "test_sizes": sizes.tolist(), "scores": {"svm": scores}, "last_epoch": epochs[-1],
        }  # fmt: skip
        records.write_record(self.folder, record | changes)

    def study(self, sets=SETS, seeds=3, gain=0.08, betas=(0.0, 2.0, 10.0)):
        """A whole study in which hard is `gain` above uniform, which is as good as untrained and released."""
        for dataset in sets:
            for seed in range(seeds):
                self.cell(dataset, "majority", "majority", seed, (0.5, 0.5), epochs=(0,))
                self.cell(dataset, "wl", "wl", seed, (0.68, 0.68), epochs=(0,))
                self.cell(
                    dataset, "untrained", "untrained", seed, (0.7, 0.7), {"epochs": 0}, epochs=(0,)
                )
                self.cell(
                    dataset,
                    "bn-only",
                    "bn-only",
                    seed,
                    (0.7, 0.7),
                    {"lr": 0.0, "beta": 0.0, "tau_plus": 0.0},
                )
                self.cell(
                    dataset, "uniform", "uniform", seed, (0.7, 0.7), {"beta": 0.0, "tau_plus": 0.0}
                )
                for beta in betas:
                    for tau_plus in (0.0, 0.1):
                        top = 0.7 + gain * beta / max(betas)
                        settings = {"beta": beta, "tau_plus": tau_plus}
                        if beta or tau_plus:
                            self.cell(
                                dataset,
                                f"hard-beta{beta:g}-tau{tau_plus:g}",
                                "hard",
                                seed,
                                (0.7, top),
                                settings,
                            )
                    released = {"beta": beta, "mode": "released"}
                    self.cell(
                        dataset, f"released-beta{beta:g}", "released", seed, (0.7, 0.7), released
                    )
        return self.folder
