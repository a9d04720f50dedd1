"""What can be wrong with a job before any picture is made."""


class GenerationError(ValueError):
    """Spec, data set, checkpoint or output folder do not allow the job; the message says why."""
