"""Image tokens: words of a codebook, and their bytes at fixed length."""
