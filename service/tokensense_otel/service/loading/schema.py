"""Walk a configuration model by key: what may stand at a place, and of which type."""

import types
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel

TEXT_TYPES = ("str", "SecretStr", "Path")


def plain(annotation: Any) -> Any:
    """The type without `Annotated`, and of a union its first container, else its first member."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [plain(member) for member in get_args(annotation) if member is not type(None)]
        return next((member for member in members if is_mapping(member)), members[0])
    return annotation


def is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def is_mapping(annotation: Any) -> bool:
    """Whether keys may stand beneath: a model or a dictionary."""
    return fields(annotation) is not None or get_origin(annotation) is dict


def fields(annotation: Any) -> dict[str, Any] | None:
    """Key → type of a model; `None` for anything else."""
    if is_model(annotation):
        return {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
    return None


def step(annotation: Any, key: str | int) -> Any:
    """The type at `key` beneath `annotation`; `Any` where the schema does not say."""
    annotation = plain(annotation)
    known = fields(annotation)
    if known is not None:
        return known.get(str(key), Any)
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) in (list, tuple) and arguments:
        return arguments[0]
    return Any


def is_text(annotation: Any) -> bool:
    """Whether the type takes text as it stands."""
    return getattr(plain(annotation), "__name__", "") in TEXT_TYPES
