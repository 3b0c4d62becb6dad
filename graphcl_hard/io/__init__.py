"""Files: atomic writes, checksums and vector files. Nothing here knows of graphs."""
