"""Pictures on their way in and out: modes, transparency, metadata, and files of any format."""
