"""One trained network: its optimiser, its averaged weights, and all of its state as tensors."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Learner:
    """A module with AdamW and an exponential moving average of its weights."""

    def __init__(
        self,
        module: nn.Module,
        *,
        learning_rate: float,
        average: float = 0.999,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        self.module = module
        self.averaged = copy.deepcopy(module).requires_grad_(False)
        self.learning_rate = learning_rate
        self.average = average
        self.optimiser = torch.optim.AdamW(
            module.parameters(), lr=learning_rate, betas=betas, weight_decay=weight_decay
        )

    def update(self, loss: Tensor, step: int, scale: float) -> None:
        """Go down a loss by one step at ``learning_rate * scale``, see `advance`."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.advance(step, scale)

    def advance(self, step: int, scale: float) -> None:
        """Take one optimiser step along the gradients that there are, and move the average."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * scale
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        decay = min(self.average, (step + 1) / (step + 10))
        with torch.no_grad():
            averaged: list[Tensor] = list(self.averaged.parameters())
            current: list[Tensor] = list(self.module.parameters())
            torch._foreach_lerp_(averaged, current, 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything a resumed run needs: weights, average, both Adam moments, step."""
        state = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        state |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for name, parameter in self.module.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                state[f"adam.{key}.{name}"] = value
        return {name: value.contiguous() for name, value in state.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned."""
        self.module.load_state_dict(_below(state, "module."))
        self.averaged.load_state_dict(_below(state, "averaged."))
        for name, parameter in self.module.named_parameters():
            keys = ("step", "exp_avg", "exp_avg_sq")
            self.optimiser.state[parameter] = {
                key: state[f"adam.{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                for key in keys
                if f"adam.{key}.{name}" in state
            }


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def averaged_weights(
    checkpoint: dict[str, Tensor], learner: str, part: str = ""
) -> dict[str, Tensor]:
    """Return a learner's averaged weights, or those of a part, out of a run's checkpoint."""
    return _below(checkpoint, f"{learner}/averaged.{part}")
