"""What stands for a number of a piece while its law runs."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Erased"]


def _refuse(self: Erased, *_: Any) -> NoReturn:
    raise TypeError(
        f"{self.name} is read from self in a law, which is compiled once for all values: let scalars() return it and read it "
        "from h, or annotate it Structural() if it shapes the computation"
    )


class Erased:
    """A number that is not to be read: whatever is computed, compared or decided with it raises a `TypeError`.

    nan would do for arithmetic, since it spreads; but ``if self.rate:`` takes a branch with it, in silence.

    Args:
        name: of the number, for the message.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return "nan"

    def __eq__(self, other: object) -> bool:
        """Whether it stands for the same number, as where structures are compared; anything else is a use."""
        return (isinstance(other, Erased) and other.name == self.name) or _refuse(self)

    def __hash__(self) -> int:
        return hash(self.name)

    __bool__ = __float__ = __int__ = __index__ = __round__ = __neg__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = _refuse
