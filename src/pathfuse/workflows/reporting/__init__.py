"""What a report holds beyond metrics and differences: one part per file, listed in ``parts.py``."""
