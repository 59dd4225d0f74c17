"""One tree of errors. Every class owns one exit code; the man page's EXIT STATUS is made from these docstrings."""

from __future__ import annotations

from collections.abc import Sequence


class AptOstreeError(Exception):
    """The operation failed and nothing was changed."""

    exit_code = 1
    code = "failed"

    def __init__(self, message: str, *, hint: str = "", details: Sequence[str] = (), code: str = "") -> None:
        """`message`: what happened to which thing and why. `hint`: the exact next command. `details`: last lines."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)
        if code:
            self.code = code

    def __str__(self) -> str:
        return self.message


class UsageError(AptOstreeError):
    """The command line, a treefile or another input is malformed."""

    exit_code = 2
    code = "usage"


class ResolveError(AptOstreeError):
    """The requested packages cannot be resolved against the base."""

    exit_code = 3
    code = "unresolvable"


class BusyError(AptOstreeError):
    """Another transaction holds the lock."""

    exit_code = 4
    code = "busy"


class ToolMissingError(AptOstreeError):
    """A program that is needed is missing or too old; the message names the Debian package that has it."""

    exit_code = 5
    code = "tool-missing"


class NotOstreeError(AptOstreeError):
    """This is not an ostree system, or the operation needs root."""

    exit_code = 6
    code = "not-ostree"


class NotRootError(NotOstreeError):
    """The operation needs root."""

    code = "not-root"


class VerificationError(AptOstreeError):
    """A signature or a checksum does not verify."""

    exit_code = 7
    code = "verification"


class InterruptedByUser(AptOstreeError):
    """Interrupted by a signal; the message says whether anything was changed."""

    exit_code = 130
    code = "interrupted"


class ToolError(AptOstreeError):
    """A program we ran failed; its last lines are in `details`."""

    code = "tool-failed"

    def __init__(
        self,
        message: str,
        *,
        argv: Sequence[str] = (),
        returncode: int = 1,
        details: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.argv = tuple(argv)
        self.returncode = returncode


EXIT_UNCHANGED = 77
EXIT_BUG = 70
