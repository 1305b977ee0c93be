// Written by tests/reference/synthetic.py: name, shape, salt, last elements.
#[rustfmt::skip]
#[allow(clippy::excessive_precision)]
const VECTORS: &[(&str, &[usize], u64, &[f32])] = &[
    ("model.language_model.shared.weight", &[3, 64], 0, &[-0.87890625, -0.53515625, 0.98828125, -0.64453125]),
    ("model.language_model.shared.weight", &[5, 64], 3, &[-0.009765625, 0.259765625, -0.408203125, -0.412109375]),
    ("model.vision_tower.convs.0.norm.weight", &[128], 0, &[1.0390625, 0.9765625, 0.9453125, 1.1015625]),
    ("model.vision_tower.convs.0.conv.weight", &[128, 3, 7, 7], 0, &[0.02978515625, -0.07958984375, -0.07763671875, 0.07177734375]),
    ("model.vision_tower.blocks.0.0.spatial_block.conv1.weight", &[128, 1, 3, 3], 0, &[0.01513671875, -0.10888671875, 0.10302734375, 0.10888671875]),
    ("model.vision_tower.blocks.0.0.spatial_block.window_attn.qkv.weight", &[384, 128], 1, &[-0.002685546875, -0.012451171875, 0.040771484375, 0.036865234375]),
    ("model.language_model.decoder.layers.0.encoder_attn.q_proj.weight", &[768, 768], 0, &[0.04833984375, -0.03955078125, -0.08642578125, -0.01611328125]),
    ("model.language_model.encoder.layers.0.self_attn.out_proj.weight", &[768, 768], 0, &[0.00042724609375, 0.00250244140625, -0.00982666015625, 0.00543212890625]),
    ("model.language_model.decoder.layers.0.encoder_attn.out_proj.weight", &[768, 768], 0, &[-0.0062255859375, 0.0272216796875, -0.0023193359375, 0.0103759765625]),
    ("model.language_model.decoder.layers.0.fc2.weight", &[768, 3072], 0, &[0.007476806640625, 0.001922607421875, -0.000762939453125, -0.000152587890625]),
    ("model.vision_tower.blocks.0.0.spatial_block.ffn.fc2.weight", &[128, 512], 0, &[-0.026123046875, 0.037841796875, -0.016845703125, 0.009521484375]),
    ("model.language_model.encoder.layers.0.fc1.bias", &[3072], 9223372036854775809, &[0.02099609375, -0.05419921875, 0.02099609375, -0.04248046875]),
    ("model.multi_modal_projector.image_position_embed.row_embeddings.weight", &[50, 64], 0, &[0.48046875, -0.52734375, 0.74609375, 0.09765625]),
];
