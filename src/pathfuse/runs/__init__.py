"""The protocols behind the commands: fuse, predict, evaluate."""
