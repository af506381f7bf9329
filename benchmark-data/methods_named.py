# SPDX-License-Identifier: Apache-2.0
"""Methods that are named and not computed, by the keys and shapes of their tensors: no file is kept of them, the test
writes one from the table. Those that PEFT 0.10 can save are real files instead (methods_peft.py).

Keys and shapes as in huggingface/peft src/peft/tuners/*/layer.py and KohakuBlueleaf/LyCORIS lycoris/modules; the name of
a method is PEFT's own type in lower case.
"""
import json

LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
OUT, IN, R = 20, 16, 4


def layer(**shapes):
    """{part: shape} as tensors of one adapted layer; a part ending in _weight is a module's and keeps «.weight»."""
    return {f"{LAYER}.{part.removesuffix('_weight') + '.weight' if part.endswith('_weight') else part}": shape
            for part, shape in shapes.items()}


# method: (peft_type of the config or None, {key: shape})
NAMED = {
    "vera": ("VERA", layer(vera_lambda_b=[OUT], vera_lambda_d=[R])
             | {"base_model.vera_A": [R, IN], "base_model.vera_B": [OUT, R]}),
    "oft": ("OFT", layer(oft_R_weight=[4, 6])),
    "boft": ("BOFT", layer(boft_R=[1, 5, 4, 4], boft_s=[OUT, 1])),
    "fourierft": ("FOURIERFT", layer(fourierft_spectrum=[30])),
    "vblora": ("VBLORA", layer(vblora_logits_A=[R, 2, 5], vblora_logits_B=[2, R, 5])
               | {"base_model.vblora_vector_bank": [5, 8]}),
    "hra": ("HRA", layer(hra_u=[IN, R])),
    "miss": ("MISS", layer(miss_block=[R, OUT])),
    "bone": ("BONE", layer(bone_block=[R, OUT])),
    "randlora": ("RANDLORA", layer(randlora_lambda=[R, 4], randlora_gamma=[4, IN])),
    "shira": ("SHIRA", {f"{LAYER}.shira_weight": [40]}),
    "road": ("ROAD", layer(road_theta=[OUT // 2], road_alpha=[OUT // 2])),
    "c3a": ("C3A", layer(c3a_kernel=[5, 4, 4])),
    "delora": ("DELORA", layer(delora_A=[R, IN], delora_B=[OUT, R], delora_lambda=[1], delora_w_norm=[IN])),
    "gralora": ("GRALORA", layer(gralora_A=[2, IN // 2, 2], gralora_B=[2, 2, OUT // 2], gralora_A_general_weight=[2, IN],
                                 gralora_B_general_weight=[OUT, 2])),
    "hira": ("HIRA", layer(hira_A=[R, IN], hira_B=[OUT, R])),
    "glora": ("GLORA", layer(glora_Ad=[OUT, R], glora_Au=[R, IN], glora_Bd=[OUT, R], glora_Bu=[R, IN], glora_Cd=[IN, R],
                             glora_Cu=[R, 1], glora_D=[OUT], glora_E=[OUT])),
    "waveft": ("WAVEFT", layer(waveft_spectrum=[30])),
    "tinylora": ("TINYLORA", {"base_model.tinylora_v.default_group_0": [3]}),
    "unilora": ("UNILORA", {"base_model.unilora_theta_d": [64]}),
    "ln_tuning": ("LN_TUNING", {"base_model.model.model.norm.ln_tuning_layers.weight": [IN]}),
    "trainable_tokens": ("TRAINABLE_TOKENS", {"base_model.model.model.embed_tokens.trainable_tokens_delta": [3, IN]}),
    "full": (None, {"lora_unet_down_blocks_0_resnets_0_norm1.diff": [IN], "lora_unet_down_blocks_0_resnets_0_norm1.diff_b": [IN],
                    "lora_unet_down_blocks_0_resnets_0_conv1.diff": [OUT, IN, 3, 3]}),
}


def write_named(path):
    """One line a method: {method, config, tensors: [[key, shape], …]}."""
    rows = ",\n  ".join(json.dumps({"method": method, "config": config, "tensors": list(tensors.items())})
                        for method, (config, tensors) in NAMED.items())
    path.write_text('{"schema": "loraudit.named/1",\n "methods": [\n  ' + rows + "\n]}\n")
