//! TensorRT, loaded at run time: building engines from ONNX, and running them.
