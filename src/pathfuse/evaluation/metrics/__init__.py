"""What is to be known of each metric: name, words, direction, scale of its interval, function."""
