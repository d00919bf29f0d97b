"""The models of CompressAI's zoo: learned transforms, and latents that are entropy-coded."""
