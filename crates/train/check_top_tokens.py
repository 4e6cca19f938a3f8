"""Compares what Python `transformers` says of a text with what both engines say.

    pip install torch transformers
    cargo run --release -p latent-cli -- check --model smollm2 --text text.txt --json > found.json
    python crates/train/check_top_tokens.py smollm2 found.json

The JSON file holds the tokens that were read, each engine's top token after each of them with its
margin, and each engine's greedy words after a part of the text. Prints the share of positions where
the top tokens are those of `transformers` in f32, the margins where they part, and how far the greedy
words go together. Exit code 1 if a share is below --least.
"""

import argparse
import json
import pathlib
import sys

import torch
import transformers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("found", type=pathlib.Path)
    parser.add_argument("--least", type=float, default=0.99)
    arguments = parser.parse_args()
    found = json.loads(arguments.found.read_text())

    model = transformers.AutoModelForCausalLM.from_pretrained(
        arguments.folder, torch_dtype=torch.float32
    )
    ids = torch.tensor([found["ids"]])
    with torch.no_grad():
        logits = model(ids).logits[0]
    first, second = logits.topk(2).values.T
    top, margins = logits.argmax(-1).tolist(), (first - second).tolist()
    passes = True
    print(f"{found['model']} in {found['weights']}, {len(top)} tokens")
    for engine in ("gpu", "reference"):
        parted = [
            (position, expected, margin, said)
            for position, (expected, margin, said) in enumerate(zip(top, margins, found[engine]))
            if said["id"] != expected
        ]
        share = 1 - len(parted) / len(top)
        passes &= share >= arguments.least
        print(f"{engine}: {share:.4f} of the top tokens are those of transformers")
        for position, expected, margin, said in parted:
            print(
                f"  position {position}: {said['id']} by {said['margin']:.4f}, "
                f"transformers {expected} by {margin:.4f}"
            )

    n_words = len(found["greedy_reference"])
    prompt = ids[:, : found["n_prompt"]]
    words, margins = [], []
    cache = None
    step = prompt
    with torch.no_grad():
        for _ in range(n_words):
            output = model(step, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            best = output.logits[0, -1].topk(2)
            words.append(best.indices[0].item())
            margins.append((best.values[0] - best.values[1]).item())
            step = best.indices[:1][None]
    for engine in ("gpu", "reference"):
        pairs = enumerate(zip(words, found[f"greedy_{engine}"]))
        parts_at = next((index for index, (a, b) in pairs if a != b), None)
        if parts_at is None:
            print(f"{engine}: all {n_words} greedy words are those of transformers")
        else:
            print(
                f"{engine}: greedy words part at {parts_at} of {n_words}, "
                f"where transformers chose by {margins[parts_at]:.4f}"
            )
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
