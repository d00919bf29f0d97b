"""The embedded latent model, and what latent codecs walk in."""
