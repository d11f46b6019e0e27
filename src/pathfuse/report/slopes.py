"""What the calibration slopes of the judged rows say, in words that follow from their intervals."""

from collections.abc import Mapping
from typing import Any

from pathfuse.endpoints.detect import endpoint_from_dict

SHOWN = 12
"""Labels or targets that are named."""


def recalibration(manifest: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What the slope b is of, and the works to cite for it."""
    return endpoint_from_dict(manifest["endpoint"]).slope_in_words


def slope_sentence(manifest: Mapping[str, Any]) -> str:
    """The calibration slope of the fusion on the judged rows, and whether its interval excludes 1.

    Args:
        manifest: Of a run; without ``calibration`` there is nothing to say.
    """
    calibration: Mapping[str, Mapping[str, Any]] = manifest.get("calibration", {})
    sides, (how, _) = endpoint_from_dict(manifest["endpoint"]).slope_sides, recalibration(manifest)
    found = {output: one for output, one in calibration.items() if one.get("slope") is not None}
    if not found:
        return "The judged rows define no calibration slope." if calibration else ""
    if len(found) == 1 and len(calibration) == 1:
        (one,) = found.values()
        slope = f"The calibration slope of the fusion on the judged rows is {_figure(one)} ({how})"
        return f"{slope}: {_verdict(sides, one)}."
    return _of_many(sides, how, found, len(calibration))


def _figure(one: Mapping[str, Any]) -> str:
    if one["slope_low"] is None:
        return f"{one['slope']:.2f}, without an interval"
    return f"{one['slope']:.2f}, 95 % interval {one['slope_low']:.2f} to {one['slope_high']:.2f}"


def _side(one: Mapping[str, Any]) -> int | None:
    """0 below 1, 1 above it, None where the interval includes 1 or there is none."""
    if one["slope_low"] is None or one["slope_low"] <= 1 <= one["slope_high"]:
        return None
    return int(one["slope"] > 1)


def _verdict(words: tuple[str, str], one: Mapping[str, Any]) -> str:
    side = _side(one)
    if side is not None:
        return f"{'above' if side else 'below'} 1, so its predictions are {words[side]}"
    if one["slope_low"] is None:
        return (
            f"without an interval it does not say whether predictions are {words[0]} or {words[1]}"
        )
    return f"the interval includes 1, so these rows do not show that predictions are {words[0]} or {words[1]}"


def _of_many(
    words: tuple[str, str], how: str, found: Mapping[str, Mapping[str, Any]], n: int
) -> str:
    """One sentence for several labels or targets."""
    slopes = [one["slope"] for one in found.values()]
    start = (
        f"The calibration slopes of the fusion on the judged rows are {min(slopes):.2f} to {max(slopes):.2f} over "
        f"{len(found)} of {n} outputs ({how})"
    )
    clear = {output: one for output, one in found.items() if _side(one) is not None}
    if not clear:
        return f"{start}; no interval excludes 1."
    named = [
        f"{output} {_figure(one)} ({words[_side(one) or 0]})"
        for output, one in list(clear.items())[:SHOWN]
    ]
    more = f", and {len(clear) - SHOWN} more" if len(clear) > SHOWN else ""
    return f"{start}; the interval excludes 1 for {'; '.join(named)}{more}."
