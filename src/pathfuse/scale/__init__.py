"""What is too large for one process: a cluster of machines."""
