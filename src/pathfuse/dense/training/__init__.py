"""Training a segmentation network: recipe, loop, checkpoints."""
