"""A fused model behind HTTP (extra ``serve``)."""
