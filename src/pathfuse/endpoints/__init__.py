"""What is predicted: outcomes, observed sets, likelihood. One file per endpoint."""
