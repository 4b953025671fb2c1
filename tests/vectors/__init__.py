"""Vectors: a second reading of the contract, and the files it makes."""
