"""TU data sets: names and paths, download, archives, reader, cache and PyG dataset."""
