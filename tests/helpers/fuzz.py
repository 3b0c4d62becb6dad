"""The fuzz campaign: how many cases each of its tests runs, always the same ones, and what any of them may end in."""

import functools
import inspect
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphcl_hard.exceptions import InputError

TIMES = int(os.environ.get("GRAPHCL_HARD_FUZZ_TIMES", "1"))  # make test-long has more
CASES = {
    "TU folders, written and read": 1500,
    "TU folders, damaged": 1500,
    "zip files": 1500,
    "zip files, damaged": 1000,
    "YAML": 1500,
    "YAML and the command line": 300,
    "encoder.json": 500,
    "features.json": 500,
    "result.json and config.yaml": 400,
    "encoder.safetensors": 500,
    "checkpoint.safetensors": 300,
    "an estimator's file": 300,
    "settings": 1500,
    "an estimator's parameters": 500,
    "graphs, written and read": 800,
    "graphs, damaged": 1000,
    "vectors": 300,
    "vectors, damaged": 900,
    "shards, damaged": 300,
    "identity, tables": 60,
    "identity, TU folders": 60,
    "identity, PyG graphs": 60,
    "identity, networkx graphs": 60,
    "identity, SciPy graphs": 60,
}
CHANCE = st.randoms(use_true_random=False)


def campaign(name, *strategies):
    """A test that is given `CASES[name]` examples, the same each time, and fails where it ran fewer."""

    def decorate(test):
        ran = 0

        @functools.wraps(test)
        def counted(*args, **kwargs):
            nonlocal ran
            ran += 1
            test(*args, **kwargs)

        options = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
        given_all = settings(max_examples=TIMES * CASES[name], derandomize=True, **options)(
            given(*strategies)(counted)
        )

        def whole(**fixtures):
            nonlocal ran
            ran = 0
            given_all(**fixtures)
            assert ran >= TIMES * CASES[name]

        whole.__name__, whole.__doc__, whole.__module__ = (
            test.__name__,
            test.__doc__,
            test.__module__,
        )
        whole.__signature__ = inspect.signature(given_all)
        return whole

    return decorate


def damaged(content, chance, times=3):
    """Bytes with some flipped, cut out, doubled or put in."""
    content = bytearray(content)
    for _ in range(chance.randint(1, times)):
        at = chance.randrange(len(content) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del content[at : at + chance.randint(1, 40)]
        elif kind == 2:
            content[at:at] = content[at : at + chance.randint(1, 40)]
        elif kind == 3:
            del content[at:]
        else:
            content[at:at] = chance.randbytes(chance.randint(1, 8))
    return bytes(content)


def outcome(action, lines=1):
    """What an action gives, or None where it is refused, in one sentence of a length that a person reads."""
    try:
        return action()
    except InputError as error:
        sentence = str(error)
    assert 10 < len(sentence) < 2000 * lines, sentence[:3000]
    assert sentence.count("\n") < lines, sentence
    return None
