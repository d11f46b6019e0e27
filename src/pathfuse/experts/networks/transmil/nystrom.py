"""Nystroem attention (Xiong et al. 2021) of one sequence, in time and memory linear in its length."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.experts import blocks
from pathfuse.experts.segments import segment_sum

KERNEL = 33
"""Of the convolution over the sequence of values."""
ITERATIONS = 6
"""Of the pseudo-inverse."""
CELLS = 2**23
"""Scores that are held at once for what a token attends to."""


class NystromLayer(nn.Module):
    """``x + out(S(Q K'^T) pinv(S(Q' K'^T)) S(Q' K^T) V + conv(V))`` of the normalised x.

    S is the row-wise softmax of scores over the root of a head's width, Q' and K' are the landmarks:
    means of consecutive segments of queries and keys. The paper's segments are of equal length; here
    they differ by at most one token, so that no sequence is padded. conv is a depthwise convolution
    over the sequence, one filter per head.

    Args:
        width: Of a token; a multiple of ``heads``.
        heads: Attention heads.
        landmarks: At most; a shorter sequence has as many as tokens.
        dropout: Of the output.
    """

    def __init__(self, width: int, heads: int, landmarks: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.landmarks = heads, landmarks
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width, bias=False)
        self.local = nn.Conv2d(
            heads, heads, (KERNEL, 1), padding=(KERNEL // 2, 0), groups=heads, bias=False
        )
        self.out, self.drop = nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens after the layer, and what the first token attends to.

        Args:
            tokens: Float, (token, width). Without gradients it is overwritten.

        Returns:
            Float, (token, width), and float, (token,): the first row of the approximated attention,
            averaged over the heads, negative values as 0; sums to 1. It has no gradient.
        """
        key, value = blocks.in_blocks(self._keys_and_values, tokens).chunk(2, dim=-1)
        query_marks, key_marks = self._landmarks(tokens)
        inverse = pseudo_inverse(_softmax(query_marks, key_marks))
        keys, values = self._split(key), self._split(value)
        summed = functional.scaled_dot_product_attention(
            query_marks[None], keys[None], values[None]
        )
        middle = inverse.to(summed.dtype) @ summed[0]
        with torch.no_grad():
            query = self._split(self._queries(tokens[:1].detach()))
            first = _softmax(query, key_marks) @ inverse
            attended = _looked_at(first[:, 0], query_marks, keys)
        if torch.is_grad_enabled():
            return tokens + self._read(tokens, value, 0, key_marks, middle), attended
        for start in range(0, len(tokens), blocks.BLOCK):
            part = tokens[start : start + blocks.BLOCK]
            part += self._read(part, value, start, key_marks, middle)
        return tokens, attended

    def _read(
        self, part: Tensor, value: Tensor, start: int, key_marks: Tensor, middle: Tensor
    ) -> Tensor:
        """What the layer adds to the tokens from ``start`` on: float, (token, width)."""
        query = self._split(self._queries(part))
        mixed = functional.scaled_dot_product_attention(
            query[None], key_marks[None], middle[None].to(query.dtype)
        )[0]
        low, high = max(start - KERNEL // 2, 0), start + len(part) + KERNEL // 2
        local = self.local(self._split(value[low:high])[None])[0]
        mixed = mixed + local[:, start - low : start - low + len(part)]
        added: Tensor = self.drop(self.out(mixed.transpose(0, 1).flatten(1)))
        return added

    def _queries(self, tokens: Tensor) -> Tensor:
        width = tokens.shape[1]
        return functional.linear(self.norm(tokens), self.mix.weight[:width])

    def _keys_and_values(self, tokens: Tensor) -> Tensor:
        width = tokens.shape[1]
        return functional.linear(self.norm(tokens), self.mix.weight[width:])

    def _landmarks(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Of queries and of keys: float, (head, landmark, width of a head).

        The mean of the queries is the query of the mean, since they have no bias.
        """
        n = len(tokens)
        m = min(self.landmarks, n)
        of = torch.arange(n, device=tokens.device) * m // n
        size = n if torch.is_grad_enabled() else blocks.BLOCK
        total = torch.zeros(m, tokens.shape[1], device=tokens.device)
        for start in range(0, n, size):
            normed = self.norm(tokens[start : start + size]).float()
            total = total + segment_sum(normed, of[start : start + size], m)
        query, key, _ = self.mix(total / torch.bincount(of, minlength=m)[:, None]).chunk(3, dim=-1)
        return self._split(query), self._split(key)

    def _split(self, tokens: Tensor) -> Tensor:
        """From (token, width) to (head, token, width of a head)."""
        return tokens.unflatten(1, (self.heads, -1)).transpose(0, 1)


def pseudo_inverse(matrix: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """The Moore-Penrose inverse by the iteration of Razavi et al. (2014), in float32.

    Starts from the transpose over the product of the largest column sum and the largest row sum, of
    each matrix on its own.

    Args:
        matrix: Float, (matrix, n, n).
        iterations: How many.
    """
    with torch.autocast(matrix.device.type, enabled=False):
        a = matrix.float()
        size = a.abs().sum(dim=-2).amax(dim=-1) * a.abs().sum(dim=-1).amax(dim=-1)
        z = a.mT / size[:, None, None]
        one = torch.eye(a.shape[-1], device=a.device)
        for _ in range(iterations):
            az = a @ z
            z = z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4
        return z


def _softmax(query: Tensor, key: Tensor) -> Tensor:
    """Attention of each head in float32: (head, query, key)."""
    return ((query @ key.mT).float() / query.shape[-1] ** 0.5).softmax(dim=-1)


def _looked_at(first: Tensor, query_marks: Tensor, keys: Tensor) -> Tensor:
    """The row of one token: its weights of the landmarks times what those attend to.

    Args:
        first: Float, (head, landmark).
        query_marks: Float, (head, landmark, width of a head).
        keys: Float, (head, token, width of a head).

    Returns:
        Float, (token,), not negative, sums to 1.
    """
    step = max(1, CELLS // keys.shape[1])
    row = torch.zeros(keys.shape[1], device=keys.device)
    for weight, query, key in zip(first, query_marks, keys, strict=True):
        for start in range(0, len(query), step):
            marks = slice(start, start + step)
            row += weight[marks] @ _softmax(query[None, marks], key[None])[0]
    row = row.clamp(min=0) + torch.finfo(row.dtype).tiny
    return row / row.sum()
