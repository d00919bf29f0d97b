"""Training of the embedded models; nothing here is imported by coding or decoding."""
