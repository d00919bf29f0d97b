"""The encoder's walk: from noise towards a given latent, writing down the atoms it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from diffc.codec import Progress
from diffc.codecs.ddcm.atoms import AtomModel, Ranking, by_shift, by_total, encode_atoms, rank, take
from diffc.codecs.ddcm.codebook import Atoms, HadamardCodebook
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.latent_noise import initial_noise
from diffc.codecs.shared.diffusion.walk import advance, ancestral, times
from diffc.entropy.range_coder import RangeEncoder


@dataclass
class Trail:
    """What an encoder's walk has written, and where it stands.

    Parameters
    ----------
    encoder, model : RangeEncoder, AtomModel
        The stream so far.
    steps : int
        Coded steps.
    time : int
        The denoiser's time after them.
    x : Tensor
        The state there.
    """

    encoder: RangeEncoder
    model: AtomModel
    steps: int
    time: int
    x: Tensor


class EncoderWalk:
    """One walk towards ``target`` along a grid of times.

    Parameters
    ----------
    denoiser : Denoiser
        Of the model that the decoder will use.
    target : Tensor
        The latent to reach, (1, channels, height, width).
    weights : Tensor
        What an error at each position matters, (1, 1, height, width), in [0, 1].
    grid : list of int
        Times, falling.
    codebook : HadamardCodebook
        Whose seed is also that of the initial noise.
    atoms : int, optional
        A fixed number of atoms a step, rather than what the posterior asks for.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        target: Tensor,
        weights: Tensor,
        grid: list[int],
        *,
        codebook: HadamardCodebook,
        atoms: int | None,
    ) -> None:
        self.denoiser, self.target, self.weights = denoiser, target, weights
        self.grid, self.codebook, self.atoms = grid, codebook, atoms
        self.layout = codebook.layout
        channels, height, width = target.shape[1:]
        x = initial_noise(codebook.seed, (channels, height, width), str(target.device))
        model = AtomModel(self.layout.grid, codebook.words)
        self.trail = Trail(RangeEncoder(), model, 0, grid[0], x)
        self.x0hat = target

    def look(self) -> Ranking:
        """Estimate the clean latent at the present state, and rank the next step's atoms."""
        self.x0hat = self.denoiser(self.trail.x, self.trail.time)
        residual = (self.target - self.x0hat) * self.weights
        blocks = self.layout.split(residual[0])
        energy = blocks.square().sum(1)
        return rank(self.codebook.products(self.trail.steps, blocks), energy)

    def choose(self, ranking: Ranking, time: int, strength: float = 1.0) -> Atoms:
        """Choose the atoms of a step to ``time``; ``strength`` scales the posterior's shift."""
        if self.atoms is not None:
            return take(ranking, by_total(ranking, max(1, round(strength * self.atoms))))
        bars = self.denoiser.alpha_bars
        step = ancestral(bars[self.trail.time], bars[time])
        return take(ranking, by_shift(ranking, strength * step.estimate / step.noise))

    def written(self, atoms: Atoms) -> tuple[RangeEncoder, AtomModel]:
        """Return the stream with one step more, leaving the present one as it is."""
        encoder, model = self.trail.encoder.copy(), self.trail.model.copy()
        encode_atoms(encoder, model, atoms)
        return encoder, model

    def go(self, atoms: Atoms, time: int, stream: tuple[RangeEncoder, AtomModel]) -> None:
        """Take a step to ``time`` with atoms whose stream `written` gave."""
        bars = self.denoiser.alpha_bars
        noise = self.layout.join(self.codebook.noise(self.trail.steps, atoms))
        step = ancestral(bars[self.trail.time], bars[time])
        x = advance(step, self.trail.x, self.x0hat, noise[None])
        self.trail = Trail(*stream, self.trail.steps + 1, time, x)

    def steps(self, last: int, progress: Progress) -> Iterator[tuple[Ranking, int]]:
        """Go through the grid down to time ``last``: yield what there is to choose from, and where.

        The caller takes the step with `go`, or stops.
        """
        while self.trail.time > last:
            following = max(self.grid[self.trail.steps + 1], last)
            progress(self.trail.steps, len(self.grid) - 1)
            yield self.look(), following


