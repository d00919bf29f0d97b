"""What several codecs are made of; nothing here knows one of them."""
