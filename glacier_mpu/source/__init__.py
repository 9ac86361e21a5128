"""What is uploaded, block by block."""
