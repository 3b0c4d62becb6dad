"""TU data sets: names and paths, download, archive, reader, cache and PyG dataset."""
