"""The ``ddcm`` codec."""
