"""Rate, quality, speed and memory of codecs, measured on real files."""
