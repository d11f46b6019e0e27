"""Symmetric InfoNCE between the models' tokens of the same row.

See docs/design/meta-encoder.md, section 2.
"""

import torch
from torch import Tensor
from torch.nn import functional


def contrast(tokens: Tensor, present: Tensor, groups: Tensor, temperature: float = 0.5) -> Tensor:
    """Loss of each row: its tokens should find each other among those of other patients.

    For a pair of models (a, b) that are both present in row i, with s the cosine similarity divided
    by the
    temperature: half of ``-log softmax_j s(a_i, b_j)`` at j = i, and half of the same with a and b
        exchanged. Here j runs over i itself and the rows of other patients in which the model that
        is searched is present. The row's loss is the mean over its pairs.

    Args:
        tokens: Float, (row, model, dim).
        present: Bool, (row, model).
        groups: Int, (row,), the patient of each row: rows of one patient are no negatives of each
            other.
        temperature: Greater than 0; the published value is 0.5.

    Returns:
        Float, (row,), not negative; 0 for a row with fewer than two models, and in pairs without
        any negative.
    """
    unit = functional.normalize(torch.where(present[..., None], tokens.float(), 0.0), dim=2)
    same = torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    candidate = same | (groups[:, None] != groups)
    total = unit.new_zeros(len(groups))
    for a in range(present.shape[1]):
        similar = torch.einsum("id,jmd->mij", unit[:, a], unit) / temperature
        searched = similar.masked_fill(~(candidate & (same | present.T[:, None])), -torch.inf)
        loss = torch.logsumexp(searched, dim=2) - similar.diagonal(dim1=1, dim2=2)
        pairs = present[:, a] & present.T
        pairs[a] = False
        total = total + torch.where(pairs, loss, 0.0).sum(dim=0)
    count = present.sum(dim=1)
    return total / (count * (count - 1)).clamp(min=1)
