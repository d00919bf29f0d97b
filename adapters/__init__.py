"""Adapters to host libraries, one a module."""
