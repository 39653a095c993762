"""Adam-atan2 in the eigenbases of the gradient's covariance, which are kept without the covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, TypeAlias

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.formulas.bias import corrections
from danlu.optim.formulas.eigen import eigen
from danlu.optim.formulas.tiles import Tiles, tiles_of
from danlu.optim.piece import Direction
from danlu.optim.values import Scalar, Scalars, Scope, Start, Tick, found_under, under
from danlu.ranges import Beta, Count, Fraction, Interval, Positive, Structural

__all__ = ["Eigenbasis", "Side"]

Side = Annotated[int, Interval(2, 2**15), Structural()]
_AVERAGES = ("turned_avg", "turned_avg_sq")
Bases: TypeAlias = Sequence[Tensor | None]  # of the rows and of the columns, (tiles, n, n); None stands for the identity


@piece(source="after Vyas et al. 2024 (SOAP), arXiv:2409.11321, with atan2 of arXiv:2407.05872; docs/furnace.md")
@dataclass(frozen=True)
class Eigenbasis(Direction):
    """u = a·Q·atan2(m̂, b·√v̂)·Pᵀ with m ← EMA(t), v ← EMA(t²), t = Qᵀ·g·P: Adam-atan2 where the covariance is diagonal.

    Q and P are to be the eigenvectors of the averages of g·gᵀ and gᵀ·g, as in `Soap`, but those averages are not kept. In the
    bases they are nearly diagonal, and v knows the diagonal: every so often Q ← qr(Q·((1 − ρ)·Λ + ρ·t·tᵀ)), Λ = diag(Σⱼvᵢⱼ),
    columns by falling Λ: one orthogonal iteration on what v remembers and this step's gradient. P likewise with sums over i.
    m goes along, m ← Uᵀ·m·W with the change U, W of the bases, and v as if its elements did not correlate, v ← (U²)ᵀ·v·W².

    A tensor (O, …) is the matrix (O, rest), cut into equal tiles with sides of at most `side`, each with bases of its own; a
    side that cannot be cut so (a prime vocabulary) is not turned. The first gradient makes the bases and nothing else: no step,
    no decay. Vectors and scalars are `Atan2` with their own memories, from the first step on. RMS(u) ≤ a·π/2; the gradient's
    scale does not matter.

    State keys ``turned_avg``, ``turned_avg_sq`` and ``bases``: 8 bytes per parameter, and 8 for square tiles, less where one
    side is not turned; any store holds them. Eigenvectors are not unique: over many steps two machines agree in quality, not
    in digits.

    Args:
        betas: memories of m and v.
        vector_betas: those of vectors and scalars.
        a: scale of the angle, as in `Atan2`.
        b: weight of the magnitude.
        every: steps between two iterations of the bases, the costly part.
        fresh: ρ, the share of this step's gradient in an iteration; 0 leaves the first bases.
        side: longest side of a tile.
        nesterov: read m as β₁·m + (1 − β₁)·t, with the bias correction of m, as `nadam_simple` does.
    """

    betas: tuple[Beta, Beta] = (0.95, 0.95)
    vector_betas: tuple[Beta, Beta] = (0.9, 0.99)
    a: Positive = 1.27
    b: Positive = 1.0
    every: Count = 10
    fresh: Fraction = 0.5
    side: Side = 128
    nesterov: bool = False

    scope: ClassVar[Scope] = "matrix"
    events: ClassVar[frozenset[str]] = frozenset({"first", "iterate"})

    def slots(self) -> Mapping[str, Start]:
        """The averages and the bases."""
        return {"turned_avg": 0.0, "turned_avg_sq": 0.0, "bases": partial(_identities, side=self.side)}

    def magnitudes(self) -> frozenset[str]:
        """The averaged squares."""
        return frozenset({"turned_avg_sq"})

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weights of what is new, the bias corrections with and without the first gradient, and what the bases do."""
        n = tick.t - 1  # gradients that have entered the averages of a matrix: the first one does not
        counts = {"matrix": (self.betas, max(n, 1)), "vector": (self.vector_betas, tick.t)}
        numbers = {key: x for part, of in counts.items() for key, x in under(part, _numbers(*of, ahead=self.nesterov)).items()}
        own = {"a": self.a, "b": self.b, "fresh": self.fresh}
        return {**numbers, **own, "first": float(n == 0), "iterate": float(n > 0 and n % self.every == 0)}

    def __call__(self, c: Context, h: Scalars) -> Tensor:
        """Return the angles, turned back."""
        return self.jointly([c], h)[0]

    def jointly(self, cs: Sequence[Context], h: Scalars) -> list[Tensor]:
        """Return the angles of several tensors; equal tiles are turned in one product, whatever tensors they are of."""
        us: dict[Context, Tensor] = {}
        alike: dict[tuple[object, ...], dict[Context, Tiles]] = {}
        for c in cs:
            tiles = tiles_of(c.p.shape, self.side)
            if not c.p.numel() or not any(tiles.turned):
                us[c] = _unturned(c, found_under("vector", h), h)
            elif h["first"]:
                us[c] = _first(c, tiles)
            else:
                alike.setdefault((tiles.height, tiles.width, tiles.turned), {})[c] = tiles
        for members in alike.values():
            us |= _turned(members, found_under("matrix", h), h)
        return [us[c] for c in cs]


