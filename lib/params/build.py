"""Nested dataclasses of what YAML holds; what does not fit is one line that names the key."""

import dataclasses
import difflib
import typing


class ParamsError(ValueError):
    """A value in params.yaml that cannot be used; the message names the key and the remedy."""


def one_of(key, value, allowed):
    """Raise ParamsError unless `value` is one of `allowed`."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [str(a) for a in allowed], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ParamsError(f"{key}: {value!r} is not one of {', '.join(map(str, allowed))}{hint}")


def build(kind, raw, prefix):
    """Make a dataclass (or a checked plain value) of `raw`; `prefix` is the key it stands under."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(raw, dict):
            raise ParamsError(f"{prefix}: needs a section of keys, has {raw!r}")
        types = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        dot = f"{prefix}." if prefix else ""
        for key in raw:
            if key not in fields:
                near = difflib.get_close_matches(str(key), fields, 1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
                raise ParamsError(f"{dot}{key}: unknown key; {hint}")
        for name, f in fields.items():
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if required and name not in raw:
                raise ParamsError(f"{dot}{name}: missing; the repository's params.yaml has it")
        return kind(**{key: build(types[key], value, f"{dot}{key}") for key, value in raw.items()})
    if typing.get_origin(kind) is list:
        if not isinstance(raw, list):
            raise ParamsError(f"{prefix}: needs a list, has {raw!r}")
        return [build(typing.get_args(kind)[0], value, f"{prefix}[{i}]") for i, value in enumerate(raw)]
    if kind is float and type(raw) is int:
        return float(raw)
    if type(raw) is not kind:
        raise ParamsError(f"{prefix}: needs {kind.__name__}, has {raw!r}")
    return raw
