"""Several encoders of the same slides at once: their features side by side, and what fuses them."""
