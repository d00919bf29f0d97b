"""Entropy coding in exact integers: no floating point, no torch."""
