"""The options of ``fuse`` and ``evaluate``: one declaration for Python, the command line,
``study.yaml`` and suites.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Annotated, Any, Literal, TypedDict, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Function = TypeVar("Function", bound=Callable[..., Any])


class StudyFuseOptions(BaseModel):
    """What ``study.yaml`` may say under ``fuse``; the rest a study decides by itself.

    A field's sentence is the help of its option. Its alias is how an option and ``study.yaml`` call
    it, if otherwise than Python.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[
        str, Field(description="auto (a council of all methods), choose, or one method's name.")
    ] = "auto"
    n_resamples: Annotated[
        int,
        Field(ge=0, validation_alias="resamples", description="Bootstrap resamples by patient."),
    ] = 2000
    interval: Annotated[
        Literal["auto", "percentile", "bca"],
        Field(description="auto (what covers among so many patients), percentile, or bca."),
    ] = "auto"
    margin: Annotated[
        float,
        Field(gt=0, description="Largest acceptable loss to the best expert, for non-inferiority."),
    ] = 0.01
    unit: Annotated[
        Literal["sample", "patient"],
        Field(description="sample, or patient: average a patient's log-probabilities first."),
    ] = "sample"
    positive: Annotated[
        str | None,
        Field(
            description="Of two classes the positive one; default: the second in alphabetical order."
        ),
    ] = None
    gate: Annotated[
        Literal["shared", "per_bin"],
        Field(description="LogitProd's gate: shared, or per_bin (survival)."),
    ] = "shared"
    expert_dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of predictions hidden from LogitProd's fit.")
    ] = 0.0
    coverage: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="Conformal prediction sets that hold the truth in this share of cases, e.g. 0.9.",
        ),
    ] = None
    """A quarter of the fit patients then calibrates the sets and takes no part in the fit. Not for
    survival."""
    top_genes: Annotated[
        int | None,
        Field(
            ge=1,
            description="Regression: fuse only so many targets, those that vary most in the fit rows.",
        ),
    ] = None
    ablation: Annotated[
        bool,
        Field(
            description="Fit again without each expert, with noise, with shuffled labels; compare."
        ),
    ] = False
    skip_unscored: Annotated[
        bool, Field(description="Leave out samples that no expert scored.")
    ] = False
    """Off: no sample is lost unless asked for. A study whose experts may leave out broken
    feature files (``strict: false``) has asked."""
    title: Annotated[
        str | None,
        Field(description="Title of the report; default: the name of the study's folder."),
    ] = None
    thresholds: Annotated[
        str,
        Field(description="Range of risk thresholds of decision curves, between 0 and 1."),
    ] = "0.05:0.5"
    operating_point: Annotated[
        str,
        Field(
            description="youden, sensitivity=0.95, specificity=0.9 (fixed on the fit rows), or a probability."
        ),
    ] = "youden"
    horizon: Annotated[
        float | None,
        Field(
            gt=0,
            description="Survival: time of decision curves and operating points; default: the bin edge "
            "nearest to the median survival.",
        ),
    ] = None
    by: Annotated[
        str | None,
        Field(description="Columns of the samples table that name subgroups, separated by commas."),
    ] = None


class FuseOptions(StudyFuseOptions):
    """All options of ``fuse``."""

    seed: Annotated[
        int, Field(ge=0, lt=2**31, description="Same input, version and seed: same bytes.")
    ] = 0
    allow_in_sample: Annotated[
        bool, Field(description="Fit on 'train' rows too; the manifest warns.")
    ] = False

    def named(self, only: Collection[str] | None = None) -> dict[str, Any]:
        """Options by name, as ``fuse`` takes them; ``only``: some of them, in that order."""
        return {name: getattr(self, name) for name in only or type(self).model_fields}


