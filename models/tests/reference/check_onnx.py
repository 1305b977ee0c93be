"""Checks exported graphs: onnx.checker with shape inference, and operator set 17.

    python check_onnx.py FOLDER      every *.onnx in the folder
"""

import sys
from pathlib import Path

import onnx

folder = Path(sys.argv[1])
paths = sorted(folder.glob("*.onnx"))
assert paths, f"no graphs in {folder}"
for path in paths:
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    assert [entry.version for entry in model.opset_import] == [17], path
    print(f"{path.name}: accepted")
