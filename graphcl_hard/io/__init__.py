"""Atomic writes, checksums and vector files. Nothing here depends on graphs."""
