"""The contract's tables: read, checked, aligned by name, written."""
