"""What a network said of each training sample before, as a part of what it is to say next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..datasets.batches import Batches
from ..errors import PlanError
from ..plan import Plan
from ..tasks import Task

FRESH = 0.5  # weight of a new answer in the mean of a sample's answers
MOST = 2**26  # numbers that are kept, 256 MB


def check_recall(plan: Plan, task: Task, samples: int) -> None:
    """Raises: PlanError where so much, or such answers, cannot be recalled."""
    share, numbers = plan.fit.recall, samples * plan.fit.members * plan.outputs
    if not 0 <= share <= 1:
        what, mend = f"the share is {share:g}", "give a number from 0 to 1, such as 0.8"
    elif share and not task.chooses:
        what = f"answers of the task {plan.task!r} are not probabilities of one class each"
        mend = "--set fit.recall=0"
    elif share and numbers > MOST:
        what = f"earlier answers to {samples:,} samples would take {4 * numbers >> 20:,} MB"
        mend = "--set fit.recall=0"
    else:
        return
    raise PlanError(what, where="plan field fit.recall", mend=mend)


def recalling(plan: Plan, batches: Batches) -> Recall:
    """What the plan keeps of the samples of the training part."""
    fit, samples = plan.fit, len(batches.rows)
    return Recall(samples, plan.outputs, fit.recall, fit.members, fit.device)


class Recall:
    """A running mean of the network's own answers to every sample, and the loss against it.

    Each pass shows a sample changed in another way, so the mean says what it looks like however
    it is changed. A network that is held to it knows that from one look, and answers two crops of
    a picture alike more often. Costs a softmax a step.

    Args:
        samples: N, of the training part. choices: K. members: networks that learn side by side, M.
        share: of the target that is recalled when training ends; grows with the square of what
            is done, since early answers are poor. 0 keeps nothing.

    Source: temporal ensembling, Laine and Aila, arXiv:1610.02242, where the mean is a second
        target; a share that grows, evenly, Kim et al., arXiv:2006.12000, who recall one pass.
    """

    def __init__(
        self, samples: int, choices: int, share: float, members: int = 1, device: str = "cpu"
    ) -> None:
        self.share = share
        self.means = torch.zeros((members, samples if share else 0, choices), device=device)
        self._heard: list[tuple[Tensor, Tensor, Tensor]] = []  # places, means, answers

    def mixed(self, loss: Tensor, raws: Sequence[Tensor], index: Tensor, progress: float) -> Tensor:
        """``loss`` with the planned share of it given over to what is recalled.

        Args:
            loss: of the truth, summed over members. raws: of each member, ``(B, K)``.
            index: ``(B,)`` position of each sample in the training part.
            progress: share of the training that is done.
        """
        if not self.share:
            return loss
        there = index.to(self.means.device)
        said = torch.stack(list(raws)).log_softmax(-1)
        known = self.means.index_select(1, there)  # zeros, and so no loss, of what is new
        self._heard.append((there, known, said.detach().exp()))
        share = self.share * progress**2
        recalled = -(known * said).sum(-1).mean(-1).sum()
        return (1 - share) * loss + share * recalled

    def keep(self) -> None:
        """Take what was said since the last call into the means."""
        for there, known, answers in self._heard:
            fresh = torch.where(known.sum(-1, keepdim=True) > 0, FRESH, 1.0)
            self.means.index_copy_(1, there, torch.lerp(known, answers, fresh))
        self.drop()

    def drop(self) -> None:
        """Forget what was said since the last `keep`: the step is made anew, or not at all."""
        self._heard.clear()

    def state(self) -> dict[str, Tensor]:
        """The means by name; the tensor itself, not a copy."""
        return {"means": self.means} if self.share else {}

    def load(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
