"""Ranks of models and fusions over many studies."""
