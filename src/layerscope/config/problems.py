"""Problems that pydantic finds in the config: each as one line, and what is left of the config without them."""

import json
from collections.abc import Callable, Collection
from types import UnionType
from typing import Any, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel

from layerscope.config.mistakes import UnknownTable

Place = tuple[Any, ...]  # keys from the outermost section on


def line_of(problem: Any, config: type[BaseModel]) -> str:
    """One problem as one line: the key, its value and what is allowed."""
    loc = problem["loc"]
    place = ".".join(map(str, loc))
    message = problem["msg"][0].lower() + problem["msg"][1:]
    value = _shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden":
            section = config
            for part in loc[:-1]:
                section = _kind_within(section, part)
            return f"config: {place}: unknown key; allowed are {', '.join(section.model_fields)}"
        case "missing":
            return f"config: {place}: is missing"
        case "model_type" | "dict_type":
            message = "it must be a section"
    if loc and loc[-1] == "[key]":  # how pydantic marks a name that is a key itself
        place, value = str(loc[0]), f"the name {value}"
    return f"config: {place or 'the file'}: {value} is not allowed: {message}"


def what_is_left(kind: Any, raw: Any, wrong: Collection[Place], place: Place = ()) -> Any:
    """The section, table or list of sections at ``place`` without what is ``wrong``: to ask for that raises Unknown.

    In a section with a key that does not exist, no key that was left out has its default: each may be meant by it.
    """
    if get_origin(kind) is list:
        parts = raw if isinstance(raw, list) and place not in wrong else []
        return [what_is_left(get_args(kind)[0], part, wrong, (*place, number)) for number, part in enumerate(parts)]
    if not isinstance(raw, dict) or (place in wrong and place):
        return UnknownTable() if get_origin(kind) is dict else _section(kind, {})
    if get_origin(kind) is dict:
        inner = get_args(kind)[1]
        return {name: what_is_left(inner, raw[name], wrong, (*place, name)) for name in raw if isinstance(name, str)}
    values = {}
    for key, field in kind.model_fields.items():
        here, inner, value = (*place, key), _kind_within(kind, key), raw.get(key)
        is_wrong = any(other[: len(here)] == here for other in wrong)
        if key not in raw and not field.is_required():
            if raw.keys() <= kind.model_fields.keys():
                values[key] = field.get_default()
        elif _has_keys(inner) and (value is not None or is_wrong):
            values[key] = what_is_left(inner, value, wrong, here)
        elif not is_wrong:
            for validator in field.metadata:
                if isinstance(validator, AfterValidator):
                    value = cast(Callable[[Any], Any], validator.func)(value)
            values[key] = value
    return _section(kind, values)


def _section(kind: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """A section with no keys but these."""
    section = kind.model_construct()
    section.__dict__.clear()
    section.__dict__.update(values)
    return section


def _kind_within(kind: Any, key: Any) -> Any:
    """What a section, table or list holds at ``key``, without the None of what may be left out."""
    if get_origin(kind) in (dict, list):
        return get_args(kind)[-1]
    inner = kind.model_fields[key].annotation
    return get_args(inner)[0] if get_origin(inner) is UnionType else inner


def _has_keys(kind: Any) -> bool:
    if get_origin(kind) is list:
        return _has_keys(get_args(kind)[0])
    return get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True, default=str)
    except (TypeError, ValueError):  # keys that JSON does not have, such as dates; a value that contains itself
        text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
