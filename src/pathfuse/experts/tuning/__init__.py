"""Searching over the recipe of an expert on inner folds."""
