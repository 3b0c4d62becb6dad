"""The study of molecules: frozen vectors on eight data sets of MoleculeNet, beside fingerprints."""
