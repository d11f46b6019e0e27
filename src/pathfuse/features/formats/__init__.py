"""Feature files of other tools, read by their layout. One file per format."""