def walk_to_time(walk: EncoderWalk, last: int, progress: Progress) -> None:
    """Walk down to a noise level."""
    for ranking, time in walk.steps(last, progress):
        atoms = walk.choose(ranking, time)
        walk.go(atoms, time, walk.written(atoms))


def walk_to_size(walk: EncoderWalk, room: int, progress: Progress) -> bool:
    """Walk until the stream has ``room`` bytes; return whether it ran out of steps before.

    The last step ends at the lowest noise whose atoms fit, and takes as many atoms as fit.
    """
    for ranking, time in walk.steps(walk.grid[-1], progress):
        atoms = walk.choose(ranking, time)
        stream = walk.written(atoms)
        if stream[0].length() <= room:
            walk.go(atoms, time, stream)
            continue
        _last_step(walk, ranking, time, room)
        return False
    return True


def _last_step(walk: EncoderWalk, ranking: Ranking, time: int, room: int) -> None:
    def fits(end: int, strength: float) -> bool:
        return walk.written(walk.choose(ranking, end, strength))[0].length() <= room

    # fixed atoms a step have no shift that a nearer end would lessen: they are only fewer
    end = time
    if walk.atoms is None:
        first = walk.trail.time - 1
        end = first - _largest(lambda nearer: fits(first - nearer, 1.0), first - time)
    strengths = 256
    chosen = _largest(lambda part: fits(end, 2 * part / strengths), strengths)
    atoms = walk.choose(ranking, end, 2 * chosen / strengths)
    stream = walk.written(atoms)
    if stream[0].length() <= room:
        walk.go(atoms, end, stream)


def _largest(holds: Callable[[int], bool], limit: int) -> int:
    """Return the largest value in 0..limit that holds, by bisection; 0 if none does."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def walk_to_psnr(
    walk: EncoderWalk,
    reached: Callable[[Tensor, int], bool],
    progress: Progress,
    room: int | None = None,
) -> bool:
    """Walk until ``reached(x0hat, time)`` holds; return whether it did, within ``room`` bytes.

    The last step ends at the highest noise level, to a sixteenth of a step, that is enough.
    """
    before: tuple[Trail, Tensor, Ranking] | None = None
    for ranking, time in walk.steps(walk.grid[-1], progress):
        if reached(walk.x0hat, walk.trail.time):
            break
        before = (walk.trail, walk.x0hat, ranking)
        atoms = walk.choose(ranking, time)
        stream = walk.written(atoms)
        if room is not None and stream[0].length() > room:
            return False
        walk.go(atoms, time, stream)
    else:
        if not reached(walk.denoiser(walk.trail.x, walk.trail.time), walk.trail.time):
            return False
    if before is not None:
        _nearest_end(walk, reached, before)
    return True


def _nearest_end(
    walk: EncoderWalk,
    reached: Callable[[Tensor, int], bool],
    before: tuple[Trail, Tensor, Ranking],
) -> None:
    """Take the last step anew, no further than needed."""
    enough, (start, x0hat, ranking) = walk.trail, before
    low, high = enough.time, start.time
    while high - low > max(1, (start.time - enough.time) // 16):
        end = (low + high) // 2
        walk.trail, walk.x0hat = start, x0hat
        atoms = walk.choose(ranking, end)
        walk.go(atoms, end, walk.written(atoms))
        if reached(walk.denoiser(walk.trail.x, end), end):
            low, enough = end, walk.trail
        else:
            high = end
    walk.trail = enough


def grid_of(denoiser: Denoiser, steps: int) -> list[int]:
    """Return the times of a walk of so many steps over all of the denoiser's noise levels."""
    return times(len(denoiser.alpha_bars) - 1, 0, steps)
