"""What decoded pictures are measured by."""
