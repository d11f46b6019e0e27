"""Fusion of distributions over outcomes: classes, labels, bins of time. One method per file."""
