"""The C library's allocator, told that this process trains."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST = 2**30


def keep_freed_memory() -> bool:
    """Let freed memory stay with the process, on Linux with glibc; returns whether that was possible.

    Every step of a training frees tensors of megabytes and asks for as many again. By default glibc hands such memory
    back to the system, which clears each page of it anew at its next use: about a tenth of a step. The setting is the
    whole process's, so that it is for programs to choose, and not for a library's functions.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, LARGEST))
