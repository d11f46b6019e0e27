"""``FuseOptions`` is the only place that says which options a fusion has, what they mean and what
they default to."""

import inspect
from dataclasses import fields
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest

import pathfuse
from pathfuse.cli.evaluate import evaluate as evaluate_command
from pathfuse.cli.fuse import fuse as fuse_command
from pathfuse.cli.suite import run as suite_command
from pathfuse.evaluation.intervals import KINDS
from pathfuse.evaluation.rules import Rules
from pathfuse.study.reading import Reading
from pathfuse.workflows.options import (
    EVALUATE,
    SUITE,
    EvaluateCommandKeywords,
    EvaluateKeywords,
    FuseCommandKeywords,
    FuseKeywords,
    FuseOptions,
    SuiteKeywords,
    chosen,
    option_name,
)
from pathfuse.workflows.steps.fitting import FusionRecipe
from pathfuse.workflows.study_file.config import StudyConfig

FIELDS = FuseOptions.model_fields
BESIDE = {
    "scheduler", "shard",
    "study", "folder", "out", "n_jobs", "costs", "references", "progress", "only", "cohorts", "force", "command",
    "samples", "predictions", "label_map", "endpoint", "time_edges", "censoring", "jobs", "dry_run",
    *Reading.model_fields,
}  # fmt: skip
"""Parameters that are no options of a fusion: what is read and written, and how the work is done."""
USERS = [
    (pathfuse.fuse, FIELDS), (pathfuse.evaluate, EVALUATE), (pathfuse.run_suite, SUITE),
    (fuse_command, FIELDS), (evaluate_command, EVALUATE), (suite_command, SUITE),
]  # fmt: skip


@pytest.mark.parametrize(("function", "names"), USERS)
def test_whoever_takes_options_takes_these_with_these_defaults(function, names):
    found = {
        n: p.default for n, p in inspect.signature(function).parameters.items() if n not in BESIDE
    }
    assert found == {name: FIELDS[name].default for name in names}


@pytest.mark.parametrize("command", [fuse_command, evaluate_command, suite_command])
def test_the_command_line_says_the_sentence_of_the_field(command):
    for name, one in inspect.signature(command).parameters.items():
        if name in FIELDS:
            kind, option = get_args(one.annotation)
            assert get_origin(one.annotation) is Annotated
            assert (option.name, option.help) == ((option_name(name),), FIELDS[name].description)
            choice = get_origin(FIELDS[name].annotation) is Literal
            assert kind == (str if choice else FIELDS[name].annotation)


def test_a_study_takes_the_same_fields():
    said = StudyConfig.model_fields["fuse"].annotation.model_fields
    assert set(said) == set(FIELDS) - {"seed", "allow_in_sample"}
    assert {name: one.default for name, one in said.items()} == {
        name: FIELDS[name].default for name in said
    }


@pytest.mark.parametrize(
    ("inside", "alias"), [(FusionRecipe, {"dropout": "expert_dropout"}), (Rules, {})]
)
def test_what_is_made_of_options_has_their_defaults(inside, alias):
    for one in fields(inside):
        name = alias.get(one.name, one.name)
        if name in FIELDS:
            assert one.default == FIELDS[name].default


@pytest.mark.parametrize(
    ("keywords", "names"),
    [
        (FuseKeywords, set(FIELDS) - {"method", "seed"}),
        (FuseCommandKeywords, set(FIELDS)),
        (EvaluateKeywords, set(EVALUATE) - {"seed"}),
        (EvaluateCommandKeywords, set(EVALUATE)),
        (SuiteKeywords, set(SUITE)),
    ],
)
def test_type_checkers_see_the_names_and_types_of_the_fields(keywords, names):
    assert get_type_hints(keywords) == {name: FIELDS[name].annotation for name in names}


def test_choices_are_those_that_are_known():
    assert get_args(FIELDS["interval"].annotation) == KINDS


def test_every_option_has_a_sentence():
    assert [name for name, one in FIELDS.items() if not (one.description or "").endswith(".")] == []


def test_what_is_chosen_is_kept_and_the_rest_is_the_default():
    options = chosen(n_resamples=7, interval="foo", seed=3)
    assert options.named(["n_resamples", "interval", "seed", "margin"]) == {
        "n_resamples": 7, "interval": "foo", "seed": 3, "margin": 0.01,
    }  # fmt: skip
    assert chosen(**options.named()) == options


def test_python_refuses_an_option_that_it_does_not_have():
    with pytest.raises(TypeError, match="'metod'"):
        pathfuse.fuse(None, metod="auto")
    with pytest.raises(TypeError, match="'method'"):
        pathfuse.evaluate(None, method="auto")
    with pytest.raises(TypeError, match="study"):
        pathfuse.fuse(method="auto")


def test_help_shows_names_and_defaults():
    start = "(study: pathfuse.study.study.Study, method: str = 'auto', seed: int = 0, *, n_jobs: "
    assert str(inspect.signature(pathfuse.fuse)).startswith(start)
    assert str(inspect.signature(pathfuse.fuse)).endswith(" -> pathfuse.workflows.result.Result")
