"""Settings of the C library's memory allocator for training."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST = 2**30


def keep_freed_memory() -> bool:
    """Make the process keep freed memory, on Linux with glibc; return whether that was possible.

    Every training step frees tensors of megabytes and allocates them again. By default glibc returns such memory to the
    system, which has to clear each page at its next use; this takes about a tenth of a step. The setting applies to the
    whole process, so programs should call this function, not libraries.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, LARGEST))
