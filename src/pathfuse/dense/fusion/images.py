"""Which images a fusion is fitted on and applied to, and what is wrong with the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathfuse.dense.data.image_files import holdings
from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.records import Item
from pathfuse.errors import InputError


def check_items(fit: Sequence[Item], test: Sequence[Item]) -> None:
    """Refuses images that are there twice or cannot name a file.

    Raises:
        InputError: There is one.
    """
    for what, items in (("fit", fit), ("test", test)):
        seen: set[str] = set()
        for item in items:
            if item.image_id in seen:
                raise InputError(f"the {what} images hold '{item.image_id}' twice")
            if Path(item.image_id).name != item.image_id:
                raise InputError(f"the image id '{item.image_id}' is not a plain file name")
            seen.add(item.image_id)
    both = {item.image_id for item in fit} & {item.image_id for item in test}
    if both:
        raise InputError(f"image '{min(both)}' is both a fit and a test image")


def usable(
    files: LogitFiles,
    items: Sequence[Item],
    what: str,
    left_out: list[dict[str, Any]],
    *,
    needs_mask: bool,
) -> list[Item]:
    """The images that can be used; the others are added to ``left_out`` with the reason.

    Args:
        files: The models' logits.
        items: Images.
        what: ``fit`` or ``test``.
        left_out: Gets ``reason``, ``n`` and the ``first`` five ids per reason.
        needs_mask: Whether an image without a mask cannot be used.

    Raises:
        InputError: None can be used.
    """
    unseen = [item.image_id for item in items if not files.models(item.image_id)]
    bare = [
        item.image_id
        for item in items
        if needs_mask and item.mask is None and item.image_id not in unseen
    ]
    for reason, ids in (("scored by no model", unseen), ("no mask", bare)):
        if ids:
            left_out.append({"reason": f"{what} image: {reason}", "n": len(ids), "first": ids[:5]})
    kept = [item for item in items if item.image_id not in {*unseen, *bare}]
    if not kept:
        need = "a mask and logits" if needs_mask else "logits"
        saw = holdings(files.folders.values())
        raise InputError(
            f"no {what} image has {need}: of {len(items)} images, none can be used "
            f"(files of logits are called <image_id>.npy or .npz; {saw})"
        )
    return kept


def check_models(files: LogitFiles, fit: Sequence[Item]) -> None:
    """Refuses a model that scored no fit image.

    Raises:
        InputError: There is one.
    """
    for name, folder in files.folders.items():
        if not any(name in files.models(item.image_id) for item in fit):
            raise InputError(
                f"the model {name} has no logits of any fit image in {folder}, so it cannot be weighed "
                f"({holdings([folder])})"
            )


def shared_patients(fit: Sequence[Item], test: Sequence[Item]) -> list[str]:
    """A warning if patients have both fit and test images."""
    both = sorted({item.patient_id for item in fit} & {item.patient_id for item in test})
    if not both:
        return []
    few = ", ".join(both[:3]) + (" and others" if len(both) > 3 else "")
    return [
        f"{len(both)} patients have both fit and test images ({few}): the figures are too good for new patients"
    ]
