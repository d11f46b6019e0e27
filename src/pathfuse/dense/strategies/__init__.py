"""The ways to adapt an encoder to segmentation, by name."""
