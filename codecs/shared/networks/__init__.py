"""Blocks of networks, and their weights as files hold them."""
