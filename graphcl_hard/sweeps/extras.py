"""The optional packages of a sweep."""

from importlib.util import find_spec

from graphcl_hard.exceptions import InputError

INSTALLED_AS = {"grakel": "GraKeL", "jinja2": "Jinja2", "scikit_posthocs": "scikit-posthocs"}
REPORT = ("pandas", "jinja2", "statsmodels", "scikit_posthocs")


def require(*modules: str) -> None:
    """Raise `InputError` if one of these modules, which are in the extra [sweep], is not installed."""
    missing = [INSTALLED_AS.get(name, name) for name in modules if find_spec(name) is None]
    if missing:
        raise InputError(
            f"A sweep needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            "pip install 'graphcl_hard[sweep]'."
        )
