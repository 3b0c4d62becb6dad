"""The terminal output: numbers in their rows, warnings, and progress bars only on a terminal."""

import io
import warnings

import pytest
from rich.console import Console

from graphcl_hard.exceptions import InputError
from graphcl_hard.runs.display import Display


def score(mean, std, low, high):
    return {"mean": mean, "std": std, "low": low, "high": high}


RESULT = {
    "dataset": {"name": "TOY", "graphs": 24, "classes": 2},
    "seed": 3,
    "epoch": 7,
    "protocol": "last-epoch",
    "optimistic": False,
    "scores": {
        "svm": {
            "untrained": {
                "summary": {
                    "accuracy": score(0.5, 0.01, 0.4, 0.6),
                    "macro_f1": score(0.45, 0.02, 0.3, 0.6),
                }
            },
            "trained": {
                "repeats": 3,
                "folds": 10,
                "summary": {
                    "accuracy": score(0.625, None, 0.6, 0.65),
                    "macro_f1": score(0.6, 0.0, 0.5, 0.7),
                },
            },
            "difference": {
                "accuracy": {"difference": 0.125, "low": 0.05, "high": 0.2, "p": 0.034},
                "macro_f1": {"difference": -0.15, "low": -0.2, "high": -0.1, "p": 0.77},
            },
        }
    },
}
ROWS = {
    "difference": {
        "accuracy": score(0.0111, 0.0222, -0.0333, 0.0444),
        "macro_f1": score(-0.01, None, None, None),
    }
}
ROWS |= {
    key: {s: score(0.7, 0.1, 0.6, 0.8) for s in ("accuracy", "macro_f1")}
    for key in ("untrained", "trained")
}
SUMMARY = {**RESULT, "seeds": [3, 4], "scores": {"knn": ROWS}}


@pytest.fixture
def shown():
    """Return a display of 80 columns and a function that returns its output."""
    display, stream = Display(), io.StringIO()
    display.console = Console(file=stream, width=80, highlight=False)
    return display, stream.getvalue


def row(text, start):
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_a_result_shows_each_number_in_its_row(shown):
    display, text = shown
    display.result(RESULT)
    assert "TOY: 24 graphs, 2 classes, seed 3" in text()
    assert row(text(), "untrained GIN").split(maxsplit=2)[2].split() == [
        "50.0",
        "±",
        "1.0",
        "[40.0,",
        "60.0]",
        "45.0",
        "±",
        "2.0",
        "[30.0,",
        "60.0]",
    ]
    assert "62.5 [60.0, 65.0]" in row(text(), "trained, epoch 7")
    difference = row(text(), "over untrained")
    assert difference.split()[2:] == [
        "+12.5",
        "[+5.0,",
        "+20.0]",
        "0.034",
        "-15.0",
        "[-20.0,",
        "-10.0]",
    ]
    assert text().index("SVM (RBF)") < text().index("untrained GIN")
    assert "3 x 10-fold" in text()
    assert "OPTIMISTIC" not in text()


@pytest.mark.parametrize(("method", "content"), [("result", RESULT), ("summary", SUMMARY)])
def test_the_untrained_encoder_is_called_by_its_name(shown, method, content):
    display, text = shown
    getattr(display, method)({**content, "encoder": "gine"})
    assert "untrained GINE " in text()


def test_a_summary_shows_each_number_in_its_row(shown):
    display, text = shown
    display.summary(SUMMARY)
    assert "TOY: mean over seeds 3 to 4" in text()
    assert row(text(), "over untrained").split() == [
        "over",
        "untrained",
        "+1.1",
        "±",
        "2.2",
        "[-3.3,",
        "+4.4]",
        "-1.0",
    ]
    assert "nearest neighbours" in text()


@pytest.mark.parametrize(("method", "content"), [("result", RESULT), ("summary", SUMMARY)])
def test_best_epoch_is_called_optimistic(shown, method, content):
    display, text = shown
    getattr(display, method)({**content, "optimistic": True})
    assert "OPTIMISTIC: the epoch was selected on the test folds" in text()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_shows_only_on_a_terminal(terminal):
    display, stream = Display(), io.StringIO()
    display.console = Console(file=stream, force_terminal=terminal, width=100)
    with display.bar("training", 4) as show:
        show(3, "loss 0.5  effective negatives 40%")
    for text in ("training", "3/4", "loss 0.5  effective negatives 40%", "━"):
        assert (text in stream.getvalue()) is terminal


def test_a_download_shows_with_its_first_bytes():
    display, stream = Display(), io.StringIO()
    display.console = Console(file=stream, force_terminal=True, width=100)
    with display.download("TOY"):
        pass
    assert stream.getvalue() == ""
    with display.download("TOY") as progress:
        progress(10, 40)
    assert "downloading TOY" in stream.getvalue()


def test_a_terminal_that_fails_does_not_end_the_run(capsys):
    class Full(io.StringIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    display = Display()
    display.console = Console(file=Full(), width=80)
    display.say("written: here")
    display.result(RESULT)
    assert "The table cannot be shown: No space left on device" in capsys.readouterr().err


def test_warnings_of_a_block_are_shown_also_before_its_error(capsys):
    """Each once, without those for developers; a process beside the first one shows none."""

    def fail():
        for _ in range(2):
            warnings.warn("look here", stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        raise InputError("wrong")

    for silent, shown in ((False, "warning: look here\n"), (True, "")):
        display = Display(silent=silent)
        with pytest.raises(InputError), display.warnings():
            fail()
        assert capsys.readouterr().err == shown
