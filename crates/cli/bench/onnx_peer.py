"""onnxruntime as a peer of `latent bench`, f32 on two threads:

    latent bench --model FOLDER --peer "onnxruntime=python3 crates/cli/bench/onnx_peer.py FOLDER"

The graph is a Llama's forward pass with its keys and values as inputs and outputs, exported by PyTorch
from the folder's weights. A line of JSON each way; crates/cli/src/bench/process.rs says what they hold.
"""

import json
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

torch.set_num_threads(2)


class Step(torch.nn.Module):
    """(B, S) tokens behind T cached positions to (B, V) logits of the last, and the grown cache
    (2 · layers, B, heads, T + S, head width)."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model.model, model.config
        self.head = model.lm_head
        half = self.config.head_dim // 2
        theta = self.config.rope_parameters["rope_theta"]
        frequencies = theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(torch.arange(1024, dtype=torch.float64), frequencies).float()
        self.register_buffer("cos", torch.cat([angles.cos()] * 2, dim=-1))
        self.register_buffer("sin", torch.cat([angles.sin()] * 2, dim=-1))

    def norm(self, norm, x):
        return norm.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)

    def turned(self, x, cos, sin):
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat([-second, first], dim=-1) * sin

    def forward(self, tokens, cache):
        config, lanes, new = self.config, tokens.shape[0], tokens.shape[1]
        known = cache.shape[3]
        cos, sin = self.cos[known : known + new], self.sin[known : known + new]
        sees = torch.ones(new, known + new).tril(diagonal=known).log()
        heads = lambda y, n: y.view(lanes, new, n, config.head_dim).transpose(1, 2)
        x, grown = self.model.embed_tokens(tokens), []
        for index, layer in enumerate(self.model.layers):
            n, of = self.norm(layer.input_layernorm, x), layer.self_attn
            q = self.turned(heads(of.q_proj(n), config.num_attention_heads), cos, sin)
            k = self.turned(heads(of.k_proj(n), config.num_key_value_heads), cos, sin)
            v = heads(of.v_proj(n), config.num_key_value_heads)
            k = torch.cat([cache[2 * index], k], dim=2)
            v = torch.cat([cache[2 * index + 1], v], dim=2)
            grown += [k, v]
            shared = config.num_attention_heads // config.num_key_value_heads
            if shared > 1:
                k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
            scores = q @ k.transpose(2, 3) * config.head_dim**-0.5 + sees
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(lanes, new, -1)
            x = x + of.o_proj(mixed)
            n, mlp = self.norm(layer.post_attention_layernorm, x), layer.mlp
            x = x + mlp.down_proj(F.silu(mlp.gate_proj(n)) * mlp.up_proj(n))
        return self.head(self.norm(self.model.norm, x[:, -1])), torch.stack(grown)


def session(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    config = model.config
    shape = [2 * config.num_hidden_layers, 2, config.num_key_value_heads, 5, config.head_dim]
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file, torch.inference_mode():
        torch.onnx.export(
            Step(model),
            (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(shape)),
            file.name,
            dynamo=False,
            input_names=["tokens", "cache"],
            output_names=["logits", "grown"],
            dynamic_axes={
                "tokens": {0: "lanes", 1: "new"},
                "cache": {1: "lanes", 3: "known"},
            },
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = 2, 1
        return onnxruntime.InferenceSession(file.name, options, ["CPUExecutionProvider"]), shape


run, cache_shape = session(sys.argv[1])


def decode(prompt, lanes, steps):
    begun = time.perf_counter()
    tokens = np.array([prompt] * lanes, dtype=np.int64)
    layers, _, heads, _, width = cache_shape
    cache = np.zeros((layers, lanes, heads, 0, width), dtype=np.float32)
    chosen, started = [], begun
    for step in range(steps + 1):
        logits, cache = run.run(None, {"tokens": tokens, "cache": cache})
        tokens = logits.argmax(-1, keepdims=True)
        chosen.append(int(tokens[0, 0]))
        if step == 0:
            started = time.perf_counter()
    seconds = (time.perf_counter() - started) / steps
    return {"first_token": started - begun, "seconds": seconds, "tokens": chosen}


for line in sys.stdin:
    print(json.dumps(decode(**json.loads(line))), flush=True)
