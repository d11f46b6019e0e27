"""Predictions as other tools write them. One file per format, and one list of them: ``registry``."""
