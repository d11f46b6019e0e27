"""From masks to figures with intervals."""
