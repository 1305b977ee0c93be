//! Graphs against what they promise.

use std::collections::BTreeSet;

use super::*;
use crate::checkpoint::FlorenceConfig;
use crate::synthetic::SyntheticModel;

/// Operators of TensorRT 10.3's ONNX parser that a graph of ours may use.
const ALLOWED_OPERATORS: [&str; 21] = [
    "Add",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Erf",
    "Gather",
    "Gemm",
    "LayerNormalization",
    "Less",
    "MatMul",
    "Mul",
    "Pad",
    "ReduceMean",
    "Reshape",
    "Shape",
    "Slice",
    "Softmax",
    "Sub",
    "Transpose",
];

#[test]
fn dbg_export() {
    let Ok(dir) = std::env::var("DBG_EXPORT") else { return };
    let model = SyntheticModel::new(FlorenceConfig::of_widths([32, 64, 128, 256], 2, 64, 2, 1), (224, 224));
    let mut o = GraphOptions::new(&model.config, &model, 224, 224);
    for (e, d) in [(Element::F32, "f32"), (Element::F16, "f16")] {
        o.element = e;
        let g = Graphs::new(&model.config, o.clone()).unwrap();
        let dir = Path::new(&dir).join(d);
        g.export(&dir, &model).unwrap();
        let mut f = WeightsFile::create(&dir.join("decoder.bin")).unwrap();
        g.decoder(&DecoderShape::new(Query::Any))
            .unwrap()
            .write(&dir.join("decoder.onnx"), &model, &mut f)
            .unwrap();
    }
    let _: BTreeSet<&str> = ALLOWED_OPERATORS.into();
}
