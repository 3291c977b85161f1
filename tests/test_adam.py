"""The layers' own Adam makes the steps of torch's."""

import subprocess
import sys

import torch

from foveal.layers.adam import Adam


def test_steps_equal_those_of_torch():
    torch.manual_seed(0)
    ours = [torch.randn(4, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
    theirs = [weight.clone().requires_grad_() for weight in ours]
    adam, reference = Adam(ours), torch.optim.Adam(theirs, 0.1)
    for step in range(30):
        gradients = [torch.randn_like(weight) * 10.0 ** (step % 3) for weight in ours]
        rate = 0.1 * (1 - step / 30)
        reference.param_groups[0]["lr"] = rate
        for weight, gradient in zip(theirs, gradients, strict=True):
            weight.grad = gradient.clone()
        reference.step()
        adam.step(gradients, rate)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other.detach(), rtol=1e-12, atol=1e-12)


def test_a_seam_is_learned_without_the_compiler():
    told = """
import sys, torch
from foveal.layers.seam import Seam
Seam(2).fit(torch.rand(8, 3, 16, 16))
assert "torch._dynamo" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
