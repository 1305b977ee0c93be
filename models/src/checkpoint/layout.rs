//! Native tensor names to the names of the original layout (specification section 2.1).

use super::Layout;
use super::inventory::{LANGUAGE, LM_HEAD, LOGITS_BIAS, PROJECTOR, VISION};

impl Layout {
    /// The name under which a file of this layout holds the tensor of this native name.
    pub fn name_of(self, native: &str) -> String {
        match self {
            Layout::Native => native.to_owned(),
            Layout::Original => original(native),
        }
    }

    /// Whether files of this layout hold the tensor transposed. Only the image projection is: `[C3, d]`, used as
    /// `x @ W`, in the original; `[d, C3]` in the native layout.
    pub fn transposes(self, native: &str) -> bool {
        self == Layout::Original && native == format!("{PROJECTOR}.image_projection.weight")
    }
}

fn original(native: &str) -> String {
    if let Some(rest) = strip(native, VISION) {
        return format!("vision_tower.{}", original_vision(rest));
    }
    if let Some(rest) = strip(native, PROJECTOR) {
        return match rest {
            "image_projection.weight" => "image_projection".to_owned(),
            "visual_temporal_embed.pos_idx_to_embed" => "visual_temporal_embed.pos_idx_to_embed".to_owned(),
            _ => rest.replace("image_position_embed.", "image_pos_embed."),
        };
    }
    if let Some(rest) = strip(native, LANGUAGE) {
        return format!("language_model.model.{rest}");
    }
    match native {
        LM_HEAD | LOGITS_BIAS => format!("language_model.{native}"),
        _ => native.to_owned(),
    }
}

fn strip<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix)?.strip_prefix('.')
}

fn original_vision(rest: &str) -> String {
    if rest.starts_with("convs.") {
        return rest.replace(".conv.", ".proj.");
    }
    let attention = if rest.contains(".spatial_block.") { "window_attn" } else { "channel_attn" };
    let pairs = [
        (".conv1.", ".conv1.fn.dw.".to_owned()),
        (".conv2.", ".conv2.fn.dw.".to_owned()),
        (".norm1.", format!(".{attention}.norm.")),
        (".norm2.", ".ffn.norm.".to_owned()),
        (".ffn.fc1.", ".ffn.fn.net.fc1.".to_owned()),
        (".ffn.fc2.", ".ffn.fn.net.fc2.".to_owned()),
        ("_attn.qkv.", "_attn.fn.qkv.".to_owned()),
        ("_attn.proj.", "_attn.fn.proj.".to_owned()),
    ];
    match pairs.iter().find(|(native, _)| rest.contains(native)) {
        Some((native, original)) => rest.replacen(native, original, 1),
        None => rest.to_owned(),
    }
}
