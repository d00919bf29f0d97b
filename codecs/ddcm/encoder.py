"""The encoder's walk: from noise towards a given latent, writing down the atoms it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from diffc.codec import Progress
from diffc.codecs.ddcm.atoms import AtomModel, Ranking, by_shift, by_total, encode_atoms, rank, take
from diffc.codecs.ddcm.codebook import Atoms, HadamardCodebook
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.samplers import (
    StepWeights,
    advance,
    ancestral_weights,
    denoise_scaled,
    initial_noise,
)
from diffc.entropy.range_coder import RangeEncoder


@dataclass
class WalkState:
    """What an encoder's walk has written, and where it stands.

    Parameters
    ----------
    encoder, model : RangeEncoder, AtomModel
        The stream so far.
    steps : int
        Coded steps.
    time : int
        The place in the table of noise levels after them.
    x : Tensor
        The state there, of unit variance.
    """

    encoder: RangeEncoder
    model: AtomModel
    steps: int
    time: int
    x: Tensor


class EncoderWalk:
    """One walk towards ``target`` along a grid of noise levels.

    Parameters
    ----------
    denoiser : Denoiser
        Of the model that the decoder will use.
    sigmas : sequence of float
        Its table of noise levels, rising.
    target : Tensor
        The latent to reach, (1, channels, height, width).
    weights : Tensor
        What an error at each position matters, (1, 1, height, width), in [0, 1].
    grid : list of int
        Places in the table, falling.
    codebook : HadamardCodebook
        Whose seed is also that of the initial noise.
    atoms : int, optional
        A fixed number of atoms a step, rather than what the posterior asks for.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        sigmas: Sequence[float],
        target: Tensor,
        weights: Tensor,
        grid: list[int],
        *,
        codebook: HadamardCodebook,
        atoms: int | None,
    ) -> None:
        self.denoiser, self.sigmas = denoiser, sigmas
        self.target, self.weights = target, weights
        self.grid, self.codebook, self.atoms = grid, codebook, atoms
        self.layout = codebook.layout
        channels, height, width = target.shape[1:]
        x = initial_noise(codebook.seed, (channels, height, width), str(target.device))
        model = AtomModel(self.layout.grid, codebook.words)
        self.state = WalkState(RangeEncoder(), model, 0, grid[0], x)
        self.x0hat = target

    def denoise(self) -> Tensor:
        """Return the estimate of the clean latent at the present state."""
        return denoise_scaled(self.denoiser, self.state.x, self.sigmas[self.state.time])

    def rank_atoms(self) -> Ranking:
        """Estimate the clean latent at the present state, and rank the next step's atoms."""
        self.x0hat = self.denoise()
        residual = (self.target - self.x0hat) * self.weights
        blocks = self.layout.split(residual[0])
        energy = blocks.square().sum(1)
        return rank(self.codebook.products(self.state.steps, blocks), energy)

    def choose(self, ranking: Ranking, time: int, strength: float = 1.0) -> Atoms:
        """Choose the atoms of a step to ``time``; ``strength`` scales the posterior's shift."""
        if self.atoms is not None:
            return take(ranking, by_total(ranking, max(1, round(strength * self.atoms))))
        step = self._weights(time)
        return take(ranking, by_shift(ranking, strength * step.denoised / step.noise))

    def _weights(self, time: int) -> StepWeights:
        return ancestral_weights(self.sigmas[self.state.time], self.sigmas[time])

    def encode_step(self, atoms: Atoms) -> tuple[RangeEncoder, AtomModel]:
        """Return the stream with one step more, leaving the present one as it is."""
        encoder, model = self.state.encoder.copy(), self.state.model.copy()
        encode_atoms(encoder, model, atoms)
        return encoder, model

    def take_step(self, atoms: Atoms, time: int, stream: tuple[RangeEncoder, AtomModel]) -> None:
        """Take a step to ``time`` with atoms whose stream `encode_step` gave."""
        noise = self.layout.join(self.codebook.noise(self.state.steps, atoms))
        x = advance(self._weights(time), self.state.x, self.x0hat, noise[None])
        self.state = WalkState(*stream, self.state.steps + 1, time, x)

    def steps(self, last: int, progress: Progress) -> Iterator[tuple[Ranking, int]]:
        """Go through the grid down to time ``last``: yield what there is to choose from, and where.

        The caller takes the step with `take_step`, or stops.
        """
        while self.state.time > last:
            following = max(self.grid[self.state.steps + 1], last)
            progress(self.state.steps, len(self.grid) - 1)
            yield self.rank_atoms(), following


def walk_to_time(walk: EncoderWalk, last: int, progress: Progress) -> None:
    """Walk down to a noise level."""
    for ranking, time in walk.steps(last, progress):
        atoms = walk.choose(ranking, time)
        walk.take_step(atoms, time, walk.encode_step(atoms))


def walk_to_size(walk: EncoderWalk, room: int, progress: Progress) -> bool:
    """Walk until the stream has ``room`` bytes; return whether it ran out of steps before.

    The last step ends at the lowest noise whose atoms fit, and takes as many atoms as fit.
    """
    for ranking, time in walk.steps(walk.grid[-1], progress):
        atoms = walk.choose(ranking, time)
        stream = walk.encode_step(atoms)
        if stream[0].length() <= room:
            walk.take_step(atoms, time, stream)
            continue
        _last_step(walk, ranking, time, room)
        return False
    return True


def _last_step(walk: EncoderWalk, ranking: Ranking, time: int, room: int) -> None:
    def fits(end: int, strength: float) -> bool:
        return walk.encode_step(walk.choose(ranking, end, strength))[0].length() <= room

    # fixed atoms a step have no shift that a nearer end would lessen: they are only fewer
    end = time
    if walk.atoms is None:
        first = walk.state.time - 1
        end = first - _largest(lambda nearer: fits(first - nearer, 1.0), first - time)
    strengths = 256
    chosen = _largest(lambda part: fits(end, 2 * part / strengths), strengths)
    atoms = walk.choose(ranking, end, 2 * chosen / strengths)
    stream = walk.encode_step(atoms)
    if stream[0].length() <= room:
        walk.take_step(atoms, end, stream)


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
    before: tuple[WalkState, Tensor, Ranking] | None = None
    for ranking, time in walk.steps(walk.grid[-1], progress):
        if reached(walk.x0hat, walk.state.time):
            break
        before = (walk.state, walk.x0hat, ranking)
        atoms = walk.choose(ranking, time)
        stream = walk.encode_step(atoms)
        if room is not None and stream[0].length() > room:
            return False
        walk.take_step(atoms, time, stream)
    else:
        if not reached(walk.denoise(), walk.state.time):
            return False
    if before is not None:
        _nearest_end(walk, reached, before)
    return True


def _nearest_end(
    walk: EncoderWalk,
    reached: Callable[[Tensor, int], bool],
    before: tuple[WalkState, Tensor, Ranking],
) -> None:
    """Take the last step anew, no further than needed."""
    enough, (start, x0hat, ranking) = walk.state, before
    low, high = enough.time, start.time
    while high - low > max(1, (start.time - enough.time) // 16):
        end = (low + high) // 2
        walk.state, walk.x0hat = start, x0hat
        atoms = walk.choose(ranking, end)
        walk.take_step(atoms, end, walk.encode_step(atoms))
        if reached(walk.denoise(), end):
            low, enough = end, walk.state
        else:
            high = end
    walk.state = enough
