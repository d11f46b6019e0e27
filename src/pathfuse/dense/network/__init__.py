"""The network, and how whole images go through it."""
