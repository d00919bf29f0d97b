"""The ``perco`` codec."""
