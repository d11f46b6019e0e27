"""``adapt``: a fused model that learns from labels as they come."""
