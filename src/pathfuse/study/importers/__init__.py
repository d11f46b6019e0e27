"""Foreign formats into the contract's tables. One file per format."""
