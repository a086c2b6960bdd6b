"""The sections of params.yaml: models with exact keys and types, whose errors are one line that names the key."""

import difflib
import re
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

Count = Annotated[int, Field(ge=1)]  # also the side of an image in pixels
Natural = Annotated[int, Field(ge=0)]  # 0: none, or no limit
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]  # weights of losses
Share = Annotated[float, Field(gt=0, lt=1)]
TYPES = {"int_type": "needs int", "float_type": "needs float", "bool_type": "needs bool", "string_type": "needs str",
         "list_type": "needs a list", "model_type": "needs a section of keys", "string_pattern_mismatch":
         "needs the tag of its weights, such as tf_efficientnet_b4.ap_in1k (see timm.list_pretrained)"}  # fmt: skip


class ParamsError(ValueError):
    """A value in params.yaml that cannot be used; the message names the key and the remedy."""


def one_of(key, value, allowed):
    """Raise ParamsError unless `value` is one of `allowed`."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [str(a) for a in allowed], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ParamsError(f"{key}: {value!r} is not one of {', '.join(map(str, allowed))}{hint}")


class Section(BaseModel):
    """A section of params.yaml: it cannot be changed, unknown keys are errors, types are exact (an int may be a float).

    checks: functions of the section that return "key: what is wrong with it", or a false value.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
    checks: ClassVar[tuple] = ()

    def replace(self, **changes):
        """Return a copy with these keys changed, checked like the file; raises ParamsError."""
        return build(type(self), {**dict(self), **changes})

    @model_validator(mode="before")
    @classmethod
    def _knows(cls, raw):
        for key in raw if isinstance(raw, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, 1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(cls.model_fields)}"
                raise ValueError(f"{key}: unknown key; {hint}")
        return raw

    @model_validator(mode="after")
    def _passes(self):
        for wrong in filter(None, (check(self) for check in self.checks)):
            raise ValueError(wrong)
        return self


def section(name, *checks, **keys):
    """Return the class of a section; keys: key=type, or key=(type, default); checks: as in `Section`."""
    return create_model(name, __base__=Section, __module__="lib.params", checks=(ClassVar[tuple], checks), **keys)


def build(kind, raw):
    """Return `raw`, a dict, as a section of this class; raises ParamsError."""
    try:
        return kind.model_validate(raw)
    except ValidationError as errors:
        error = errors.errors()[0]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    match error["type"]:
        case "value_error":  # raised above; its text begins with the key inside the section
            raise ParamsError(f"{key}.{error['ctx']['error']}".lstrip("."))
        case "missing":
            raise ParamsError(f"{key}: missing; the repository's params.yaml has it")
        case "literal_error":
            one_of(key, error["input"], re.findall("'([^']*)'", error["ctx"]["expected"]))
    needs = TYPES.get(error["type"], error["msg"].replace("Input should", "has to"))
    raise ParamsError(f"{key}: {needs}, has {error['input']!r}")
