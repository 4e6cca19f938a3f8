"""Checks that Python `transformers`, or `peft` under an adapter, computes the logits of `latent`.

    pip install torch transformers peft
    cargo run --release -p latent-cli -- check --model public/models/prosqa-cot --logits > logits.json
    python crates/train/check_transformers.py public/models/prosqa-cot logits.json

    cargo run --release -p latent-cli -- check --model public/models/arithmetic-ccot --prompt "…" \
        --logits --under generator > logits.json
    python crates/train/check_transformers.py public/models/arithmetic-ccot logits.json \
        --adapter ccot/generator

The JSON file holds {"ids": [...], "logits": [[...], ...]}, one row of logits for each id, and
optionally {"text": "..."}, which the folder's tokenizer must turn into the same ids.
Exit code 1 if any logit differs by more than 1e-4, or, where that is more, by twice what `transformers`
itself differs by between f32 and f64.
"""

import argparse
import json
import math
import pathlib
import sys

import torch
import transformers

TOLERANCE = 1e-4


def computed(arguments: argparse.Namespace, ids: torch.Tensor, number: torch.dtype) -> torch.Tensor:
    """The logits [positions, vocabulary], computed in `number` from the file's f16 weights, as f64."""
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.folder, torch_dtype=number)
    if arguments.adapter is not None:
        import peft

        model = peft.PeftModel.from_pretrained(model, arguments.folder / arguments.adapter)
        model = model.eval().to(number)
    with torch.no_grad():
        return model(ids).logits[0].double()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("logits", type=pathlib.Path)
    parser.add_argument("--adapter", help="a folder of the folder, such as ccot/generator")
    arguments = parser.parse_args()
    expected = json.loads(arguments.logits.read_text())

    if "text" in expected:
        tokenizer_file = str(arguments.folder / "tokenizer.json")
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=tokenizer_file)
        ids = tokenizer(expected["text"], add_special_tokens=False)["input_ids"]
        if ids != expected["ids"]:
            print(f"the tokenizer gives {ids}, expected {expected['ids']}")
            return 1

    ids = torch.tensor([expected["ids"]])
    logits, exact = (computed(arguments, ids, number) for number in (torch.float32, torch.float64))
    rounding = (logits - exact).abs().max().item()
    # Numbers that overflow in f32 alone would allow for anything.
    tolerance = max(TOLERANCE, 2 * rounding) if math.isfinite(rounding) else TOLERANCE
    reference = torch.tensor(expected["logits"], dtype=torch.float64)
    if logits.shape != reference.shape:
        print(f"transformers gives {tuple(logits.shape)}, expected {tuple(reference.shape)}")
        return 1
    difference = (exact - reference).abs().max().item()
    agrees = difference <= tolerance  # False for NaN.
    verdict = "agree" if agrees else "DIFFER"
    print(
        f"{len(expected['ids'])} positions {verdict}: largest difference {difference:.2e}, "
        f"allowed {tolerance:.2e} (f32 against f64 in Python: {rounding:.2e})"
    )
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
