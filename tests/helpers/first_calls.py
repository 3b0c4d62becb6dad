"""The loss that each of many processes gets from its first call with two threads: prints a line for each value."""

import multiprocessing
import sys
import time
from collections import Counter

import torch

from graphcl_hard.losses.nt_xent import nt_xent


def first_call(queue):
    torch.set_num_threads(2)
    views = torch.nn.functional.normalize(
        torch.randn(2, 128, 32, generator=torch.Generator().manual_seed(0)), dim=2
    )
    _ = (views[0] @ views[1].T).relu().sum()  # the second thread is there
    time.sleep(0.001)  # and asleep
    queue.put(nt_xent(*views).item())


if __name__ == "__main__":
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["graphcl_hard.losses.local_global"])
    queue, found = processes.SimpleQueue(), Counter()
    for _ in range(int(sys.argv[1])):
        process = processes.Process(target=first_call, args=(queue,))
        process.start()
        found[queue.get()] += 1
        process.join()
    for loss, times in found.most_common():
        print(loss, times)
