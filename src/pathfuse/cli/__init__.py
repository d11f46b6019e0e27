"""The command line: one file per command, thin: parse, call, print.

Heavy imports wait inside the commands.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import pathfuse
from pathfuse.cli.signals import TERMINATED, sigterm_as_interrupt
from pathfuse.cli.streams import shown_as_text
from pathfuse.errors import LONGEST_SENTENCE, PathfuseError, clipped, of_the_system
from pathfuse.files.outputs import outputs_claimed
from pathfuse.unseen import one_line

app = App(
    name="pathfuse",
    help="Fuse the predictions of several pathology foundation models into one better prediction.",
    version=pathfuse.__version__,
    help_on_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main says what became of the work
)
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
app.command(
    "pathfuse.cli.demo:demo",
    name="demo",
    help="Run the main job on real data that needs no download.",
)
app.command(
    "pathfuse.cli.fuse:fuse",
    name="fuse",
    help="Fuse a study's experts, compare the fusion with simpler methods, certify it.",
)
app.command(
    "pathfuse.cli.predict:predict", name="predict", help="Fuse new predictions with a saved model."
)
app.command(
    "pathfuse.cli.serve:serve",
    name="serve",
    help="Answer requests over HTTP with a saved model (extra 'serve').",
)
app.command(
    "pathfuse.cli.score:score",
    name="score",
    help="Score new slides with a whole study, from features to fused scores.",
)
app.command(
    "pathfuse.cli.adapt:adapt",
    name="adapt",
    help="Predict samples as they come, with weights that follow late labels.",
)
app.command(
    "pathfuse.cli.drift:drift",
    name="drift",
    help="Are new samples like those that a model was fitted on? Since when are they not?",
)
app.command(
    "pathfuse.cli.evaluate:evaluate",
    name="evaluate",
    help="Score and compare predictions; fit nothing.",
)
app.command(
    "pathfuse.cli.check:check",
    name="check",
    help="Read samples and predictions, and say what is wrong with them; fit nothing.",
)
app.command(
    "pathfuse.cli.rank:rank",
    name="rank",
    help="Rank methods across studies, with tests that count cohorts.",
)
app.command(
    "pathfuse.cli.bins:bins", name="bins", help="Propose time bins for survival from the fit rows."
)
app.command(
    "pathfuse.cli.importing:import_", name="import", help="Foreign formats into pathfuse's tables."
)
app.command(
    "pathfuse.cli.inspect:inspect",
    name="inspect",
    help="What folders of features hold, and what is broken.",
)

experts = App(
    name="experts", help="Train experts on frozen features, and predict with them (extra 'torch')."
)
experts.command(
    "pathfuse.cli.experts:train",
    name="train",
    help="Train one encoder's expert, cross-fitted by patient.",
)
experts.command(
    "pathfuse.cli.experts:predict", name="predict", help="Predict new slides with a trained expert."
)
experts.command(
    "pathfuse.cli.tune:tune",
    name="tune",
    help="Search a head's recipe on inner folds, never on judged rows.",
)
app.command(experts)
app.command("pathfuse.cli.study:init", name="init", help="Write a commented example of study.yaml.")
app.command(
    "pathfuse.cli.study:run",
    name="run",
    help="Run a whole study: features, experts, fusion, report.",
)

suite = App(
    name="suite",
    help="The 22 tasks of the LogitProd paper as cards, and fuse and rank over many studies.",
)
suite.command(
    "pathfuse.cli.suite:list_",
    name="list",
    help="The paper's tasks: data, classes, experts, licence.",
)
suite.command(
    "pathfuse.cli.suite:run",
    name="run",
    help="Fuse every study under a folder, then rank over them.",
)
suite.command(
    "pathfuse.cli.suite:script",
    name="script",
    help="Print a job script of SLURM that runs the suite as an array of jobs.",
)
app.command(suite)

dense = App(
    name="dense",
    help="Segmentation: train, predict, evaluate and fuse pixel by pixel (extra 'dense').",
)
dense.command(
    "pathfuse.cli.dense:encoders", name="encoders", help="The 17 models of PFM-DenseBench."
)
dense.command(
    "pathfuse.cli.dense:datasets", name="datasets", help="The 18 data sets of PFM-DenseBench."
)
dense.command(
    "pathfuse.cli.dense:convert",
    name="convert",
    help="A downloaded data set into images and masks.",
)
dense.command(
    "pathfuse.cli.dense:train", name="train", help="Train a segmentation network on one encoder."
)
dense.command("pathfuse.cli.dense:predict", name="predict", help="Logits of every image.")
dense.command(
    "pathfuse.cli.dense_fusion:fuse",
    name="fuse",
    help="Fuse several models' segmentations pixel by pixel.",
)
dense.command(
    "pathfuse.cli.dense_fusion:apply", name="apply", help="Segment new images with a fitted fusion."
)
dense.command(
    "pathfuse.cli.dense_fusion:evaluate",
    name="evaluate",
    help="Evaluate and compare segmentations.",
)
dense.command(
    "pathfuse.cli.dense_tokens:tokens",
    name="tokens",
    help="How alike patch tokens are, within and across classes.",
)
dense.command(
    "pathfuse.cli.dense_benchmark:init",
    name="init",
    help="Write a commented grid.yaml to start from.",
)
dense.command(
    "pathfuse.cli.dense_benchmark:run",
    name="run",
    help="Run a benchmark: models x data sets x strategies x seeds.",
)
dense.command(
    "pathfuse.cli.dense_benchmark:script",
    name="script",
    help="Print a job script of SLURM that runs a benchmark as an array of jobs.",
)
app.command(dense)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0: done; 2: the input is wrong, one sentence on standard error; 130: stopped with Ctrl-C;
            143: with SIGTERM; 1: anything else.
    """
    with shown_as_text(), sigterm_as_interrupt() as asked:
        status = _run(arguments)
    return TERMINATED if asked.came else status


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with outputs_claimed():
            status = app(
                list(arguments) if arguments is not None else None,
                exit_on_error=False,
                print_error=False,
            )
    except (PathfuseError, CycloptsError) as error:
        return _refused(str(error))
    except MemoryError:
        return _refused(
            "the memory of this machine does not hold this; try smaller images or batches"
        )
    except Exception as error:
        said = of_the_system(error)
        if said is None:
            raise
        return _refused(said)
    except KeyboardInterrupt:
        sys.stderr.write(
            "pathfuse: stopped; no result was written, and what can be resumed is kept\n"
        )
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _refused(why: str) -> int:
    sys.stderr.write(f"pathfuse: {one_line(clipped(why, LONGEST_SENTENCE))}\n")
    return 2
