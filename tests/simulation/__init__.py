"""What is measured on virtual time, over many runs."""
