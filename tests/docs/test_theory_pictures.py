"""The pictures of docs/theory.md are those that the script draws, and they show what the page says."""

import importlib.util
import re

import numpy as np
import pytest
from helpers.paths import DOCS
from matplotlib.figure import Figure

spec = importlib.util.spec_from_file_location("theory_pictures", DOCS / "theory_pictures.py")
pictures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pictures)
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    pictures.draw(folder)
    return folder


def curves(panel):
    axes = Figure().subplots()
    panel(axes)
    return {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in axes.lines}


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_the_committed_picture_is_the_scripts(name, drawn):
    """To a thousandth of a point, since the last digits are the machine's; whole, so that no label is left out."""
    texts = [(folder / f"{name}.svg").read_text() for folder in (drawn, DOCS / "pictures")]
    assert NUMBER.sub("", texts[0]) == NUMBER.sub("", texts[1])
    new, old = (np.array(NUMBER.findall(text), dtype=float) for text in texts)
    np.testing.assert_allclose(new, old, rtol=0, atol=1e-3)
    assert f"pictures/{name}.svg" in (DOCS / "theory.md").read_text()


def test_debiasing_is_exact_without_hardness_and_is_not_with_it():
    for beta, share in ((0.0, 0.0), (1.0, 0.9)):
        truth, biased, debiased = curves(
            lambda axes, beta=beta: pictures.debiasing(axes, beta)
        ).values()
        left = (debiased - truth)[0] / (biased - truth)[0]
        assert left == pytest.approx(0, abs=1e-9) if beta == 0 else left > share


def test_consistent_debiasing_is_exact_for_constant_positives_and_not_for_single_ones():
    truth, biased, paper, consistent = curves(pictures.bias_against_beta).values()
    np.testing.assert_allclose(consistent, truth, rtol=1e-9)
    removed = (biased - paper) / (biased - truth)
    assert removed[[0, 10, 20]] == pytest.approx([1, 0.08, 0.02], abs=0.005)
    truth, biased, paper, consistent = curves(pictures.bias_against_separation).values()
    numbers = np.array([truth, biased, paper, consistent])[:, [4, 8]]  # at a mean of 2 and of 4
    expected = [[1.41, 1.41], [2.15, 4.49], [2.15, 4.54], [1.68, 3.50]]
    np.testing.assert_allclose(numbers, expected, rtol=0, atol=0.006)


@pytest.mark.parametrize(
    ("beta", "expected"), [(2.0, [2.15, 3.67, 3.84, 3.55]), (4.0, [3.33, 4.91, 5.21, 4.86])]
)
def test_a_single_positive_leaves_most_of_the_bias_at_large_beta(beta, expected):
    true, positives = pictures.normal(9000), pictures.normal(499) + 2
    mixed = pictures.torch.cat([true, pictures.normal(1000) + 2])
    found = []
    for label, form in pictures.FORMS.items():
        scores = true if label == "true negatives" else mixed
        found.append(pictures.mean_over_negatives(positives, scores, beta=beta, **form)[0])
    assert found == pytest.approx(expected, rel=0, abs=0.006)
    row = f"| {beta:g} | " + " | ".join(map(str, expected)) + " |"
    assert row in (DOCS / "theory.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("beta", "expected"),
    [(1.0, [1.41, 1.41, 0.17, 0.17]), (2.0, [2.18, 2.6, 1.8, 0.66]), (4.0, [3.43, 4.1, 2.5, 0.79])],
)
def test_the_batchs_positives_vary_too_much(beta, expected):
    found = list(pictures.trials_of_the_batchs_positives(beta).values())
    digits = (0.006, 0.05 if beta > 1 else 0.006, 0.05 if beta > 1 else 0.006, 0.006)
    assert found == [pytest.approx(x, rel=0, abs=d) for x, d in zip(expected, digits, strict=True)]


def test_released_pushes_the_easiest_negatives_and_high_positives_down():
    _, hard, released = curves(pictures.push_on_negatives).values()
    assert hard.argmax() == len(hard) - 1
    assert (
        released[:-1].argmax() == 0
    )  # but for the largest score, on which the gradient through m falls
    _, hard, released, _ = curves(pictures.pull_on_positive).values()
    assert (hard > 0).all()
    assert (released[41:] < 0).all()