def _unturned(c: Context, own: Scalars, h: Scalars) -> Tensor:
    """The direction of a tensor that has no bases."""
    c.keep("bases")
    g = c.g.reshape(1, -1)
    return _angle(g, *_averaged([c], [1], g, own), own, h).reshape(c.p.shape)


def _first(c: Context, tiles: Tiles) -> Tensor:
    """Make the bases from the first gradient, and no step."""
    g = tiles.cut(c.g)
    c.scale_lr(0.0)
    c.keep("turned_avg")
    c.keep("turned_avg_sq")
    c.save("bases", _packed([_eigenvectors(_gram(g, i)) if turned else None for i, turned in enumerate(tiles.turned)]))
    return torch.zeros_like(c.p)


def _turned(members: Mapping[Context, Tiles], own: Scalars, h: Scalars) -> dict[Context, Tensor]:
    """The directions of tensors with tiles of one size, and what becomes of their bases."""
    cs, counts = [*members], [tiles.rows * tiles.columns for tiles in members.values()]
    sides = zip(*(_unpacked(c.load("bases"), tiles) for c, tiles in members.items()), strict=True)
    bases = [None if side[0] is None else _joined(side) for side in sides]
    t = _turn(_joined([tiles.cut(c.g) for c, tiles in members.items()]), bases)
    m, v = _averaged(cs, counts, t, own)
    u = _turn_back(_angle(t, m, v, own, h), bases).split(counts)
    if h["iterate"]:
        new = [None if q is None else _iterated(q, v.sum(2 - i), _gram(t, i), h["fresh"]) for i, q in enumerate(bases)]
        moves = [None if q is None or x is None else q.mT @ x for q, x in zip(bases, new, strict=True)]
        _kept(cs, counts, "turned_avg", _turn(m, moves))
        _kept(cs, counts, "turned_avg_sq", _turn(v, [None if x is None else x * x for x in moves]))
        found = [x.split(counts) for x in new if x is not None]
        for c, *parts in zip(cs, *found, strict=True):
            c.save("bases", _packed(parts))
    else:
        for c in cs:
            c.keep("bases")
    return {c: tiles.join(part) for (c, tiles), part in zip(members.items(), u, strict=True)}


def _numbers(betas: tuple[float, float], count: int, *, ahead: bool) -> dict[str, float]:
    """The weights of what is new in averages of so many gradients and in a reading ahead, and their bias corrections."""
    debias, root_debias = corrections(betas[0] ** count)["debias"], corrections(betas[1] ** count)["root_debias"]
    weights = {"new": 1.0 - betas[0], "new_sq": 1.0 - betas[1], **({"glance": 1.0 - betas[0]} if ahead else {})}
    return {**weights, "debias": debias, "root_debias": root_debias}


