"""Sections of the report that stand on their own: one file and one template each, listed in
``registry.py``.
"""
