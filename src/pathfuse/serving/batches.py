"""Who scores when: small requests that wait are scored together, in one thread; a row's prediction
depends on that row alone, so that the answers are the same to the last bit.

A council needs about as long for sixty samples as for one.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import TypeVar

import numpy as np

from pathfuse.serving.given import ExpertRows, Given
from pathfuse.serving.refused import RefusedError
from pathfuse.serving.scoring import Answers, score
from pathfuse.workflows.model import FusedModel

TOGETHER = 256
"""Samples that are scored together, at most; a request with more is scored by itself."""
MOST_WAITING = 1024
"""Requests that may wait."""
MOST_LARGE = 16
"""Requests with a large body that may be in work or wait: each holds its body in memory."""

Made = TypeVar("Made")
Waiting = tuple[Given, "asyncio.Future[Answers]"]


class Scorer:
    """Scores requests in two threads, a lane for small ones and one for large ones."""

    def __init__(self, model: FusedModel) -> None:
        self.model = model
        self._small, self._large = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._waiting: list[Waiting] = []
        self._busy = False
        self._room = BoundedSemaphore(MOST_LARGE)

    def close(self) -> None:
        """Ends the threads when their work is done."""
        self._small.shutdown(wait=False, cancel_futures=True)
        self._large.shutdown(wait=False, cancel_futures=True)

    async def score(self, given: Given) -> Answers:
        """The answers to a small request.

        Raises:
            InputError: Something is wrong in it.
            RefusedError: Too many wait.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise _too_busy()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answers] = loop.create_future()
        self._waiting.append((given, future))
        loop.call_soon(self._start)  # after what came in the same moment
        return await future

    async def in_large_lane(self, work: Callable[[], Made]) -> Made:
        """Runs the whole work of a large request.

        Raises:
            RefusedError: Too many wait.
        """
        if not self._room.acquire(blocking=False):
            raise _too_busy()
        future = self._large.submit(work)
        # released by the work itself: who gave up waiting does not free the thread
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def _start(self) -> None:
        """Hands what waits to the thread, if it is free."""
        if self._busy or not self._waiting:
            return
        taken, rows = 0, 0
        while taken < len(self._waiting) and (not taken or rows < TOGETHER):
            rows += self._waiting[taken][0].n
            taken += 1
        batch = [one for one in self._waiting[:taken] if not one[1].done()]
        del self._waiting[:taken]
        if not batch:
            self._start()
            return
        self._busy = True
        work = asyncio.get_running_loop().run_in_executor(
            self._small, score_together, self.model, [given for given, _ in batch]
        )
        work.add_done_callback(lambda done: self._finish(batch, done))

    def _finish(
        self, batch: list[Waiting], done: "asyncio.Future[list[Answers | Exception]]"
    ) -> None:
        self._busy = False
        lost = done.exception() if not done.cancelled() else asyncio.CancelledError()
        for n, (_, future) in enumerate(batch):
            if future.done():  # its time was over
                continue
            answer = lost if lost is not None else done.result()[n]
            if isinstance(answer, Answers):
                future.set_result(answer)
            else:
                future.set_exception(answer)
        self._start()


def _too_busy() -> RefusedError:
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait already; try again later"
    )


def score_together(model: FusedModel, requests: Sequence[Given]) -> list[Answers | Exception]:
    """The answers to several requests, or what is wrong with them, one by one.

    Args:
        model: The model.
        requests: What they say.
    """
    found: list[Answers | Exception | None] = [None] * len(requests)
    for group in _alike(requests):
        joined = _joined([requests[n] for n in group]) if len(group) > 1 else requests[group[0]]
        try:
            answers, start = score(model, joined), 0
            for n in group:
                end = start + requests[n].n
                found[n] = answers.part(slice(start, end)) if len(group) > 1 else answers
                start = end
        except Exception as error:  # noqa: BLE001 - also a fault of ours is the fault of one request
            if len(group) == 1:
                found[group[0]] = error
            else:  # nobody hears of another's fault
                for n in group:
                    (found[n],) = score_together(model, [requests[n]])
    return [one for one in found if one is not None]


def _alike(requests: Sequence[Given]) -> list[list[int]]:
    """Requests whose experts have the same columns, where they have any."""
    groups: list[tuple[dict[str, tuple[str, ...]], list[int]]] = []
    for n, given in enumerate(requests):
        own = {name: rows.columns for name, rows in given.experts.items()}
        for known, members in groups:
            if all(known.get(name, columns) == columns for name, columns in own.items()):
                known.update(own)
                members.append(n)
                break
        else:
            groups.append((own, [n]))
    return [members for _, members in groups]


def _joined(requests: Sequence[Given]) -> Given:
    """Several requests as one, one after the other."""
    ids = [i for given in requests for i in given.ids]
    start, parts = 0, dict[str, list[tuple[np.ndarray, ExpertRows]]]()
    for given in requests:
        for name, rows in given.experts.items():
            parts.setdefault(name, []).append((rows.position + start, rows))
        start += given.n
    return Given(
        ids,
        {
            name: ExpertRows(
                np.concatenate([position for position, _ in own]),
                own[0][1].columns,
                np.concatenate([rows.values for _, rows in own]),
            )
            for name, own in parts.items()
        },
    )
