"""Still pictures of video standards, without the files around them."""
