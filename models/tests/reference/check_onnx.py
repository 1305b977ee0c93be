"""Checks exported graphs: onnx.checker with shape inference, operator set 17, and (f32) loading by ONNX Runtime.

    python check_onnx.py FOLDER [--load]      every *.onnx in the folder
"""

import sys
from pathlib import Path

import onnx
import onnxruntime

folder = Path(sys.argv[1])
paths = sorted(folder.glob("*.onnx"))
assert paths, f"no graphs in {folder}"
for path in paths:
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    assert [entry.version for entry in model.opset_import] == [17], path
    if "--load" in sys.argv:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert [port.name for port in session.get_inputs()] == [port.name for port in model.graph.input], path
    print(f"{path.name}: accepted")
