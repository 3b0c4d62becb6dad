"""Images: train a small CNN on handwritten digits without labels, with two random views of each digit and `nt_xent`.

    python examples/images.py              write examples/results/images.md and .csv; 11 minutes on a busy core

The objective for graphs also works for images. *uniform* is SimCLR's objective (Chen, Kornblith, Norouzi, Hinton, ICML
2020), *debiased* corrects for negatives of the anchor's own class (Chuang et al., NeurIPS 2020), and *hard* also
weights the negatives by their hardness (Robinson et al., ICLR 2021, on images, sentences and graphs). The data are
scikit-learn's digits, 1,797 images of 8 x 8 pixels. Each seed draws a split, an initial CNN and the order of batches,
the same for all objectives. Training sees only the training images and no labels; probes on the frozen embedding use
labels. Beta 1 and prior 0.1, one class in ten, were set beforehand; nothing was tuned.
"""

import math
import time

import torch
import torch.nn.functional as F
import tyro
from scoring import OBJECTIVES, TEST_SHARE, Arguments, Scores, add, classify, write
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from graphcl_hard import nt_xent


def cnn() -> nn.Sequential:
    """Return a CNN, (B, 1, 8, 8) -> (B, 128), with group norm: batch norm would change scores without learning."""
    channels = [(1, 32, 1), (32, 64, 2), (64, 128, 2)]
    blocks = [
        (nn.Conv2d(i, o, 3, stride, 1), nn.GroupNorm(8, o), nn.ReLU()) for i, o, stride in channels
    ]
    return nn.Sequential(
        *(layer for block in blocks for layer in block), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def random_view(images: Tensor) -> Tensor:
    """Turn, scale, shear and shift each image of (B, 1, 8, 8) a little, and add noise."""
    turn, shear = (torch.rand(2, len(images)) * 2 - 1) * math.radians(20)
    zoom = 1 + (torch.rand(len(images)) * 2 - 1) * 0.2
    shift = (torch.rand(2, len(images)) * 2 - 1) * 0.25  # a pixel
    rows = [
        zoom * turn.cos(),
        shear - turn.sin(),
        shift[0],
        turn.sin(),
        zoom * turn.cos(),
        shift[1],
    ]
    grid = F.affine_grid(
        torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, grid, align_corners=False) + 0.1 * torch.randn_like(images)


def train(encoder: nn.Module, images: Tensor, objective: str, arguments: Arguments) -> None:
    """Train the encoder on (M, 1, 8, 8) images; the projection head is discarded, as in SimCLR."""
    head = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
    settings = arguments.of(objective)
    for _ in range(arguments.epochs):
        for batch in torch.randperm(len(images)).split(256):
            views = torch.cat([random_view(images[batch]), random_view(images[batch])])
            first, second = F.normalize(head(encoder(views)), dim=1).chunk(2)
            optimizer.zero_grad()
            nt_xent(first, second, temperature=0.5, **settings).backward()
            optimizer.step()


def main() -> None:
    """Run all seeds and write the table."""
    arguments = tyro.cli(Arguments, default=Arguments(seeds=10, epochs=20), description=__doc__)
    start, scores = time.perf_counter(), Scores()
    digits = load_digits()
    images = (
        torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    )  # (1797, 1, 8, 8) in [0, 1]
    for seed in range(arguments.seeds):
        seen, unseen = train_test_split(range(len(images)), test_size=TEST_SHARE, random_state=seed)
        for row in ("raw pixels", "untrained", *OBJECTIVES):
            torch.manual_seed(seed)
            encoder = nn.Flatten() if row == "raw pixels" else cnn()
            if row in OBJECTIVES:
                train(encoder, images[seen], row, arguments)
            with torch.no_grad():
                vectors = encoder(images).numpy()
            add(
                scores,
                row,
                classify(
                    vectors[seen], digits.target[seen], vectors[unseen], digits.target[unseen]
                ),
            )
    splits = f"{arguments.seeds} seeds, 0 to {arguments.seeds - 1}, each with its own split"
    write("images", scores, arguments.out, splits, ("torch", "scikit-learn"), start)


if __name__ == "__main__":
    main()
