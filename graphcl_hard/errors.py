"""The one exception that a person should read without a traceback."""


class InputError(ValueError):
    """Something that the user gave cannot be used.

    Its message is one sentence that carries the value, the allowed range and what to do. The command
    line prints it and ends with exit status 2.
    """
