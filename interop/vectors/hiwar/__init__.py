"""A small implementation of hiwar/1, written from PROTOCOL.md alone. Section numbers are that page's."""


class Refused(Exception):
    """Something is not what it must be; `code` is the refusal's stable code."""

    def __init__(self, code, detail=""):
        super().__init__(f"{code}: {detail}")
        self.code = code


def need(condition, detail="", code="malformed"):
    if not condition:
        raise Refused(code, detail)
