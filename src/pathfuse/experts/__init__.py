"""What turns bags of tiles into predictions, and what such experts have to show."""
