"""Reporting checklists, filled with what a run knows: one list per file."""
