"""The ``cod`` codec."""
