"""Pixel-level fusion of several models' logits."""
