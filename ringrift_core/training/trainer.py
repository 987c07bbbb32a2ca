"""The trainer: one net, one optimiser, one step at a time.

The published weights are an exponential moving average of the trained ones. Nothing here draws random numbers or looks
at the clock: the same net, settings and batches give the same weights, on one thread bit for bit.
"""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ringrift_core.nn.net import Inputs, Net
from ringrift_core.training.batches import Targets
from ringrift_core.training.losses import Losses, losses_of

CLIP = 2.0  # largest norm of a gradient
WARMUP_STEPS = 100
FINAL_RATE = 0.05  # of the learning rate, at the last step of the cosine


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """How a net is trained."""

    steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    ema: float = 0.999
    ownership_weight: float = 0.3
    score_weight: float = 0.3


class Trainer:
    """Trains `net`, in place; `average` is what is published."""

    def __init__(
        self,
        net: Net,
        settings: TrainerSettings,
        device: torch.device,
        *,
        bf16: bool = False,
        distributed: bool = False,
    ) -> None:
        """`distributed`: the process group is up, and every rank makes the same steps with its part of each batch."""
        self.net = net.to(device).train()
        self.average = deepcopy(self.net).eval().requires_grad_(requires_grad=False)
        self.step_number = 0
        self.learning_rate = 0.0  # of the last step
        self.settings = settings
        self._forward: nn.Module = self.net
        if distributed:
            constants = [name for name, _ in self.net.named_buffers()]  # of types that gloo cannot send
            ignore = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model  # noqa: SLF001
            ignore(self.net, constants)  # type: ignore[no-untyped-call]
            self._forward = DistributedDataParallel(self.net, gradient_as_bucket_view=True)
        self._optimiser = torch.optim.AdamW(
            parameter_groups(self.net, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.99)
        )
        # bf16 has the range of fp32, so it needs no loss scaling
        self._precision = torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()

    def step(self, inputs: Inputs, targets: Targets) -> Losses:
        """Learn from one batch; returns its losses, detached."""
        self.learning_rate = self.settings.learning_rate * rate_share(self.step_number, self.settings.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate
        with self._precision:
            outputs = self._forward(inputs, auxiliary=True)
        losses = self._losses(outputs, inputs, targets)
        self._optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self._optimiser.step()
        self.step_number += 1
        self._follow()
        return detached(losses)

    @torch.no_grad()
    def judge(self, inputs: Inputs, targets: Targets) -> Losses:
        """The losses of the average on a batch."""
        return self._losses(self.average(inputs, auxiliary=True), inputs, targets)

    def is_finite(self) -> bool:
        """True when every weight is a finite number, in the net and in the average."""
        weights = (*self.net.parameters(), *self.average.parameters())
        return bool(torch.stack([weight.detach().isfinite().all() for weight in weights]).all())

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs: tensors and plain values."""
        return {
            "step": self.step_number,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state; KeyError, RuntimeError or ValueError when it is not one of such a net."""
        if int(state["step"]) < 0:
            raise ValueError("its step is negative")
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step_number = int(state["step"])

    def _losses(self, outputs: Any, inputs: Inputs, targets: Targets) -> Losses:  # noqa: ANN401 - a module's output
        return losses_of(
            outputs,
            inputs,
            targets,
            ownership_weight=self.settings.ownership_weight,
            score_weight=self.settings.score_weight,
        )

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the trained weights; early on it forgets faster than its settings say."""
        kept = min(self.settings.ema, (1 + self.step_number) / (10 + self.step_number))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()), 1 - kept)


def rate_share(step: int, steps: int) -> float:
    """The share of the learning rate at a step: a linear rise, then a cosine down to FINAL_RATE."""
    warmup = min(WARMUP_STEPS, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return FINAL_RATE + (1 - FINAL_RATE) * (1 + cos(pi * min(1.0, done))) / 2


def parameter_groups(net: Net, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay, biases do not."""
    weights: list[Tensor] = [it for it in net.parameters() if it.ndim > 1]
    biases: list[Tensor] = [it for it in net.parameters() if it.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]


def detached(losses: Losses) -> Losses:
    """The same numbers without what led to them."""
    return Losses(
        losses.total.detach(),
        losses.policy.detach(),
        losses.value.detach(),
        losses.ownership.detach(),
        losses.score.detach(),
    )
