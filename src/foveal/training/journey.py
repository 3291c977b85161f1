"""Where a training stands: its position, clock, validations, checkpoints and incidents."""

from __future__ import annotations

import time
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..datasets.batches import Batches
from ..datasets.truths import truth_of
from ..grid import Batch
from ..plan import Plan
from ..progress import Progress
from ..tasks import Task
from . import checkpoint, history
from .averaging import Average
from .checkpoint import State, under
from .deadline import TOLERANCE, Deadline, Pace
from .faults import halved, hopeless, sound, spoiled, unfit
from .history import History
from .optimiser import Optimiser, build_optimiser
from .position import Position
from .recall import Recall, recalling
from .schedule import advance, between
from .together import Together

FAULTS = 3  # non-finite steps that are skipped before the run is set back, then stopped
LAST = 20  # steps at full size however soon time is up: norms must learn its statistics
CALM = 100  # sound steps after which a halved rate is doubled again
SHARE = 0.05  # of the time, at most, for validations under a deadline


class Journey:
    """One call of `fit`. The loop makes the steps; this keeps the books at their borders."""

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        validate: Any,
        plan: Plan,
        run: Path,
        batches: Batches,
        deadline: Deadline | None,
        progress: Progress,
        together: Together,
    ) -> None:
        self.together, self.deadline, self.progress = together, deadline, progress
        self.network, self.task, self.validate, self.plan = network, task, validate, plan
        self.run, self.folder, self.per_epoch = run, run / "checkpoint", len(batches)
        self.truth, self.device = truth_of(task.target), torch.device(plan.fit.device)
        self.optimiser = build_optimiser(network, plan.fit)
        self.average, self.recall = Average(network, plan.fit.ema), recalling(plan, batches)
        self.kept: dict[str, Optimiser | Average | Recall]
        self.kept = {"optimiser": self.optimiser, "average": self.average, "recall": self.recall}
        self.at = Position(0, max(1, plan.fit.steps))
        self.coarse_cost = prod(plan.fit.coarse_size) / prod(plan.data.size)
        self.pace = Pace(self.coarse_cost, None if deadline is None else deadline.crowd)
        self.clock = time.monotonic if deadline is None else deadline.clock
        self.began = self.lap = self.checked = self.saved = self.told = self.clock()
        self.checked_step, self.save_seconds, self.validating, self.stopping = 0, 0.0, 0.0, False
        self.validation_seconds: float | None = None  # not known yet
        self.loss, self.losses, self.rate = 0.0, 0, 0.0
        self.pending: State | None = None
        self.buffers = [b for b in network.buffers() if b.is_floating_point()]
        self.shadow = [b.clone() for b in self.buffers]

    @property
    def coarse(self) -> bool:
        """Whether the next step is made at the coarse size."""
        early = self.plan.budget is None or self.at.total - self.at.step > LAST
        return early and self.coarse_cost != 1 and self.at.progress < self.plan.fit.coarse

    def begin(self, resume: bool) -> None:
        """Stand at the checkpoint, or at the start with a first checkpoint made."""
        if not self.together.leads:
            self._align()
        elif resume and self._restore():
            history.cut(self.run, self.at.length)
            checkpoint.sweep(self.folder)
        else:
            self.run.mkdir(parents=True, exist_ok=True)
            checkpoint.clear(self.folder)
            history.cut(self.run, 0)
            self._tell("start", steps=self.at.total, per_epoch=self.per_epoch, seed=self.plan.seed)
            self._align()
            self.save()
        self.interval = between(self.at.total, self.per_epoch)
        if self.task.start is not None and not self.at.step and self.together.leads:
            self._validate()  # first weights that know something may be the best ones
        self.network.train()
        self.lap = self.saved = self.clock()

    def moved(self, loss: float, samples: int, rate: float) -> None:
        """A sound step was made on ``samples`` at ``rate`` times the peak."""
        self._forward()
        at = self.at
        at.samples += samples
        self.rate, self.loss, self.losses = rate, self.loss + loss, self.losses + 1
        self.average.update(at.step)
        if self.buffers:
            torch._foreach_copy_(self.shadow, self.buffers)
        at.calm += 1
        if at.calm >= CALM and (at.brake < 1 or at.faults):
            at.brake, at.faults, at.calm = min(1.0, 2 * at.brake), 0, 0
            at.rewound = at.rewound and at.brake < 1

    @torch.no_grad()
    def fault(self, batch: Batch) -> None:
        """Loss or gradient was not finite: skip the step; then go back; then give up.

        Raises: RunError, with the batch saved, when going back did not help.
        """
        at = self.at
        for buffer, kept in zip(self.buffers, self.shadow, strict=True):
            buffer.copy_(kept)  # batch statistics have already seen the bad batch
        at.faults, at.brake, at.calm = at.faults + 1, at.brake / 2, 0
        self._tell("fault", step=at.step, brake=at.brake)
        if at.faults <= FAULTS:
            self._forward()
            return
        step, brake, again = at.step, at.brake, at.rewound
        if again or not self._restore():
            raise hopeless(self.run, batch, step)
        self.at.brake, self.at.rewound, self.at.faults = brake, True, 0
        self._tell("rewind", step=step, to=self.at.step)

    def border(self, asked: bool = False) -> None:
        """Between two steps: plan anew, validate and save where it is time to.

        asked: whether this process was asked to stop; of several the first one decides.
        """
        at, now = self.at, self.clock()
        if not self.together.leads:
            found = self.together.told({})
            at.total, self.stopping = int(found["total"]), bool(found["stop"])
            return
        self._replan(now)
        self.stopping = self.together.told({"total": at.total, "stop": asked})["stop"]
        due = at.step - at.validated >= self.interval and self._may(now)
        if validated := at.step >= at.total or due:
            self._validate()
        since = self.clock() - self.saved
        due = since > 20 * self.save_seconds and (validated or since > 30)
        due |= at.step >= at.total and not sound(self.network.state_dict().values())
        if due and not self.save() and self.together.alone and not at.rewound and self._restore():
            self.at.rewound = True
            self._tell("rewind", step=at.step, to=self.at.step)
        if now - self.told > 0.25:
            self.told = now
            loss = f"loss {self.loss / self.losses:.3f}" if self.losses else ""  # no step since
            score = "" if at.score is None else f"{self.task.judging.best} {at.score:.3f}"
            self.progress.status("  ".join(part for part in (loss, score) if part))
        self.lap = self.clock()

    def end(self) -> History:
        """Save the finished state, leave the final weights in the network, tell the story."""
        if self.together.leads:
            if self.at.validated != self.at.step:
                self._validate()
            if not self.save():
                raise spoiled(self.run, self.at.step)
        if self.pace.crowd is not None:
            self.pace.crowd.leave()
        self.average.settle()
        self.network.eval()
        return history.summary(self.run, asdict(self.at))

    def squeeze(self, samples: int) -> None:
        """Memory ran out: the same batch in more parts from now on, and written down."""
        for buffer, kept in zip(self.buffers, self.shadow, strict=True):
            buffer.copy_(kept)
        self.at.parts = halved(self.at.parts, samples)
        self._tell("memory", step=self.at.step, parts=self.at.parts)

    def save(self) -> bool:
        """A checkpoint of this moment, and of the best weights when they are new.

        False, and the last one stays, where a weight is not finite: the next step will see that.
        """
        began, at = self.clock(), self.at
        at.seconds, self.began = at.seconds + began - self.began, began
        states = {"network": self.network.state_dict()}
        states |= {part: kept.state() for part, kept in self.kept.items()}
        tensors = {f"{part}.{n}": t for part, state in states.items() for n, t in state.items()}
        whole = sound(tensors.values())
        if whole:
            checkpoint.save(self.folder, State(at.step, tensors, asdict(at)), self.pending)
            self.pending = None
        self.saved = self.clock()
        self.save_seconds = self.saved - began
        return whole

    def _forward(self) -> None:
        """One step further, and what it took."""
        at, now, coarse = self.at, self.clock(), self.coarse
        at.progress = advance(at.progress, at.total - at.step)
        at.step += 1
        at.training += now - self.lap
        if threads := self.pace.note(now - self.lap, coarse):
            self._tell("threads", step=at.step, threads=threads)

    def _replan(self, now: float) -> None:
        """Under a deadline: fit the number of steps to the time that is left."""
        at, deadline = self.at, self.deadline
        if deadline is None or at.step >= at.total or not self.pace.known:
            return
        if now - self.checked < 2 and at.step - self.checked_step < at.total / 100:
            return
        self.checked, self.checked_step, deadline.slowness = now, at.step, self.pace.slowness
        ahead = max(0.0, self.plan.fit.coarse - at.progress) / (1 - at.progress)
        seconds, busy = self.pace.seconds(ahead if self.coarse else 0.0), self._busy()
        if deadline.misses(at.total - at.step, seconds, busy):
            total = at.step + deadline.steps_left(seconds, busy)
            total = max(at.step + 1, min(total, deadline.most or total))
            if total != at.total:
                self._tell("replan", step=at.step, before=at.total, after=total)
                at.total = total

    def _busy(self) -> float:
        """Seconds of what is left that validations and the last checkpoint will take."""
        assert self.deadline is not None
        ahead = max(1, (self.at.total - self.at.step) // self.interval)
        one = self.validation_seconds
        if one is None:
            one = TOLERANCE / 2 * self.deadline.seconds
        return max(one, min(ahead * one, SHARE * self.deadline.left())) + self.save_seconds

    def _may(self, now: float) -> bool:
        """Whether validations have not yet had their share of the time (deadlines only)."""
        spent = self.validating + (self.validation_seconds or 0.0)
        return self.deadline is None or spent <= SHARE * (self.at.seconds + now - self.began)

    def _validate(self) -> None:
        at, began = self.at, self.clock()
        self.network.eval()
        with self.average.shown(), torch.no_grad():
            scores = self.validate(self.network)
            at.score = scores[self.task.judging.best]
            if at.best is None or at.score > at.best:
                at.best, at.best_step = at.score, at.step
                weights = {n: t.clone() for n, t in self.network.state_dict().items()}
                self.pending = State(at.step, weights, {"score": at.score})
        self.network.train()
        now = self.clock()
        self.validation_seconds = now - began
        self.validating += self.validation_seconds
        at.validated = at.step
        self._tell(
            "validation",
            step=at.step,
            epoch=round(at.step / self.per_epoch, 4),
            progress=round(at.progress, 6),
            rate=round(self.rate, 6),
            loss=round(self.loss / self.losses, 6) if self.losses else None,
            seconds=round(at.seconds + now - self.began, 3),
            samples_per_second=round(at.samples / max(at.training, 1e-9), 1),
            **scores,
        )
        self.loss, self.losses = 0.0, 0

    def _tell(self, kind: str, **facts: Any) -> None:
        if self.together.leads:
            self.at.length = history.append(self.run, {"kind": kind, **facts})

    @torch.no_grad()
    def _restore(self) -> bool:
        """Take over the newest checkpoint; False when there is none."""
        if not self.together.leads:
            return self._align()
        state = checkpoint.load(self.folder)
        if state is None:
            return False
        try:
            self.network.load_state_dict(under("network.", state.tensors))
            for part, kept in self.kept.items():
                kept.load(under(f"{part}.", state.tensors))
            self.at = Position(**state.facts)
        except (RuntimeError, KeyError, TypeError) as error:
            raise unfit(self.folder, error) from error
        return self._align()

    def _align(self) -> bool:
        """Stand where the first process stands, to the last bit."""
        self.at = Position(**self.together.told(asdict(self.at)))
        states = [self.network.state_dict(), *(kept.state() for kept in self.kept.values())]
        self.together.alike(tensor for state in states for tensor in state.values())
        self.pending, self.began = None, self.clock()
        for kept, buffer in zip(self.shadow, self.buffers, strict=True):
            kept.copy_(buffer)
        return True
