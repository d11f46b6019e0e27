"""The published benchmark: its tasks as cards, and how a user lays out studies for ``pathfuse suite
run``.
"""
