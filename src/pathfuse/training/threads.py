"""One thread per model, and libraries that are there before the clock starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """One core per model: more would add in another order, and the last digits would depend on the
    machine.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@cache
def warm_up() -> None:
    """Loads what the first training of a process would otherwise wait for, and be billed for."""
    import torch

    with torch.random.fork_rng(devices=[]):
        layer = torch.nn.Linear(2, 2)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.zeros(1, 2)).sum().backward()
    adam.step()
