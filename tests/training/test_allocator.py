"""A process that requests it keeps freed memory."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from graphcl_hard.training.allocator import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    print("none")
    sys.exit()
faults = []
for _ in range(30):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[10:]))
"""


@pytest.mark.alone
def test_pages_are_not_cleared_again_and_again():
    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    kept = faults("keep")
    if kept == "none":
        pytest.skip("the C library has no mallopt")
    assert int(kept) < int(faults("as it is")) / 10
