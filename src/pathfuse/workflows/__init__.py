"""The protocols behind the commands: fuse, predict, evaluate, rank, the suite, a whole study from
one file.
"""
