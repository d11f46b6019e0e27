"""Several devices for the models of a run: each process takes one that is free."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.claims import claimed
from pathfuse.training.device import device_of, on_device


def parse_devices(text: str | None) -> tuple[str, ...]:
    """Devices of ``cuda:0,cuda:1``; none of None.

    Raises:
        InputError: One is not there.
    """
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if "auto" in names or "" in names:
        raise InputError(f"--devices {text}: name each device, such as cuda:0,cuda:1")
    return tuple(device_of(name) for name in names)


@dataclass(frozen=True)
class DevicePool:
    """Devices that as many processes share, one each at a time."""

    names: tuple[str, ...]
    place: Path
    """An empty folder that all processes see: a file in it is a device that is taken."""

    @contextmanager
    def taken(self) -> Iterator[str]:
        """A free device, until the end of the block; ``auto`` is that device inside it.

        Raises:
            RuntimeError: None is free.
        """
        for number, name in enumerate(self.names):
            with claimed(self.place / str(number)) as held:  # a killed process holds none
                if held is None:
                    continue
                with on_device(name):
                    yield name
            return
        raise RuntimeError(f"more processes than the {len(self.names)} devices")
