"""A GGUF file as a folder that transformers can load: weights in bfloat16, configuration, tokenizer, chat template.

Training starts from the very weights that are served: the quantised numbers, written out. It reads the `gguf`
library's own dequantisation, which is exact and takes about three seconds where transformers' GGUF loader takes twenty-five.
It knows only the "llama" architecture with a byte-level BPE tokenizer, and refuses others.

    write_transformers_folder(Path("model.gguf"), Path("weights"))
"""

import json
from pathlib import Path
from typing import Any

from local_api.engines.lora.llama_gguf import from_gguf_rows, heads_of, hugging_face_names
from local_api.engines.protocols import EngineError

# What splits text before the merges, by the name that GGUF gives it. Only what a test has compared with llama.cpp is here.
DIGITS_ALONE = {"smollm"}


def write_transformers_folder(source: Path, folder: Path) -> None:
    """Write `folder` (which exists). Raises EngineError for a file of another architecture or tokenizer."""
    import gguf

    reader = gguf.GGUFReader(source)
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    _refuse_others(source, fields)
    config = _config(fields)
    _write_weights(reader.tensors, config, folder / "model.safetensors")
    _tokenizer(fields).save(str(folder / "tokenizer.json"))
    tokens = fields["tokenizer.ggml.tokens"]
    special = {
        "bos_token": tokens[config["bos_token_id"]],
        "eos_token": tokens[config["eos_token_id"]],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=1), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(fields["tokenizer.chat_template"], encoding="utf-8")


def _refuse_others(source: Path, fields: dict[str, Any]) -> None:
    met = (fields.get("general.architecture"), fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre"))
    if met[0] != "llama" or met[1] != "gpt2" or met[2] not in DIGITS_ALONE:
        raise EngineError(f"{source}: architecture, tokenizer and splitting are {met}; only ('llama', 'gpt2', 'smollm') is read")


def _config(fields: dict[str, Any]) -> dict[str, Any]:
    """transformers' config.json from GGUF's keys."""
    llama = {name.removeprefix("llama."): value for name, value in fields.items() if name.startswith("llama.")}
    heads = llama["attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.eos_token_id"],
        "hidden_act": "silu",
        "hidden_size": llama["embedding_length"],
        "intermediate_size": llama["feed_forward_length"],
        "num_hidden_layers": llama["block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": llama["attention.head_count_kv"],
        "head_dim": llama["embedding_length"] // heads,
        "max_position_embeddings": llama["context_length"],
        "rms_norm_eps": llama["attention.layer_norm_rms_epsilon"],
        "rope_parameters": {"rope_theta": llama["rope.freq_base"], "rope_type": "default"},
        "vocab_size": llama["vocab_size"],
        "tie_word_embeddings": True,  # set right by _write_weights where the file has an output matrix of its own
        "dtype": "bfloat16",
    }


def _write_weights(tensors: Any, config: dict[str, Any], path: Path) -> None:
    import gguf
    import torch
    from safetensors.torch import save_file

    names = hugging_face_names(config["num_hidden_layers"])
    weights = {}
    for tensor in tensors:
        if tensor.name not in names:
            raise EngineError(f"{path}: tensor {tensor.name} is none of the llama architecture")
        matrix = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        kind = tensor.name.split(".")[-2]
        heads = heads_of(kind, config["num_attention_heads"], config["num_key_value_heads"])
        if heads:
            matrix = from_gguf_rows(matrix, heads)
        weights[names[tensor.name]] = torch.from_numpy(matrix.copy()).to(torch.bfloat16).contiguous()
    config["tie_word_embeddings"] = "lm_head.weight" not in weights
    save_file(weights, path, metadata={"format": "pt"})


def _tokenizer(fields: dict[str, Any]) -> Any:
    """The `tokenizers` object: byte-level BPE, each digit on its own, special tokens found wherever they are written."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, fields["tokenizer.ggml.token_type"], strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer
