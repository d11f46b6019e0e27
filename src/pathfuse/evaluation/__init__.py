"""Metrics, resampling, paired comparisons."""
