"""The ``relay`` codec."""
