"""What encoders see, before anything is trained on them."""
