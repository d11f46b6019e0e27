"""Calibration after fusion: a temperature that should find nothing to do, and conformal sets with
stated coverage.
"""
