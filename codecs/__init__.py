"""Codecs, one method a module, with the networks, samplers and weights that they share."""
