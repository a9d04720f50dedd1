"""Other people's networks as judges: ONNX files written here, with known answers.

The network averages a picture over its pixels: three values in the order and normalization that it
was told.
"""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from dgnet.model.judge.judge import JudgeError
from dgnet.model.judge.onnx import OnnxInput, OnnxJudge
from dgnet.model.judge.opening import open_judge

PLAIN = OnnxInput(mean=(0, 0, 0), std=(1, 1, 1))
RED = np.zeros((1, 6, 4, 3), np.uint8)
RED[..., 0] = 255
RED[..., 1] = 51  # a fifth
# Of length 1: 1 and 0.2, divided by the root of 1.04.
SHOWN = np.array([1, 0.2, 0]) / np.sqrt(1.04)

Side = int | str


def averaging(
    file: Path,
    shape: tuple[Side, Side, Side, Side],
    *,
    kind: int = TensorProto.FLOAT,
    keep_dimensions: int = 0,
) -> Path:
    """A network that averages over height and width; a second output, `whole`, is its input."""
    axes = [1, 2] if shape[3] == 3 else [2, 3]
    nodes = [
        helper.make_node("ReduceMean", ["pictures", "axes"], ["means"], keepdims=keep_dimensions),
        helper.make_node("Identity", ["pictures"], ["whole"]),
    ]
    graph = helper.make_graph(
        nodes,
        "averaging",
        [helper.make_tensor_value_info("pictures", kind, list(shape))],
        [
            helper.make_tensor_value_info("means", kind, None),
            helper.make_tensor_value_info("whole", kind, list(shape)),
        ],
        [helper.make_tensor("axes", TensorProto.INT64, [2], axes)],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    file.write_bytes(model.SerializeToString())
    return file


def test_size_and_order_of_axes_are_read_from_the_file(tmp_path: Path) -> None:
    first = OnnxJudge(averaging(tmp_path / "first.onnx", ("B", 3, 6, 4)), PLAIN)
    last = OnnxJudge(averaging(tmp_path / "last.onnx", ("B", 12, 8, 3)), PLAIN)
    assert (first.height, first.width) == (6, 4)
    assert (last.height, last.width) == (12, 8)
    for judge in (first, last):
        assert judge.embed(RED) == pytest.approx(SHOWN[None], abs=1e-6)
    assert first.name == "first.onnx"
    assert len(first.version) == 12
    assert first.version != last.version


def test_normalization_and_channel_order_are_applied(tmp_path: Path) -> None:
    file = averaging(tmp_path / "network.onnx", ("B", 3, 6, 4))
    given = OnnxInput(mean=(0.5, 0, 0.25), std=(0.5, 0.1, 0.25))
    # (1 - 0.5) / 0.5 = 1, 0.2 / 0.1 = 2, (0 - 0.25) / 0.25 = -1.
    assert OnnxJudge(file, given).embed(RED) == pytest.approx(
        np.array([[1, 2, -1]]) / np.sqrt(6), abs=1e-6
    )
    # Blue first: (0 - 0.5) / 0.5 = -1, 2, (1 - 0.25) / 0.25 = 3.
    swapped = OnnxInput(mean=(0.5, 0, 0.25), std=(0.5, 0.1, 0.25), channels="bgr")
    assert OnnxJudge(file, swapped).embed(RED) == pytest.approx(
        np.array([[-1, 2, 3]]) / np.sqrt(14), abs=1e-6
    )


def test_half_precision_and_trailing_dimensions_are_taken(tmp_path: Path) -> None:
    half = averaging(tmp_path / "half.onnx", ("B", 3, 6, 4), kind=TensorProto.FLOAT16)
    assert OnnxJudge(half, PLAIN).embed(RED) == pytest.approx(SHOWN[None], abs=1e-3)
    kept = averaging(tmp_path / "kept.onnx", ("B", 3, 6, 4), keep_dimensions=1)
    assert OnnxJudge(kept, PLAIN).embed(RED) == pytest.approx(SHOWN[None], abs=1e-6)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_of_a_fixed_batch_gets_full_batches(tmp_path: Path, batch: int) -> None:
    judge = OnnxJudge(averaging(tmp_path / "fixed.onnx", (batch, 3, 6, 4)), PLAIN)
    many = np.concatenate([RED, RED[..., ::-1]] * 3)
    assert judge.embed(many) == pytest.approx(np.stack([SHOWN, SHOWN[::-1]] * 3), abs=1e-6)


def test_a_network_of_any_size_must_be_told_its_size(tmp_path: Path) -> None:
    file = averaging(tmp_path / "any.onnx", ("B", 3, "H", "W"))
    with pytest.raises(JudgeError, match="say which it was trained on, such as --judge-size"):
        OnnxJudge(file, PLAIN)
    judge = OnnxJudge(file, OnnxInput(size=(20, 10), mean=(0, 0, 0), std=(1, 1, 1)))
    assert (judge.height, judge.width) == (20, 10)
    assert judge.embed(RED) == pytest.approx(SHOWN[None], abs=1e-6)


def test_another_size_than_the_files_is_refused(tmp_path: Path) -> None:
    file = averaging(tmp_path / "fixed.onnx", ("B", 3, 6, 4))
    with pytest.raises(JudgeError, match="pictures of 6x4, --judge-size is 20x10"):
        OnnxJudge(file, OnnxInput(size=(20, 10)))


@pytest.mark.parametrize(
    ("shape", "kind", "complaint"),
    [
        (("B", 4, 6, 4), TensorProto.FLOAT, "expected three channels"),
        (("B", 3, 6, 4), TensorProto.DOUBLE, r"tensor\(double\)"),
    ],
)
def test_networks_of_something_else_are_refused(
    tmp_path: Path, shape: tuple[Side, Side, Side, Side], kind: int, complaint: str
) -> None:
    with pytest.raises(JudgeError, match=complaint):
        OnnxJudge(averaging(tmp_path / "other.onnx", shape, kind=kind), PLAIN)


def test_an_output_is_chosen_by_name(tmp_path: Path) -> None:
    file = averaging(tmp_path / "network.onnx", ("B", 3, 6, 4))
    with pytest.raises(JudgeError, match=r"no output 'embedding'; expected one of means, whole"):
        OnnxJudge(file, OnnxInput(output="embedding"))
    with pytest.raises(JudgeError, match=r"'whole' of network\.onnx is \(1, 3, 6, 4\)"):
        OnnxJudge(file, OnnxInput(output="whole")).embed(RED)


def test_files_that_are_no_networks_are_named(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"gone\.onnx: no such file"):
        OnnxJudge(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("nothing")
    with pytest.raises(JudgeError, match="not a network that onnxruntime can run"):
        OnnxJudge(tmp_path / "text.onnx")


def test_the_ending_tells_files_from_folders(tmp_path: Path) -> None:
    file = averaging(tmp_path / "network.onnx", ("B", 3, 6, 4))
    assert isinstance(open_judge(str(file)), OnnxJudge)
    with pytest.raises(JudgeError, match=r"said of \.onnx files alone"):
        open_judge(str(tmp_path), PLAIN)
    with pytest.raises(JudgeError, match="expected numbers above 0"):
        OnnxInput(std=(1, 0, 1))
