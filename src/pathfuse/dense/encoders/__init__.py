"""Foundation models as encoders of images into grids of tokens, and what is known of each."""
