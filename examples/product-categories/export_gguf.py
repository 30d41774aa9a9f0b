"""Convert the trained Hugging Face folder to one GGUF file for llama.cpp.

Run it from the repository's root, after `train.py`:

    uv run --group train python examples/product-categories/export_gguf.py
"""

import json
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from catalogue import GGUF_FILE, MODEL_FOLDER, MODEL_NAME

ATTRIBUTION = "L. Akritidis, Product Classification and Clustering (UCI 837), CC BY 4.0"


def main() -> None:
    """Write hyperparameters, vocabulary and weights; print the file's size."""
    config = read_json("config.json")
    writer = gguf.GGUFWriter(GGUF_FILE, "llama")
    add_hyperparameters(writer, config)
    add_vocabulary(writer, config)
    add_weights(writer, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{GGUF_FILE.name}: {GGUF_FILE.stat().st_size:,} bytes")


def read_json(name: str) -> dict[str, Any]:
    """Read one of the model folder's JSON files."""
    return json.loads((MODEL_FOLDER / name).read_text(encoding="utf-8"))


def add_hyperparameters(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """Describe the network and its origin."""
    writer.add_name(MODEL_NAME)
    writer.add_license("apache-2.0")
    writer.add_description(f"Product titles to categories. Trained on {ATTRIBUTION}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def add_vocabulary(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """Copy tokens, merges and chat template, with the pre-tokenizer that they were learned with.

    "gpt-2" names the regular expression of Hugging Face's `ByteLevel`. Under "default" llama.cpp
    cuts digits and punctuation in other places, and the model reads tokens it never saw together.
    """
    tokenizer = read_json("tokenizer.json")
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    ids = tokenizer["model"]["vocab"] | special
    tokens = sorted(ids, key=ids.__getitem__)
    if len(tokens) != config["vocab_size"]:
        message = f"{len(tokens)} tokens for a vocabulary of {config['vocab_size']}"
        raise ValueError(message)

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    # The model has no beginning-of-sequence token. Without one named here llama.cpp would take
    # token 11, an ordinary letter; without the flag it could put that before every prompt.
    writer.add_bos_token_id(special["<|im_start|>"])
    writer.add_add_bos_token(value=False)
    writer.add_chat_template((MODEL_FOLDER / "chat_template.jinja").read_text(encoding="utf-8"))


def add_weights(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """Copy the tensors under their GGUF names: matrices in half precision, norms in single."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {
        "q_proj": config["num_attention_heads"],
        "k_proj": config["num_key_value_heads"],
    }
    for name, stored in load_file(MODEL_FOLDER / "model.safetensors").items():
        tensor = stored
        for projection, count in heads.items():
            if projection in name:
                tensor = interleave_rotary_halves(tensor, count)
        new_name = names.get_name(name, try_suffixes=(".weight",))
        if new_name is None:
            message = f"GGUF has no name for {name}"
            raise ValueError(message)
        precision = np.float16 if tensor.ndim > 1 else np.float32
        writer.add_tensor(new_name, np.ascontiguousarray(tensor, dtype=precision))


def interleave_rotary_halves(weight: NDArray[np.float16], heads: int) -> NDArray[np.float16]:
    """Reorder the rows of a query or key projection (heads x head_dim, hidden).

    Hugging Face rotates row i of a head together with row i + head_dim / 2; llama.cpp rotates
    neighbours.
    """
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


if __name__ == "__main__":
    main()
