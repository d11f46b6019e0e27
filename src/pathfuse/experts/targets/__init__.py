"""The ways of being trained: what truth, outputs, losses and linear models of an endpoint are."""