REPORT = ("title", "thresholds", "operating_point", "horizon", "by")
"""Those that say what the report shows."""
EVALUATE = ("seed", "n_resamples", "interval", "margin", "unit", "positive", *REPORT)
"""Those that ``evaluate`` has too."""
SUITE = ("method", "seed", "n_resamples", "interval", "margin")
"""Those that a suite sets for all of its studies."""


DEFAULTS = FuseOptions()
"""Every option at its default."""


class EvaluationKeywords(TypedDict, total=False):
    """Options of every evaluation, for type checkers and editors.

    These classes repeat names and types of ``FuseOptions``, which alone has defaults and help; a
    test compares them.
    """

    n_resamples: int
    interval: Literal["auto", "percentile", "bca"]
    margin: float


class EvaluateKeywords(EvaluationKeywords, total=False):
    """Keyword-only options of ``evaluate``."""

    unit: Literal["sample", "patient"]
    positive: str | None
    title: str | None
    thresholds: str
    operating_point: str
    horizon: float | None
    by: str | None


class FuseKeywords(EvaluateKeywords, total=False):
    """Keyword-only options of ``fuse``."""

    gate: Literal["shared", "per_bin"]
    expert_dropout: float
    coverage: float | None
    top_genes: int | None
    ablation: bool
    skip_unscored: bool
    allow_in_sample: bool


class SuiteKeywords(EvaluationKeywords, total=False):
    """Options of ``run_suite``."""

    method: str
    seed: int


class EvaluateCommandKeywords(EvaluateKeywords, total=False):
    """Options of the command ``evaluate``."""

    seed: int


class FuseCommandKeywords(FuseKeywords, total=False):
    """Options of the command ``fuse``."""

    method: str
    seed: int


def chosen(**values: Any) -> FuseOptions:
    """Options by name, as Python and the command line give them; the others have their defaults.

    ``fuse`` itself refuses what is out of range.
    """
    fields = FuseOptions.model_fields
    named = {str(fields[name].validation_alias or name): value for name, value in values.items()}
    return FuseOptions.model_construct(**named)


def option_name(name: str) -> str:
    """How the command line calls an option: ``--resamples``."""
    return "--" + str(FuseOptions.model_fields[name].validation_alias or name).replace("_", "-")


def shows_options(
    only: Collection[str] | None = None,
    annotation: Callable[[str, FieldInfo], Any] | None = None,
) -> Callable[[Function], Function]:
    """A function's ``**options`` become one parameter per option in its signature and help.

    Type checkers see the names in the ``TypedDict`` that ``**options`` is annotated with. An option
    that is not given is not passed on.

    Args:
        only: Names of the options that it takes; None: all.
        annotation: What a parameter is annotated with; None: what the field is.
    """
    fields = {name: FuseOptions.model_fields[name] for name in only or FuseOptions.model_fields}

    def parameter(name: str, field: FieldInfo) -> inspect.Parameter:
        kind = field.annotation if annotation is None else annotation(name, field)
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=kind
        )

    return with_parameters([parameter(name, field) for name, field in fields.items()])


def with_parameters(parameters: Sequence[inspect.Parameter]) -> Callable[[Function], Function]:
    """A function's ``**options`` become these parameters in its signature and help.

    Those that the function declares itself stay as they are.
    """

    def decorate(function: Function) -> Function:
        own = inspect.signature(function)
        declared = {name: one for name, one in own.parameters.items() if name != "options"}
        listed = [*declared.values(), *(one for one in parameters if one.name not in declared)]
        # A stable sort: options follow what the function declares, in each kind.
        listed.sort(key=lambda one: (one.kind, one.default is not one.empty))
        public = own.replace(parameters=listed)

        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            public.bind(*args, **keywords)  # refuses an option that the function does not have
            return function(*args, **keywords)

        call.__signature__ = public  # type: ignore[attr-defined]  # help() and cyclopts read it
        call.__annotations__ = {one.name: one.annotation for one in public.parameters.values()}
        call.__annotations__["return"] = own.return_annotation
        return cast("Function", call)

    return decorate
