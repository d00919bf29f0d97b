"""CoD, a diffusion made for compression: its condition codec, its velocity networks, its folders."""
