"""What can be wrong with a job before any picture is made."""


class GenerationError(ValueError):
    """Spec, data set, checkpoint or output folder do not allow the job; the message says why."""


class SpecError(GenerationError):
    """Fields of a spec cannot be used; `problems` has each by its name, dots between levels."""

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.problems = problems


class UnreadableRecord(Exception):
    """This release cannot read the record of a job; the message is safe to show."""


class DestinationRefused(GenerationError):
    """The set is not to go where the spec wants it; the message says what allows it."""


class UploadError(RuntimeError):
    """The store that a set is put to fails or refuses; the message says why and is safe to show."""
