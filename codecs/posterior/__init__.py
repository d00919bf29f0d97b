"""The ``posterior`` codec."""
