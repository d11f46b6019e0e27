"""Fusion of Gaussian predictions: the ladder of regression (fusion.md, section 7). One method per file."""
