"""Networks that fuse features: Meta-Encoder and FuseCPath (extra ``torch``)."""
