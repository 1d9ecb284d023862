"""Names that people misspell: which one they may have meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name, as the end of a sentence.

    >>> nearest("tema", ["team", "model"])
    'write team'
    >>> nearest("x", ["team", "model"])
    'write one of model, team'
    """
    choices = sorted(known)
    if not choices:
        return "nothing is known here; leave it out"
    lower = {choice.lower(): choice for choice in choices}
    if close := difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5):
        return f"write {lower[close[0]]}"
    return f"write one of {', '.join(choices)}"


def meant(name: str, known: Iterable[str]) -> str:
    """A guess, and all there are: for names that others add to.

    >>> meant("consol", ["console", "slack"])
    'did you mean console? There are: console, slack'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"There are: {listed(names)}"


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
