"""A run: what it is asked, its pictures and rows, and timings."""
