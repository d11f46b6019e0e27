"""scikit-learn's protocol of an estimator, without importing scikit-learn before it is there.

scikit-learn asks estimators for methods, not for a base class (its developers' guide, "Developing
scikit-learn estimators"): ``get_params`` and ``set_params`` over the arguments of ``__init__``, and
tags. Deriving from its ``BaseEstimator`` would make ``pathfuse predict`` wait a second for
scikit-learn, pandas and matplotlib, none of which a prediction needs.
"""

import inspect
from typing import TYPE_CHECKING, Any, Self

from pathfuse.errors import InputError

if TYPE_CHECKING:
    from sklearn.utils import Tags
    from sklearn.utils.metadata_routing import MetadataRequest


class Estimator:
    """What ``clone``, ``GridSearchCV``, ``Pipeline`` and the like ask of an estimator."""

    @classmethod
    def _arguments(cls) -> dict[str, Any]:
        """The arguments of ``__init__`` with their defaults, sorted by name."""
        found = inspect.signature(cls.__init__).parameters
        return {name: found[name].default for name in sorted(found) if name != "self"}

    @classmethod
    def argument_names(cls) -> tuple[str, ...]:
        """The names of the options."""
        return tuple(cls._arguments())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options that it was made with.

        Args:
            deep: As scikit-learn has it; no option is an estimator of its own.
        """
        return {name: getattr(self, name) for name in self._arguments()}

    def set_params(self, **params: Any) -> Self:
        """Sets options.

        Raises:
            InputError: There is no such option.
        """
        known = self._arguments()
        for name, value in params.items():
            if name not in known:
                raise InputError(
                    f"{type(self).__name__} has no parameter '{name}'; its parameters are {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The call that makes it, with the options that are not the default."""
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in self._arguments().items()
            if repr(getattr(self, name)) != repr(default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> "Tags":
        """What scikit-learn wants to know of every estimator."""
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=None,
            regressor_tags=None,
            classifier_tags=None,
            input_tags=InputTags(),
        )

    def get_metadata_routing(self) -> "MetadataRequest":
        """Which arguments beside X and y scikit-learn may hand on, where that is switched on."""
        from sklearn.utils.metadata_routing import MetadataRequest

        request = MetadataRequest(owner=self)
        for argument, alias in getattr(self, "_fit_request", {"groups": None}).items():
            request.fit.add_request(param=argument, alias=alias)
        return request

    def set_fit_request(self, *, groups: bool | str | None) -> Self:
        """Whether scikit-learn hands ``groups`` on to ``fit``, where that is switched on.

        Args:
            groups: As in scikit-learn: True, False, another name, or None: to refuse it.
        """
        self._fit_request = {"groups": groups}
        return self
