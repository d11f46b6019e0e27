"""Checks of a study before anything is fitted: one file per alarm, listed in ``registry.py``."""
