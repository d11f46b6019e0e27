"""The class token."""

import torch
from torch import nn


def class_token(width: int) -> nn.Parameter:
    """Float, (width,), a small random vector."""
    return nn.Parameter(nn.init.normal_(torch.zeros(width), std=0.02))
