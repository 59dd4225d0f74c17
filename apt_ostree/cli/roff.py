"""Text in the man macros (groff_man(7))."""

from __future__ import annotations

from collections.abc import Sequence


def escape(text: str) -> str:
    """Text that groff shows as it is: no escapes, no request at a line's start, minus signs that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def paragraphs(texts: Sequence[str]) -> list[str]:
    """One paragraph for each text."""
    return [line for text in texts for line in (".PP", escape(text))]
