"""Canonical JSON (section 3)."""

import json
import re

from . import Refused, need

SAFE = 2**53 - 1
RESERVED = "$serde_json::private::"


class Number:
    """A number with the spelling it had."""

    def __init__(self, text):
        self.text = text


def read(data, size_max=1 << 24, depth_max=127, members_max=1 << 24):
    """Reads JSON of any spelling; numbers keep theirs. Of equal names the last counts."""
    need(len(data) <= size_max, "too long")
    try:
        text = data.decode("utf-8")
        value = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed", str(error)) from error
    need(measure(value, 0, depth_max) <= members_max, "too many members")
    return value


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def measure(value, depth, depth_max):
    if not isinstance(value, (dict, list)):
        return 0
    need(depth < depth_max, "too deep")
    inner = value.values() if isinstance(value, dict) else value
    return len(value) + sum(measure(v, depth + 1, depth_max) for v in inner)


def ecmascript(double):
    """A finite double as ECMAScript writes it (ECMA-262, Number::toString): Python finds the same shortest digits."""
    if double == 0:
        return "0"
    sign = "-" if double < 0 else ""
    mantissa, _, exponent = repr(abs(double)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + ("." + digits[1:] if count > 1 else "") + power


def write_number(text):
    if re.fullmatch(r"-?(0|[1-9][0-9]*)", text) and text != "-0":
        number = int(text)
        if abs(number) <= SAFE:
            return str(number)
        need(not -(2**63) <= number < 2**64 or int(float(number)) == number, f"{text} is inexact")
    double = float(text)
    need(abs(double) != float("inf"), f"{text} is too large")
    spelt = ecmascript(double)
    if 2**53 <= abs(double) < 2**64:
        need(re.fullmatch(r"-?[0-9]+", spelt) and int(spelt) == int(double), f"{text} is inexact")
    return spelt


ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def write_text(text):
    return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def write(value):
    """The canonical form, as text."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Number):
        return write_number(value.text)
    if isinstance(value, int):
        return write_number(str(value))
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    for name in value:
        need(not name.startswith(RESERVED), f"{name} is reserved")
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{write_text(name)}:{write(value[name])}" for name in names) + "}"


def canonical(value):
    try:
        return write(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused("malformed", "lone surrogate") from error


def read_canonical(data, **limits):
    """Reads only what is canonical already."""
    value = read(data, **limits)
    need(canonical(value) == data, "not in canonical form")
    return value


def integer(value, most=2**64 - 1):
    """A whole number that is not negative."""
    if isinstance(value, Number):
        need(re.fullmatch(r"0|[1-9][0-9]*", value.text), f"{value.text} is no size")
        value = int(value.text)
    need(type(value) is int and 0 <= value <= most, "no size")
    return value
