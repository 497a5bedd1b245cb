"""A transformers folder of a Llama-family model as a GGUF file that llama.cpp serves, in 16-bit floats.

The way back from `prepare`, for base models other than the default. It knows the "llama" architecture with a byte-level BPE
tokenizer, and refuses others: a model that is served with a wrong tokenizer or rotation would answer, and answer badly.
How text is split before the merges is not written, as prompts reach llama.cpp in token ids.

    write_gguf(Path("SmolLM2-360M-Instruct"), Path("model.gguf"))
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_api.engines.lora.adapters import read_config
from local_api.engines.lora.llama_gguf import gguf_name, heads_of, to_gguf_rows
from local_api.engines.protocols import EngineError

if TYPE_CHECKING:
    import torch

_NORMAL, _CONTROL = 1, 3  # kinds of tokens


def write_gguf(folder: Path, path: Path) -> None:
    """EngineError for a model that cannot be written so that llama.cpp would compute the same."""
    import gguf

    config, tokenizer = read_config(folder), _read(folder / "tokenizer.json")
    _refuse_others(folder, config, tokenizer)
    writer = gguf.GGUFWriter(path, "llama")
    _write_shape(writer, config)
    _write_tokenizer(writer, config, tokenizer)
    for name, matrix in _tensors(folder, config):
        writer.add_tensor(name, matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _refuse_others(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    if config.get("model_type") != "llama":
        raise EngineError(f"{folder}: model_type is {config.get('model_type')!r}; only models of the type 'llama' can be served")
    for option in ("attention_bias", "mlp_bias"):
        if config.get(option):
            raise EngineError(f"{folder}: {option} is set in config.json, which this engine does not convert")
    if tokenizer["model"].get("type") != "BPE" or "ByteLevel" not in json.dumps(tokenizer.get("decoder")):
        raise EngineError(f"{folder}: the tokenizer is no byte-level BPE, which is the only kind that this engine converts")


def _write_shape(writer: Any, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or config
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _write_tokenizer(writer: Any, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    known = {number: token for token, number in tokenizer["model"]["vocab"].items()} | added
    size = config["vocab_size"]  # the matrix may have rows that no token uses
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([known.get(number, f"<unused {number}>") for number in range(size)])
    writer.add_token_types([_CONTROL if number in added or number not in known else _NORMAL for number in range(size)])
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    )
    ends = config["eos_token_id"]
    writer.add_eos_token_id(ends[0] if isinstance(ends, list) else ends)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_add_bos_token(False)


def _tensors(folder: Path, config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Matrices in 16 bits, vectors in 32, as llama.cpp wants them."""
    import torch
    from safetensors.torch import load_file

    for shard in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(shard).items():
            if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                continue
            kind = name.split(".")[-2]
            heads = heads_of(kind, config["num_attention_heads"], config["num_key_value_heads"])
            matrix = to_gguf_rows(tensor, heads) if heads else tensor
            yield gguf_name(name), matrix.to(torch.float16 if matrix.dim() > 1 else torch.float32).contiguous().numpy()
    factors = _rotation_factors(folder)
    if (factors != 1).any():
        yield "rope_freqs.weight", factors.numpy()


def _rotation_factors(folder: Path) -> "torch.Tensor":
    """By how much the model's own scaling slows each rotation (Llama 3), as transformers computes it. EngineError for kinds
    of scaling that also change the attention, which llama.cpp would not be told."""
    from transformers import AutoConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = AutoConfig.from_pretrained(folder)
    kind = config.rope_parameters["rope_type"]
    if kind not in ("default", "llama3"):
        raise EngineError(f"{folder}: rope_type is {kind!r}; only 'default' and 'llama3' can be converted")
    scaled = LlamaRotaryEmbedding(config).inv_freq
    config.rope_parameters = {"rope_type": "default", "rope_theta": config.rope_parameters["rope_theta"]}
    return LlamaRotaryEmbedding(config).inv_freq / scaled


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{path} cannot be read ({error}): a model needs its tokenizer.json") from error
