"""Files: tables, JSON and YAML read and written, digests, and folders that a stopped run goes on
in.
"""
