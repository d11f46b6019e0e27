"""The card of a data set as a page of Markdown, to be published beside results."""

from pathfuse.dense.data.cards import DatasetCard

UNKNOWN = "not known"


def card_text(card: DatasetCard) -> str:
    """One page: what the data set holds, its classes, how it is converted, where it comes from.

    Args:
        card: Of the data set.

    Returns:
        Markdown with a heading per question; the same card gives the same text.
    """
    return "\n".join(
        [
            f"# {card.name}",
            "",
            _what_it_is(card),
            "",
            *_table(_facts(card)),
            "",
            "## Classes",
            "",
            *_classes(card),
            "",
            "## How it is converted",
            "",
            *_conversion(card),
            "",
            "## Where it comes from",
            "",
            f"- Page: {card.page or UNKNOWN}",
            f"- Licence: {card.licence or UNKNOWN}; the page of the data set has the last word",
            f"- To cite: {card.citation}",
            f"- Overlap with what encoders were trained on: {card.overlap or UNKNOWN}",
            "",
        ]
    )


def _what_it_is(card: DatasetCard) -> str:
    where = "One of the 18 data sets" if card.in_benchmark else "Not one of the 18 data sets"
    what = f"Segmentation of {card.level} in stained sections, {card.organ}"
    return f"{what}. {where} of PFM-DenseBench (arXiv 2602.03887)."


def _facts(card: DatasetCard) -> list[tuple[str, str]]:
    parts = ", ".join(f"{n:,} {part}" for part, n in card.parts.items())
    return [
        ("level", card.level),
        ("organ", card.organ),
        ("magnification", card.magnification or UNKNOWN),
        ("micrometres per pixel", UNKNOWN if card.mpp_um is None else f"{card.mpp_um:g}"),
        ("images with masks", UNKNOWN if card.n_images is None else f"{card.n_images:,}"),
        ("official split", parts or "none that is counted"),
        ("files as published", card.native),
        ("side that networks see", f"{card.size_14_px} px at patch 14, {card.size_8_16_px} px at 8 and 16"),
        ("classes in the benchmark", " or ".join(str(k) for k in card.n_classes) or UNKNOWN),
    ]  # fmt: skip


def _classes(card: DatasetCard) -> list[str]:
    lines = []
    for name, classes in card.variants.items():
        numbered = ", ".join(f"{k} {one}" for k, one in enumerate(classes))
        lines.append(f"- `{name}`: {numbered}")
    return lines


def _conversion(card: DatasetCard) -> list[str]:
    commands = [
        f"pathfuse dense convert {name} downloads/{card.key} --out data/{name}" for name in card.variants
    ]  # fmt: skip
    drawn = (
        "The official split is used; what it leaves open is drawn by patient, or by image where patients are unknown."
        if card.parts
        else "Where the files name no split, 60 / 15 / 25 % train, validate and test, drawn by patient, or by image "
        "where patients are unknown."
    )
    checked = (
        "The converter was run on the downloaded files."
        if card.layout_confirmed
        else "The converter was not run on the downloaded files: how they lie on disk is from descriptions."
    )
    return [
        "```text",
        *commands,
        "```",
        "",
        f"Masks become PNG of class numbers, 255 where pixels do not count. {drawn} {checked}",
        *(["", card.note] if card.note else []),
    ]


def _table(rows: list[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in rows)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
