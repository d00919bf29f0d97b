"""Codecs under test, whoever made them, behind one interface."""
