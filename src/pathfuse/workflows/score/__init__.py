"""From the features of new slides to fused scores: ``pathfuse score``."""
