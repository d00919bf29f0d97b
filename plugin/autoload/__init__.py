"""Pillow knows the format in every process of an environment, without ``import diffc``.

What ``diffc autoload`` switches on and off: a start-up file of Python, which waits for Pillow.
"""
