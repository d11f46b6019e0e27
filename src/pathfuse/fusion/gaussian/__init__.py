"""Fusion of Gaussian predictions: the methods of regression (fusion.md, section 7). One method per file."""
