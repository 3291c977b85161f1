"""Laws that hold for every layer, whatever it computes."""

import torch
from torch.func import functional_call

from foveal.layers import channels_last


def traces(module, *inputs):
    """torch.export captures it, and the captured graph gives the same answer."""
    module = module.eval()
    graph = torch.export.export(module, inputs).module()
    torch.testing.assert_close(graph(*inputs), module(*inputs))


def has_right_gradients(module, x):
    """Gradients of inputs and weights agree with finite differences, in float64."""
    module = module.double()
    trained = {n: p for n, p in module.named_parameters() if p.requires_grad}

    def run(x, *values):
        return functional_call(module, dict(zip(trained, values, strict=True)), (x,))

    leaves = [p.detach().clone().requires_grad_() for p in trained.values()]
    x = x.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(run, (x, *leaves), fast_mode=True)
    for gradient in torch.autograd.grad(run(x, *leaves).square().sum(), (x, *leaves)):
        assert gradient.isfinite().all()


def keeps_samples_apart(module, x):
    """Each sample's answer is what it would be alone."""
    alone = torch.cat([module(sample[None]) for sample in x])
    torch.testing.assert_close(module(x), alone)


def ignores_memory_layout(module, x):
    """Channels-last memory changes nothing but speed, also through strided views."""
    expected = module(x)
    torch.testing.assert_close(module(channels_last(x)), expected)
    views = x.repeat_interleave(2, -1)[..., ::2]
    torch.testing.assert_close(module(views), expected)


def all_of_them(module, x):
    """The laws for a layer that has no state and treats samples one by one."""
    module = module.double()
    traces(module, x)
    has_right_gradients(module, x)
    keeps_samples_apart(module, x)
    ignores_memory_layout(module, x)
