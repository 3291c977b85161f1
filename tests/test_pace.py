"""What a step and a judging pass take is measured as they will be made."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.datasets.batches import Batches
from foveal.datasets.cache import Store
from foveal.networks.build import build
from foveal.verbs.pace import step_seconds
from plans import plan_for, raw_for

FIELDS = {"stem": "convolution", "stem_width": 8, "stem_kernel": (3, 3), "widths": (8, 8)}


@pytest.mark.parametrize(
    ("changes", "halves"),
    [
        ({}, True),
        ({"shift": "exact"}, True),
        ({"symmetry": "flips", "turned": ((1,),), **FIELDS}, False),
    ],
)
def test_judging_is_timed_in_the_precision_in_which_it_answers(changes, halves):
    """Networks that turn along answer in float32, three times as slow as in the bf16 of steps."""
    plan = plan_for(2, **changes)
    plan = replace(plan, fit=replace(plan.fit, precision="bf16"))
    network, seen = build(plan), set()
    network.register_forward_hook(
        lambda module, *_: seen.add((module.training, torch.is_autocast_enabled("cpu")))
    )
    store = Store.from_array(raw_for(2, count=16).movedim(1, -1).contiguous().numpy())
    batches = Batches(store, np.arange(16), torch.arange(16) % 3, batch=8)
    step_seconds(network, plan, batches)
    assert seen == {(True, True), (False, halves)}
