"""What Stripe's clients send: form fields with brackets, `line_items[0][price_data][currency]=eur`, as a tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from tests.providers.refusals import Refusal

Form: TypeAlias = "dict[str, str | Form]"

# What a form may hold: a name with what may stand in it, or with None for a text. EACH stands for any name or number.
Shape: TypeAlias = "Mapping[str, Shape | None]"
EACH: Final = "*"
TEXTS: Final[Shape] = {EACH: None}

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def read_form(encoded: str) -> Form:
    """The tree of an encoded form; what stands in a list, `expand[]`, is numbered. Raises Refusal."""
    form: Form = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        match = _NAME.fullmatch(name)
        if match is None:
            raise Refusal(f"Invalid parameter name: {name}", param=name)
        place = form
        *steps, last = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        for step in steps:
            inner = place.setdefault(step or str(len(place)), {})
            if isinstance(inner, str):
                raise Refusal(f"Invalid parameter name: {name}", param=name)
            place = inner
        place[last or str(len(place))] = value
    return form


def check_shape(form: Form, shape: Shape) -> None:
    """Raises Refusal where the form holds what the shape does not know."""
    unknown = list(_unknown(form, shape, ""))
    if unknown:
        more = "s" if len(unknown) > 1 else ""
        raise Refusal(
            f"Received unknown parameter{more}: {', '.join(unknown)}", code="parameter_unknown", param=unknown[0]
        )


def _unknown(form: Form, shape: Shape, outer: str) -> list[str]:
    found: list[str] = []
    for name, value in form.items():
        path = f"{outer}[{name}]" if outer else name
        if name not in shape and EACH not in shape:
            found.append(path)
            continue
        inner = shape.get(name, shape.get(EACH))
        if isinstance(value, str) and inner is not None:
            raise Refusal(f"Invalid {'array' if EACH in inner else 'object'}", param=path)
        if not isinstance(value, str):
            if inner is None:
                raise Refusal("Invalid string: {...}", param=path)
            found += _unknown(value, inner, path)
    return found


def inner(form: Form, name: str) -> Form:
    """What stands under `name`, of a form whose shape was checked; nothing, where it is absent."""
    value = form.get(name, {})
    return {} if isinstance(value, str) else value


def text(form: Form, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) else None


def required(form: Form, name: str, outer: str = "") -> str:
    value = text(form, name)
    if value is None:
        path = f"{outer}[{name}]" if outer else name
        raise Refusal(f"Missing required param: {path}.", code="parameter_missing", param=path)
    return value


def integer(form: Form, name: str, outer: str = "") -> int | None:
    """The number under `name`; None where it is absent. Raises Refusal where it is none."""
    value = text(form, name)
    if value is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,15}", value):
        path = f"{outer}[{name}]" if outer else name
        raise Refusal(f"Invalid integer: {value}", code="parameter_invalid_integer", param=path)
    return int(value)


def metadata(form: Form, name: str = "metadata", outer: str = "") -> dict[str, str]:
    """At most 50 pairs of a name of 40 and a value of 500 characters (docs.stripe.com/api/metadata)."""
    path = f"{outer}[{name}]" if outer else name
    pairs = {key: value for key, value in inner(form, name).items() if isinstance(value, str)}
    if len(pairs) > 50:
        raise Refusal(f"Metadata can have up to 50 keys, but you passed in {len(pairs)}.", param=path)
    for key, value in pairs.items():
        if len(key) > 40:
            raise Refusal(
                f"Metadata keys can have up to 40 characters, but you passed in one of {len(key)}.", param=path
            )
        if len(value) > 500:
            raise Refusal(
                "Metadata values can have up to 500 characters,"
                f" but you passed in a value that is {len(value)} characters.",
                param=f"{path}[{key}]",
            )
    return pairs
