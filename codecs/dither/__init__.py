"""The ``dither`` codec."""
