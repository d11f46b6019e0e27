"""What Prometheus reads at ``/metrics``: counts and times, nothing of a sample."""

import os
from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from pathfuse.serving.settings import COUNTS

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counts of one worker."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when a count began is of no use here
        self._own = own = CollectorRegistry()
        self.requests = Counter(
            "pathfuse_requests", "Requests answered.", ["route", "status"], registry=own
        )
        self.seconds = Histogram(
            "pathfuse_request_seconds",
            "Time from the first byte to the answer.",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self.samples = Counter("pathfuse_samples", "Samples fused.", registry=own)
        self.missing = Counter(
            "pathfuse_missing_experts",
            "Samples that an expert did not score.",
            ["expert"],
            registry=own,
        )
        self.refused = Counter(
            "pathfuse_refused",
            "Requests answered with a fault of theirs.",
            ["status"],
            registry=own,
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts one request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if status >= 400:
            self.refused.labels(str(status)).inc()

    def fused(self, n: int, lacking: Sequence[tuple[str, int]]) -> None:
        """Counts samples, and by expert those that it did not score."""
        self.samples.inc(n)
        for name, count in lacking:
            if count:
                self.missing.labels(name).inc(count)

    def text(self) -> bytes:
        """All workers' counts, in the format of Prometheus."""
        folder = os.environ.get(COUNTS)
        if not folder:
            return generate_latest(self._own)
        together = CollectorRegistry()
        MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)
