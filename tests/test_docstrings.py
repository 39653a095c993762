"""What is read from docstrings."""

import pytest

from danlu.docstrings import first_line, unverified


def documented(text):
    def thing(): ...

    thing.__doc__ = text
    return thing


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The law.", ""),
        (None, ""),
        ("The law. Unverified: no text.", "no text."),
        ("The law.\n\n    More. Unverified: no text; 1.5 is\n    ours. 4 bytes per parameter.\n    ", "no text; 1.5 is ours."),
        ("The law.\n\n    Unverified: no period\n\n    Args:\n        x: y.\n    ", "no period"),
        ("The law.\n\n    Unverified: no text.\n    No state.\n    ", "no text."),
    ],
)
def test_the_reason_is_one_sentence(text, reason):
    assert unverified(documented(text)) == reason


def test_the_first_line():
    assert first_line(documented("The law.\n\n    More.\n    ")) == "The law."
