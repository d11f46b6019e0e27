"""Fusion of Gaussian predictions: the methods of regression. One method per file.

See docs/design/fusion.md, section 7.
"""
