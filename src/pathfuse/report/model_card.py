"""The model card: what a fitted model is for, what it was judged on, and what is known against it.

Mitchell et al., "Model cards for model reporting", FAT* 2019, in Markdown, beside the model's files.
"""

import html
from collections.abc import Mapping

from pathfuse.report.answer import title
from pathfuse.report.checklists import answers, data
from pathfuse.report.content import Content, left_out_lines, over_all
from pathfuse.report.publication import wide_metrics
from pathfuse.unseen import visible

NAME = "README.md"
UNKNOWN = "not known to pathfuse"
COMPARED = ("fused", "best_expert", "null_model")
"""Methods whose figures the card states."""
YOURS = (
    "_To be written by whoever puts the model to use:_ the patients, laboratories, scanners and "
    "decisions that it is meant for, and those that it is not. It is no medical device, and no "
    "figure here stands for a study where it is used."
)


def model_card(content: Content, files: Mapping[str, str], licences: Mapping[str, str]) -> str:
    """The text of the page.

    Args:
        content: The run.
        files: SHA-256 of the model's files, by name.
        licences: Of the experts' foundation models as far as they are known, by expert.
    """
    manifest = content.manifest
    sections = {
        "What it predicts": [data.outcome(content), answers.output(content)],
        "Intended use": [
            answers.objective(content),
            YOURS,
        ],
        "What it needs": [_experts(content, licences), answers.missing_inputs(content)],
        "How it was made": [answers.model(content), answers.handling(content), answers.updating(content)],
        "Data": [
            data.sources(content), data.partitions(content), data.participants(content),
            data.clusters(content), data.missing(content),
        ],
        "Results": [_results(content), _certificate(content), answers.calibration(content),
                    answers.subgroups(content), data.disjoint(content)],
        "Known limits": [_limits(content), answers.failures(content)],
        "Use": [USE],
        "Versions and digests": [
            _pairs({"pathfuse": manifest["pathfuse"], "Python": manifest["python"], **manifest["libraries"]}),
            _pairs({f"`{name}`": _digest(one) for name, one in files.items()}),
            _pairs({f"input `{name}`": _digest(one) for name, one in manifest["inputs"].items()}),
        ],
    }  # fmt: skip
    parts = [f"# Model card: {title(manifest)}"]
    for heading, texts in sections.items():
        there = [text for text in texts if text]
        if there:
            parts += [f"## {heading}", *there]
    return _escaped("\n\n".join(parts)) + "\n"


def _escaped(text: str) -> str:
    """Markdown in which no name is an element of HTML, or acts on who reads it."""
    return html.escape("\n".join(map(visible, text.split("\n"))), quote=False)


USE = """\
```sh
pathfuse predict --model . --predictions new_predictions/ --out fused.csv
```

`model.json` says what the model is and `model.safetensors` holds its numbers; any language can
read both (pathfuse's documentation, "Read a model elsewhere"). Nothing in them is executed.
`manifest.json` of the run has the command that made them."""


def _experts(content: Content, licences: Mapping[str, str]) -> str:
    """The experts, how much each weighs, and under which licence."""
    weights = {}
    if content.fused is not None:
        columns = [name for name in content.fused.columns if name.startswith("weight_")]
        weights = {
            name.removeprefix("weight_"): content.fused[name].mean() for name in sorted(columns)
        }
    lines = ["| expert | mean weight | licence of the foundation model |", "|---|---|---|"]
    for name, weight in weights.items():
        share = f"{weight:.3f}" if isinstance(weight, float) else ""
        lines.append(f"| {_cell(name)} | {share} | {_cell(licences.get(name, UNKNOWN))} |")
    lines.append(
        "\nLicences are those of the models that the experts are named after; they may have changed, "
        "and bind whoever uses the fusion."
    )
    return "\n".join(lines)


def _results(content: Content) -> str:
    """Figures with 95 % intervals of the fusion, the best expert, and of knowing nothing."""
    rows, table = over_all(content.metrics), wide_metrics(content.metrics)
    kept = [row for row in table.iter_rows() if row[0] in COMPARED]
    heads = table.columns
    n, patients = rows["n"].max(), rows["n_patients"].max()
    sure = "; 95 % intervals" if content.has_intervals else ". There are no intervals"
    lines = [
        f"On {n!r} samples of {patients!r} patients, by models that were not fitted on them{sure}.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    lines += ["| " + " | ".join(_cell(str(cell or "")) for cell in row) + " |" for row in kept]
    return "\n".join(lines)


def _certificate(content: Content) -> str:
    found = content.certificate
    if found is None or "holds" not in found:
        return ""
    holds = "holds" if found["holds"] else "does not hold"
    return (
        f"The certificate {holds}: on the fit rows the fusion is "
        f"{'at least as good as' if found['holds'] else 'worse than'} the best expert there."
    )


def _limits(content: Content) -> str:
    said = [*content.manifest["warnings"], *left_out_lines(content.manifest["left_out"])]
    known = (
        "\n".join(f"- {line}" for line in said)
        or "- The run raised no warning and left nothing out."
    )
    return (
        f"{known}\n- The figures are of these data alone; scanners, stains, laboratories and patients "
        "that were not among them may give others."
    )


def _pairs(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _digest(found: str | None) -> str:
    return "from memory" if found is None else f"SHA-256 {found}"
