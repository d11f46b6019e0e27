"""Models of scikit-learn on statistics of a bag's tiles: fitted in seconds, and hard to beat."""
