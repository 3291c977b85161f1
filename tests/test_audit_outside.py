"""Models from outside: an ONNX file and a PyTorch module, against a slow computation."""

import numpy as np
import pytest
import torch

import foveal
from foveal import DataError
from test_audit import SLOW, pictures, plain_net, slow


@pytest.fixture(scope="module")
def onnx():
    pytest.importorskip(
        "onnxruntime", reason='onnxruntime is missing: pip install "foveal[deploy]"'
    )
    return pytest.importorskip("onnx", reason='onnx is missing: pip install "foveal[deploy]"')


def written(onnx, net, path, batch="batch", softmax=True):
    """The network of `plain_net` as an ONNX file in 32 bits, node by node."""
    from onnx import TensorProto, helper, numpy_helper

    conv, _, _, dense, _ = net
    weights = {
        name: values.detach().float().numpy()
        for name, values in zip(
            ("w", "b", "v", "c"), (conv.weight, conv.bias, dense.weight, dense.bias), strict=True
        )
    }
    ends = [("Softmax", ["raw"], {"axis": 1})] if softmax else [("Identity", ["raw"], {})]
    steps = [
        ("Conv", ["x", "w", "b"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Relu", ["0"], {}),
        ("Flatten", ["1"], {}),
        ("Gemm", ["2", "v", "c"], {"transB": 1}),
        *ends,
    ]
    names = ["0", "1", "2", "raw", "done"]
    nodes = [
        helper.make_node(op, inputs, [out], **more)
        for (op, inputs, more), out in zip(steps, names, strict=True)
    ]
    tensor = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", tensor, [batch, 1, 12, 12])],
        [helper.make_tensor_value_info("done", tensor, [batch, 4])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def same_as_slow(found, net, x, y, within=1e-6):
    rows = {(row.name, row.strength): row for row in found.rows}
    for name, move in SLOW.items():
        same, right, moved = slow(net, x, y, move)
        assert rows[name].consistency.value == pytest.approx(same, abs=1e-12), name
        assert rows[name].accuracy.value == pytest.approx(right, abs=1e-12), name
        assert rows[name].change.value == pytest.approx(moved, abs=within), name


def test_an_onnx_file_against_a_slow_computation(onnx, tmp_path):
    net, x = plain_net(), pictures()
    y = np.random.default_rng(1).integers(0, 4, 100)
    path = written(onnx, net, tmp_path / "net.onnx")
    found = foveal.audit(path, x, y, out=tmp_path / "audit")
    assert found.samples == 100
    same_as_slow(found, net, x, y, within=1e-5)
    assert "net.onnx" in (tmp_path / "audit" / "audit.html").read_text()
    again = foveal.audit(str(written(onnx, net, tmp_path / "eight.onnx", batch=8)), x, y)
    kept = [[row.consistency.value for row in one.rows] for one in (found, again)]
    assert kept[0] == kept[1]  # a batch of fixed size is filled up


def test_a_pytorch_module_against_a_slow_computation():
    net, x = plain_net(), pictures()
    y = np.random.default_rng(1).integers(0, 4, 100)
    net.train()
    same_as_slow(foveal.audit(net, x, y), net, x, y)
    assert net.training  # as it was


class Said:
    """Progress that remembers."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def bar(self, title, total):
        from foveal.progress import SILENT

        return SILENT.bar(title, total)


def test_answers_before_the_softmax_are_taken_through_one_and_that_is_said(onnx, tmp_path):
    net, x = plain_net(), pictures(40)
    whole = foveal.audit(net, x)
    said = Said()
    found = foveal.audit(net[:-1], x, progress=said)
    for one, other in zip(found.rows, whole.rows, strict=True):
        assert one.consistency == other.consistency
        assert one.change.value == pytest.approx(other.change.value, abs=1e-12)
    assert said.lines == ["the answers are no probabilities: a softmax is taken"]
    path = written(onnx, net, tmp_path / "raw.onnx", softmax=False)
    assert foveal.audit(path, x).exact == whole.exact


def test_files_that_are_no_such_model_are_explained(onnx, tmp_path):
    x = pictures(4)
    with pytest.raises(DataError, match="there is no such file"):
        foveal.audit(tmp_path / "none.onnx", x)
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x09not a model")
    with pytest.raises(DataError, match=r"no model that runs(.|\n)*export it again"):
        foveal.audit(tmp_path / "bad.onnx", x)
    path = written(onnx, plain_net(), tmp_path / "net.onnx")
    with pytest.raises(DataError, match=r"samples of shape \[4, 1, 9, 9\] were refused"):
        foveal.audit(path, x[..., :9, :9])


def test_a_module_with_places_in_its_answer_is_refused():
    with pytest.raises(DataError, match="has the shape"):
        foveal.audit(torch.nn.Conv2d(1, 2, 1).double(), pictures(4))


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(DataError, match=r"foveal\[deploy\]"):
        foveal.audit(tmp_path / "a.onnx", pictures(4))
