"""Sentences: train a bag of word vectors with two dropout views of each sentence and `nt_xent`.

    python examples/text.py                write examples/results/text.md and .csv; 7 minutes on a busy core

The objective for graphs also works for sentences, with dropout, here of whole words, as the only augmentation (SimCSE:
Gao, Yao, Chen, EMNLP 2021). *uniform* is SimCSE's objective, *debiased* and *hard* are those of Robinson et al.
(ICLR 2021, on images, sentences and graphs). The corpus needs no download: it is the prose of SciPy's docstrings (BSD
licence) in eight modules, and the probes predict the module from a frozen vector. The training and test parts share no
function, and a sentence that occurs in two functions is left out. Each seed draws a split, initial words and the order
of batches, the same for all objectives. Training sees only the training sentences and no labels. Rates, epochs and
dropout were chosen for *uniform* on another seed (100); beta and prior were not chosen on these data.
"""

import importlib
import inspect
import re
import time
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from scoring import OBJECTIVES, TEST_SHARE, Arguments, Scores, add, classify, write
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GroupShuffleSplit
from torch import Tensor, nn

from graphcl_hard import nt_xent

MODULES = (
    "integrate",
    "interpolate",
    "linalg",
    "ndimage",
    "optimize",
    "signal",
    "special",
    "stats",
)


def corpus() -> np.ndarray:
    """Return (3, 4000): sentences of six words or more, 500 per module; the function of each; the module."""
    found: list[tuple[str, str, str]] = []
    for module in MODULES:
        home = importlib.import_module(f"scipy.{module}")
        for name in filter(lambda name: callable(getattr(home, name)), home.__all__):
            text = re.split(
                r"\n(?:Examples|References)\n-", inspect.getdoc(getattr(home, name)) or ""
            )[0]
            prose = re.sub(
                r"\n[\w ]+\n-{3,}\n|\n.* : .*\n", "\n\n", text
            )  # headings and parameters' types
            parts = (
                re.findall(r"[a-z]{2,}", part.lower())
                for part in re.split(r"(?<=[.])\s+|\n\s*\n", prose)
            )
            # SciPy's notices of deprecation name arguments in an order that differs from process to process.
            kept = (
                " ".join(words) for words in parts if len(words) >= 6 and "deprecated" not in words
            )
            found += {(sentence, f"{module}.{name}", module) for sentence in kept}
    times = Counter(sentence for sentence, _, _ in found)
    once = np.random.default_rng(0).permutation(
        sorted(each for each in found if times[each[0]] == 1)
    )
    return np.concatenate([once[once[:, 2] == module][:500] for module in MODULES]).T


def embed(vectors: nn.EmbeddingBag, words: Tensor, dropout: float = 0.0) -> Tensor:
    """Return (B, 128) means of word vectors, after dropout of words; `words` is (B, L), 0 for padding."""
    weight = F.dropout((words > 0).float(), dropout)
    return vectors(words, per_sample_weights=weight / weight.sum(dim=1, keepdim=True).clamp(min=1))


def train(vectors: nn.EmbeddingBag, words: Tensor, objective: str, arguments: Arguments) -> None:
    """Train word vectors on (M, L) sentences; the projection head is discarded."""
    head = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64))
    optimizer = torch.optim.Adam(
        [{"params": vectors.parameters(), "lr": 1e-2}, {"params": head.parameters()}]
    )
    settings = arguments.of(objective)
    for _ in range(arguments.epochs):
        for batch in torch.randperm(len(words)).split(256):
            first, second = (
                F.normalize(head(embed(vectors, words[batch], dropout=0.5)), dim=1)
                for _ in range(2)
            )
            optimizer.zero_grad()
            nt_xent(first, second, temperature=0.5, **settings).backward()
            optimizer.step()


def main() -> None:
    """Run all seeds and write the table."""
    arguments = tyro.cli(Arguments, default=Arguments(seeds=6, epochs=40), description=__doc__)
    start, scores = time.perf_counter(), Scores()
    sentences, functions, modules = corpus()
    for seed in range(arguments.seeds):
        split = GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=seed).split(
            sentences, groups=functions
        )
        seen, unseen = map(np.random.default_rng(seed).permutation, next(split))
        tfidf = TfidfVectorizer(min_df=2, sublinear_tf=True).fit(sentences[seen])
        lists = [
            [tfidf.vocabulary_[w] + 1 for w in s.split() if w in tfidf.vocabulary_]
            for s in sentences
        ]
        words = nn.utils.rnn.pad_sequence(
            [torch.tensor(each[:40]).long() for each in lists], batch_first=True
        )
        for row in ("TF-IDF", "untrained", *OBJECTIVES):
            torch.manual_seed(seed)
            vectors = nn.EmbeddingBag(len(tfidf.vocabulary_) + 1, 128, mode="sum", padding_idx=0)
            if row in OBJECTIVES:
                train(vectors, words[seen], row, arguments)
            found = (
                tfidf.transform(sentences)
                if row == "TF-IDF"
                else embed(vectors, words).detach().numpy()
            )
            add(scores, row, classify(found[seen], modules[seen], found[unseen], modules[unseen]))
    splits = f"{arguments.seeds} seeds, 0 to {arguments.seeds - 1}, each with its own split"
    write("text", scores, arguments.out, splits, ("torch", "scipy", "scikit-learn"), start)


if __name__ == "__main__":
    main()
