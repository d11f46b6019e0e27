"""Reading YAML that a user writes: errors name the file, line and key."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pathfuse.errors import InputError, first_problem

Content = TypeVar("Content", bound=BaseModel)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """Refuses a key that stands twice: YAML itself would quietly take the last."""

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
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    except InputError as error:
        raise InputError(f"{file}, {error}") from None


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
