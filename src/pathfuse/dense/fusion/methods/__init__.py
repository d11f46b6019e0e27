"""The ways to make one mask of several models' logits, one file each."""
