"""The one door for YAML, which a user writes: plain data, read with limits; errors name the file, line
and key.
"""

import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pathfuse.errors import InputError, first_problem
from pathfuse.files.special import refuse_special

Content = TypeVar("Content", bound=BaseModel)


MAX_KB = 256
MAX_VALUES = 100_000
"""With all that its anchors repeat: a file of ten lines can stand for billions."""
MAX_DEPTH = 50
HALF = re.compile("[\ud800-\udfff]")
PLAIN = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "map", "seq", "merge")
}


TEXT, *NUMBERS = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float"))
LONGEST_NUMBER = 400
"""Characters; the largest that a computer holds has 309 digits."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """Plain data: no tags, and dates are text. Refuses a key that stands twice: YAML itself would
    quietly take the last.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in known if tag in PLAIN]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        """The one document, if it is plain and of a sensible size."""
        node = super().get_single_node()
        if node is not None:
            _count(node, {}, 0)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                continue  # the parser refuses it itself
            if key in lines:
                raise InputError(
                    f"line {line}: the key '{key}' stands in line {lines[key]} already"
                )
            lines[key] = line
        content: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return content


def read_yaml(file: Path) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: It cannot be read, is not YAML, or a key stands twice in one place.
    """
    refuse_special(file)
    try:
        size = file.stat().st_size
        if size > MAX_KB * 2**10:
            raise InputError(f"it has {size // 2**10} kB; at most {MAX_KB} kB of settings are read")
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{file}, {error}") from None
    except RecursionError:
        raise InputError(f"{file}, it is nested more than {MAX_DEPTH} deep") from None
    except (yaml.YAMLError, ValueError, LookupError) as error:  # no UTF-8; a number that is none
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())[:500]}") from error


def _is_no_number(text: str) -> bool:
    """Whether YAML 1.1 would take text for a number: ``1:30`` for 90; or one of endless digits."""
    return ":" in text or len(text) > LONGEST_NUMBER


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for, with what its anchors repeat.

    Raises:
        InputError: Too many, nested too deeply, inside itself, or of a kind that is no plain data.
    """
    line = f"line {node.start_mark.line + 1}: "
    if isinstance(node, yaml.ScalarNode) and HALF.search(node.value):
        raise InputError(f"{line}half a character, such as \\ud800, is no text")
    if isinstance(node, yaml.ScalarNode) and node.tag in NUMBERS and _is_no_number(node.value):
        node.tag = TEXT
    if node.tag not in PLAIN:
        raise InputError(f"{line}the tag {node.tag} is no plain data")
    if depth > MAX_DEPTH:
        raise InputError(f"{line}it is nested more than {MAX_DEPTH} deep")
    if id(node) not in known:
        if isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
        else:
            inside = node.value if isinstance(node, yaml.SequenceNode) else []
        known[id(node)] = 1 + sum(_count(one, known, depth + 1) for one in inside)
    if known[id(node)] > MAX_VALUES:
        raise InputError(f"{line}it stands for more than {MAX_VALUES:,} values")
    return known[id(node)]


def read_yaml_as(
    file: Path,
    kind: type[Content],
    nothing: str,
    expand: Callable[[dict[Any, Any]], dict[Any, Any]] | None = None,
) -> Content:
    """The content of a YAML file, checked.

    Args:
        file: The file.
        kind: What it must hold.
        nothing: The message about a file that holds no mapping, after its name.
        expand: Fills in what the content refers to, before it is checked.

    Raises:
        InputError: It cannot be read, or a key or value is wrong.
    """
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise InputError(f"{file} {nothing}")
    try:
        return kind.model_validate(content if expand is None else expand(content))
    except ValidationError as error:
        raise InputError(f"{file}: {first_problem(error, kind.model_fields)}") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