def _averaged(cs: Sequence[Context], counts: Sequence[int], t: Tensor, own: Scalars) -> tuple[Tensor, Tensor]:
    """Return the new averages of t and t² over all tiles, and keep those of each tensor."""
    olds = [[c.load(slot).reshape(n, *t.shape[1:]) for slot in _AVERAGES] for c, n in zip(cs, counts, strict=True)]
    m, v = (_joined(column) for column in zip(*olds, strict=True))
    m = _kept(cs, counts, "turned_avg", torch.lerp(m, t, own["new"]))
    return m, _kept(cs, counts, "turned_avg_sq", torch.lerp(v, t * t, own["new_sq"]))


def _kept(cs: Sequence[Context], counts: Sequence[int], slot: str, x: Tensor) -> Tensor:
    """Keep a slot of each tensor, which has so many of the tiles; return it as this step is to read it."""
    parts = x.split([*counts])
    given = [part.reshape(c.p.shape) for c, part in zip(cs, parts, strict=True)]
    read = [c.save(slot, own) for c, own in zip(cs, given, strict=True)]
    if all(a is b for a, b in zip(read, given, strict=True)):
        return x
    return _joined([own.reshape(part.shape) for own, part in zip(read, parts, strict=True)])


def _joined(xs: Sequence[Tensor]) -> Tensor:
    """Tiles of several tensors, one after the other."""
    return xs[0] if len(xs) == 1 else torch.cat([*xs])


def _angle(t: Tensor, m: Tensor, v: Tensor, own: Scalars, h: Scalars) -> Tensor:
    """Return a·atan2(m̂, b·√v̂), with m read ahead of t where that is asked for."""
    m = torch.lerp(m, t, own["glance"]) if "glance" in own else m
    return torch.atan2(m * (own["debias"] / (own["root_debias"] * h["b"])), v.sqrt()) * h["a"]


def _turn(x: Tensor, bases: Bases) -> Tensor:
    """Return Qᵀ·x·P of every tile."""
    q, p = bases
    x = x if q is None else q.mT @ x
    return x if p is None else x @ p


def _turn_back(x: Tensor, bases: Bases) -> Tensor:
    """Return Q·x·Pᵀ of every tile."""
    q, p = bases
    x = x if q is None else q @ x
    return x if p is None else x @ p.mT


def _gram(x: Tensor, side: int) -> Tensor:
    """Return x·xᵀ of every tile, or xᵀ·x."""
    return x.mT @ x if side else x @ x.mT


def _eigenvectors(x: Tensor) -> Tensor:
    """Return the eigenvectors as columns, the largest eigenvalue's first."""
    return eigen(x)[1].flip(-1).to(x.dtype)


def _iterated(q: Tensor, energy: Tensor, gram: Tensor, fresh: Scalar) -> Tensor:
    """Return qr(Q·((1 − ρ)·Λ + ρ·G)), columns by falling Λ."""
    order = energy.argsort(-1, descending=True)
    moved = torch.diag_embed(energy * (1.0 - fresh)) + gram * fresh
    return torch.linalg.qr(q @ moved.gather(-1, order.unsqueeze(-2).expand_as(moved)))[0]


def _identities(p: Tensor, side: int) -> Tensor:
    tiles = tiles_of(p.shape, side)
    count = tiles.rows * tiles.columns
    eyes = [torch.eye(n, dtype=p.dtype, device=p.device).expand(count, n, n) for n in tiles.sizes]
    return torch.cat([p.new_zeros(0), *(x.flatten() for x in eyes)])


def _packed(bases: Bases) -> Tensor:
    return torch.cat([x.flatten() for x in bases if x is not None])


def _unpacked(flat: Tensor, tiles: Tiles) -> Bases:
    count = tiles.rows * tiles.columns
    blocks = iter(flat.split([count * n * n for n in tiles.sizes]))
    sides = (tiles.height, tiles.width)
    return [next(blocks).view(count, n, n) if turned else None for n, turned in zip(sides, tiles.turned, strict=True)]
