"""From the folder that a user downloaded to masks as PNG and split.json, one file per family of
formats.
"""
