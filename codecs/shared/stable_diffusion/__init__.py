"""Directories of released latent diffusion models, as diffusers writes them."""
