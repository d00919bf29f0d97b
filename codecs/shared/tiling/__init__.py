"""Networks over pictures that are too large for them."""
