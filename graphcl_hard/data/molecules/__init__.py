"""Molecules: the vocabulary of atoms and bonds, their conversion to graphs, and files of molecules."""
