"""Operations of networks, as torch counts them: two for each term of a matrix product or a
convolution.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

T = TypeVar("T")
Shape = tuple[int, ...]


def count_flops(call: Callable[[], T]) -> tuple[T, int]:
    """What a call returns, and the operations that torch did for it.

    Matrix products, linear layers, convolutions and attention count, forward and backward, with
    gradients or without; functions of single cells (softmax, normalisation, sums of products
    written as ``(a * b).sum()``) do not, nor do recurrent layers. ``torch.nn.MultiheadAttention``
    takes its plain path for the time of the call, since the counter cannot see into the fused one;
    its output may differ from that in the last bits.

    Counting slows small operations several times: count one step, not a whole fit.

    Examples:
        >>> import torch
        >>> layer = torch.nn.Linear(6, 3)
        >>> output, flops = count_flops(lambda: layer(torch.zeros(10, 6)))
        >>> output.shape, flops == 2 * 10 * 6 * 3
        (torch.Size([10, 3]), True)
    """
    counter = FlopCounterMode(display=False, custom_mapping=UNSEEN)
    with _plain_attention(), counter:
        result = call()
    return result, int(counter.get_total_flops())


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention of ``torch.nn`` without its fused inference path."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any
) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))


def _matrix_vector(matrix: Shape, _: Shape, **__: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _add_matrix_vector(_: Shape, matrix: Shape, vector: Shape, **__: Any) -> int:
    return _matrix_vector(matrix, vector)


def _dot(one: Shape, _: Shape, **__: Any) -> int:
    return 2 * one[0]


UNSEEN = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    torch.ops.aten.mv: _matrix_vector,
    torch.ops.aten.addmv: _add_matrix_vector,
    torch.ops.aten.dot: _dot,
}
"""What torch's counter passes over: attention on a processor, and products with a vector."""
