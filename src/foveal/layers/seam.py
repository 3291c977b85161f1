"""Where the ends of a grid met: found again after a circular shift, and put back to the border."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PlanError
from . import axes
from .adam import Adam
from .symmetry.group import Symmetry, symmetry_of

PROFILES = 6  # what is known of each place, see `Seam._profiles`
HIDDEN, REACH = 16, 7  # channels and places that a scorer looks at
LITTLE = 0.05  # squared difference of normalised cells that is nothing much
NEAR = 1e-6  # difference of scores up to which two places are cut equally well
STEPS, TOGETHER, RATE = 150, 256, 0.01  # how scorers are fitted


class Seam(nn.Module):
    """Rolls each sample so that its ends lie where the samples it was fitted on have theirs.

    A circular shift moves the border of a sample into its middle, where neighbours now hardly
    fit: the seam. Along each axis every place between two cells is scored by how the cells across
    it differ beside those around it, and the best one becomes the border again. The scores look
    at the whole ring and know no places, so a shifted sample comes out as the unshifted one does,
    cell by cell: whatever stands behind answers alike under every circular shift, trained or not,
    at every size, and may be an ordinary network with zeros around the grid. Samples whose seam
    is at their border mostly stay as they are. A thing alone on an even background comes out at
    one place wherever it lay.

    Before `fit` the widest tear is the seam. Ties are broken by a bent, fixed mix of the whole
    grid as each place sees it, in double precision; places that agree in it too are cut alike.

    Args:
        rank: number of grid axes.
        symmetry: which turns the choice is to turn along with.

    Shapes: ``(B, C, *S) -> (B, C, *S)`` and the start of each axis, ``(B, rank)``.
    Raises: PlanError if numbers do not fit ``rank``.
    Source: ours. That values, not places, decide where strides fall is Chaman and Dokmanic's,
        arXiv:2011.14214; they choose at every stride on grids whose ends meet (`Polyphase`).
    """

    first: Tensor  # (A, HIDDEN, PROFILES, REACH), A scorers; buffers, fitted once, never trained
    second: Tensor  # (A, HIDDEN, HIDDEN, 3)
    third: Tensor  # (A, 1, HIDDEN, 1)
    offsets: Tensor  # (A, 2, HIDDEN)

    def __init__(self, rank: int, *, symmetry: Symmetry | None = None) -> None:
        super().__init__()
        self.rank = axes.count(rank, name="rank", where="Seam")
        self.symmetry = symmetry_of(rank, "none") if symmetry is None else symmetry
        if self.symmetry.rank != rank:
            raise PlanError(
                f"a symmetry of rank {self.symmetry.rank} does not turn a grid of rank {rank}",
                where="Seam",
                mend=f"give one of rank {rank}",
            )
        # Axes that are exchanged are scored by the same numbers.
        self.scorer = tuple(
            next(i for i, orbit in enumerate(self.symmetry.orbits) if axis in orbit)
            for axis in range(rank)
        )
        self.mirrored = tuple(
            any(turn.to[axis] != axis or turn.sign[axis] < 0 for turn in self.symmetry.turns)
            for axis in range(rank)
        )
        count = len(self.symmetry.orbits)
        self.register_buffer("first", torch.zeros(count, HIDDEN, PROFILES, REACH))
        self.register_buffer("second", torch.zeros(count, HIDDEN, HIDDEN, 3))
        self.register_buffer("third", torch.zeros(count, 1, HIDDEN, 1))
        self.register_buffer("offsets", torch.zeros(count, 2, HIDDEN))
        with torch.no_grad():  # the tear itself, made positive
            self.first[:, 0, 0, REACH // 2] = self.second[:, 0, 0, 1] = self.third[:, 0, 0] = 1
            self.offsets[:, 0, 0] = 4

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        start = self.choose(x)
        return rolled(x, start), start

    @torch.no_grad()
    def choose(self, x: Tensor) -> Tensor:
        """The cell of each axis that is to come first: ``(B, rank)``."""
        axes.check_input(x, self.rank, x.shape[1], where="Seam")
        plain = x.to(torch.promote_types(x.dtype, torch.float32)).contiguous()
        best = []
        for axis in range(self.rank):
            score = self._scores(self._profiles(plain, axis), axis)
            best.append(score >= score.amax(1, keepdim=True) - NEAR)
        if torch.compiler.is_compiling():
            return self._first(plain, best)
        # Few samples tie: what tells places apart is worked out for those alone.
        start = torch.stack([places.int().argmax(1) for places in best], 1)
        tied = torch.stack([places.sum(1) for places in best], 1).amax(1) > 1
        if bool(tied.any()):
            start[tied] = self._first(plain[tied], [places[tied] for places in best])
        return start

    def _first(self, x: Tensor, best: list[Tensor]) -> Tensor:
        """One of the ``best`` places of each axis, ``(B, n)``, by what is seen from there."""
        seen, found = self._seen(x), []
        for axis, places in enumerate(best):
            over = self._others(axis)
            ring = seen.sum(over) if over else seen
            if self.mirrored[axis]:
                ring = ring + ring.roll(1, 1)  # of the cells on both sides
            found.append(ring.masked_fill(~places, -torch.inf).argmax(1))
        return torch.stack(found, 1)

    def fit(self, x: Tensor, *, seed: int = 0) -> None:
        """Learns from samples ``(B, C, *S)`` that lie as they should what their seam looks like.

        The samples need no labels: their seam is in front of their first cell. The same samples
        and seed give the same scorers.
        """
        axes.check_input(x, self.rank, x.shape[1], where="Seam.fit")
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            for number in range(len(self.first)):
                with torch.no_grad():
                    shared = [axis for axis in range(self.rank) if self.scorer[axis] == number]
                    rings = [self._profiles(x.float().contiguous(), axis) for axis in shared]
                self._fit([ring.float() for ring in rings], number, self.mirrored[shared[0]])

    def _fit(self, rings: list[Tensor], number: int, mirrored: bool) -> None:
        weights = [
            torch.randn_like(kernel[number]) * (2 / kernel[number][0].numel()) ** 0.5
            for kernel in (self.first, self.second, self.third)
        ]
        weights.append(torch.zeros_like(self.offsets[number]))
        for weight in weights:
            weight.requires_grad_()
        adam = Adam(weights)
        for step in range(STEPS):
            loss = torch.zeros(())
            for ring in rings:
                rows = torch.randint(len(ring), (TOGETHER,))
                scores = _scored(ring[rows], *weights, mirrored=mirrored)
                target = torch.zeros(TOGETHER, dtype=torch.long, device=scores.device)
                loss = loss + F.cross_entropy(scores, target)
            adam.step(torch.autograd.grad(loss, weights), RATE * (1 - step / STEPS))
        with torch.no_grad():
            kept = (self.first, self.second, self.third, self.offsets)
            for buffer, weight in zip(kept, weights, strict=True):
                buffer[number] = weight

    def _profiles(self, x: Tensor, axis: int) -> Tensor:
        """What is known of the place in front of each cell: ``(B, C, *S) -> (B, PROFILES, n)``.

        How far the cells on both sides lie apart (the tear); how far either lies from where the
        cells before it lead (the bend); how much tears in the wide neighbourhood; for how many
        cells the tear exceeds those beside it; tear and bend of what the channels differ in, as
        colours change slower than light within a picture. All are logs of shares of the ring's
        mean, so light and contrast cancel.
        """
        n, at = x.shape[2 + axis], 2 + axis
        over = self._others(axis)

        def ring(cells: Tensor) -> Tensor:
            # Double sums are alike in any order, so a shift along other axes changes nothing.
            return cells.double().mean(over) if over else cells.double()

        def bends(step: Tensor) -> Tensor:
            each = ring((step - step.roll(1, at)).abs_().sum(1))
            return each + each.roll(-1, 1)  # in front of the place and behind it

        step = x - x.roll(1, at)
        tear = step.square().sum(1)
        beside = (tear.roll(1, at - 1) + tear.roll(-1, at - 1)) / 2 + LITTLE
        apart, bend = ring(step.abs().sum(1)), bends(step)
        colour = step - step.mean(1, keepdim=True)
        known = [
            apart,
            bend,
            _wide(apart),
            ring((1 + tear / beside).log_()),
            ring(colour.abs().sum(1)),
            bends(colour),
        ]
        rings = torch.stack(known, 1)
        rings = rings / rings.mean(2, keepdim=True).clamp_min(1e-12)
        assert rings.shape[1:] == (PROFILES, n), "as many as the scorers read"
        return (rings + 0.05).log()

    def _others(self, axis: int) -> list[int]:
        """The other axes of a map ``(B, *S)``."""
        return [1 + other for other in range(self.rank) if other != axis]

    def _scores(self, rings: Tensor, axis: int) -> Tensor:
        number = self.scorer[axis]
        kept = (self.first, self.second, self.third, self.offsets)
        weights = [buffer[number].to(rings.dtype) for buffer in kept]
        return _scored(rings, *weights, mirrored=self.mirrored[axis])

    def _seen(self, x: Tensor) -> Tensor:
        """The whole grid as each cell sees it, in every orientation: ``(B, C, *S) -> (B, *S)``."""
        weights = 1 + irregular(x.shape[1], x.device)
        cells = (x * weights.to(x.dtype).view(-1, *[1] * self.rank)).sum(1).double()
        cells = cells - cells.flatten(1).mean(1).view(-1, *[1] * self.rank)
        scale = cells.flatten(1).square().mean(1).clamp_min(torch.finfo(cells.dtype).tiny).rsqrt()
        cells = cells * scale.view(-1, *[1] * self.rank)
        total = torch.zeros_like(cells)
        for turn in self.symmetry.turns:
            moved = turn.move(cells)
            for axis in range(1, self.rank + 1):
                moved = torch.tanh(_around(moved, axis))
            total = total + turn.back.move(moved)
        return total

    def extra_repr(self) -> str:
        return f"{self.rank}, {self.symmetry}"


def rolled(x: Tensor, start: Tensor, *, back: bool = False) -> Tensor:
    """Each sample rolled so that cell ``start`` comes first; ``back`` undoes it.

    Shapes: x ``(B, C, *S)``, start ``(B, rank)`` in whole cells -> ``(B, C, *S)``.
    """
    last = x.stride(1) == 1 and x.shape[1] > 1  # channels-last memory stays so
    rank = x.ndim - 2
    at: list[Tensor] = [torch.arange(x.shape[0], device=x.device).view(-1, *[1] * rank)]
    for axis, n in enumerate(x.shape[2:]):
        shape = [1] * rank
        shape[axis] = n
        step = start[:, axis].view(-1, *[1] * rank)
        cells = torch.arange(n, device=x.device).view(1, *shape)
        at.append((cells - step if back else cells + step) % n)
    out = x.movedim(1, -1)[tuple(at)].movedim(-1, 1)
    return out if last else out.contiguous()


def irregular(count: int, device: torch.device | None = None) -> Tensor:
    """``count`` numbers in [-1/2, 1/2) without a pattern, the same on every machine."""
    places = torch.arange(1, count + 1, dtype=torch.float64, device=device)
    return (places.square() * 0.6180339887498949) % 1 - 0.5


def _scored(
    rings: Tensor, first: Tensor, second: Tensor, third: Tensor, offsets: Tensor, *, mirrored: bool
) -> Tensor:
    """``(B, PROFILES, n) -> (B, n)``: three convolutions around the ring.

    mirrored: the mean of the ring read in both directions.
    """
    x = rings
    for kernel, offset in ((first, offsets[0]), (second, offsets[1])):
        x = F.relu(F.conv1d(_ringed(x, kernel.shape[2] // 2), kernel, offset))
    scores = F.conv1d(x, third).squeeze(1)
    if not mirrored:
        return scores
    # Behind cell n - 1 of the reversed ring lies what lay in front of cell 0.
    turned = rings.flip(2).roll(1, 2)
    back = _scored(turned, first, second, third, offsets, mirrored=False).flip(1).roll(1, 1)
    return (scores + back) / 2


def _ringed(x: Tensor, reach: int) -> Tensor:
    """The ring with ``reach`` places more at both ends; it may go round several times."""
    n = x.shape[2]
    if reach <= n:
        return F.pad(x, (reach, reach), mode="circular")
    return x[:, :, torch.arange(-reach, n + reach, device=x.device) % n]


def _wide(rings: Tensor) -> Tensor:
    """Means over a triangle as wide as half of the ring: ``(B, n) -> (B, n)``."""
    n = rings.shape[1]
    steps = torch.arange(n, device=rings.device)
    apart = (steps[None] - steps[:, None]).abs()
    near = torch.minimum(apart, n - apart)
    weights = (1 - near / max(1, n / 4)).clamp_min(0).to(rings.dtype)
    return rings @ (weights / weights.sum(0))


def _around(cells: Tensor, axis: int) -> Tensor:
    """Each cell's own view along a ring: the same irregular weights, counted from that cell."""
    n = cells.shape[axis]
    steps = torch.arange(n, device=cells.device)
    weights = irregular(n, cells.device)[(steps[None] - steps[:, None]) % n] * (12 / n) ** 0.5
    seen: Tensor = cells.movedim(axis, -1) @ weights.T
    return seen.movedim(-1, axis)
