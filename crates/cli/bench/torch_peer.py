"""PyTorch and transformers as a peer of `latent bench`, f32 on two threads, or on a device:

    latent bench --model FOLDER --peer "PyTorch=python3 crates/cli/bench/torch_peer.py FOLDER [cuda]"

A line of JSON each way; crates/cli/src/bench/process.rs says what they hold.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(2)
folder, device = (sys.argv[1:] + ["cpu"])[:2]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device).eval()


@torch.inference_mode()
def decode(prompt, lanes, steps):
    begun = time.perf_counter()
    tokens = torch.tensor([prompt] * lanes, device=device)
    out = model(input_ids=tokens, use_cache=True, logits_to_keep=1)
    chosen = []
    started = begun
    for step in range(steps + 1):
        tokens = out.logits[:, -1].argmax(-1, keepdim=True)
        chosen.append(int(tokens[0, 0]))
        if step == 0:
            started = time.perf_counter()
        if step < steps:
            out = model(input_ids=tokens, past_key_values=out.past_key_values, use_cache=True)
    if device != "cpu":
        torch.accelerator.synchronize()
    seconds = (time.perf_counter() - started) / steps
    return {"first_token": started - begun, "seconds": seconds, "tokens": chosen}


for line in sys.stdin:
    print(json.dumps(decode(**json.loads(line))), flush=True)
