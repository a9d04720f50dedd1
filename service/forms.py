"""Reads multipart/form-data bodies in memory: the middleware has bounded them already.

Starlette's own form parser spools every part through a temporary file object; pictures of a few
kilobytes deserve a shorter way. The parsing itself is python-multipart's.
"""

from __future__ import annotations

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dgnet.service.problems import BAD_REQUEST, TOO_MANY_PICTURES, UNSUPPORTED_CONTENT_TYPE, Problem


@dataclass(frozen=True)
class FormPart:
    """One part of a form: its field name, the client's file name (for messages), its bytes."""

    name: str
    filename: str
    content: bytes


class _Collector:
    """Callbacks of the parser: gathers header fields and data of each part."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[FormPart] = []
        self._max_parts = max_parts
        self._field = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._content: list[bytes] = []

    def begin(self) -> None:
        if len(self.parts) >= self._max_parts:
            raise Problem(
                TOO_MANY_PICTURES,
                f"The form has more than {self._max_parts} parts; send several requests.",
            )
        self._disposition = b""
        self._content = []

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def part_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if name is None:
            raise Problem(
                BAD_REQUEST, "A part of the form has no name in its Content-Disposition header."
            )
        try:
            field = name.decode()
        except UnicodeDecodeError as error:
            raise Problem(
                BAD_REQUEST, f"A part of the form is called {name[:50]!r}, which is no UTF-8."
            ) from error
        self.parts.append(
            FormPart(
                field,
                options.get(b"filename", b"").decode("utf-8", "replace"),
                b"".join(self._content),
            )
        )


def parse_form(content_type: str | None, body: bytes, *, max_parts: int) -> list[FormPart]:
    """The parts of a multipart body, in order; raises a `Problem` for anything else."""
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        raise Problem(
            UNSUPPORTED_CONTENT_TYPE,
            f"Content-Type is {(content_type or 'absent')[:200]!r}; expected multipart/form-data "
            "with a boundary.",
        )
    collector = _Collector(max_parts)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.begin,
                "on_header_field": collector.header_field,
                "on_header_value": collector.header_value,
                "on_header_end": collector.header_end,
                "on_part_data": collector.part_data,
                "on_part_end": collector.part_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem(BAD_REQUEST, f"The multipart body cannot be read: {error}") from error
    return collector.parts
