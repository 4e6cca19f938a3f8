"""How fast the trainer is beside PyTorch: the same model, the same optimisers, f32, one thread each.

    pip install torch transformers
    cargo build --release --workspace --bin latent
    python crates/train/bench_pytorch.py target/release/latent

In rounds, one after the other: `latent train` on word problems in words (configs/arithmetic-cot.toml,
from random weights), whose log says how many positions it computes a second, padding among them; and
PyTorch on batches of as many sequences of as many positions, forward, backward and update. Both use Muon
for the matrices of layers, and Adam for the rest. Prints a line of JSON.
"""

import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "public/models/arithmetic-cot"
ROUNDS = 3
SECONDS = 25
# Problems of a batch, in the config.
SEQUENCES = 64
PACE = re.compile(r"step (\d+) .*· (\d+) s · (\d+) tokens/s")


def train(latent: pathlib.Path) -> tuple[float, int]:
    """Positions a second of `latent train`, and those of a batch."""
    name = "bench-pytorch"
    run = ROOT / "runs" / name
    shutil.rmtree(run, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "config.toml"
        base = ROOT / "crates/train/configs/arithmetic-cot.toml"
        config.write_text(f'extends = "{base}"\nname = "{name}"\n')
        command = [latent, "train", str(config)]
        program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            program.wait(SECONDS)
            raise SystemExit(f"latent train ended: {program.stderr.read().decode()}")
        except subprocess.TimeoutExpired:
            program.kill()
    lines = PACE.findall((run / "log.txt").read_text())
    if not lines:
        raise SystemExit(f"expected a line of the log in {SECONDS} s, found none")
    shutil.rmtree(run)
    steps, seconds, _ = map(int, lines[-1])
    rate = statistics.fmean(int(line[2]) for line in lines)
    return rate, round(rate * seconds / steps)


def optimisers(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    of_layers = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    is_of_layers = {id(p) for p in of_layers}
    rest = [p for p in model.parameters() if id(p) not in is_of_layers]
    return [torch.optim.Muon(of_layers, lr=1e-3), torch.optim.AdamW(rest, lr=1e-3)]


def train_in_pytorch(n_positions: int) -> float:
    """Positions a second of PyTorch, on batches of as many positions."""
    config = transformers.AutoConfig.from_pretrained(MODEL)
    model = transformers.AutoModelForCausalLM.from_config(config).float().train()
    updates = optimisers(model)
    length = round(n_positions / SEQUENCES)
    n_steps, started = 0, 0.0
    while n_steps < 2 or time.perf_counter() - started < SECONDS:
        # The first step warms up.
        if n_steps == 1:
            started = time.perf_counter()
        tokens = torch.randint(config.vocab_size, (SEQUENCES, length))
        model(input_ids=tokens, labels=tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for update in updates:
            update.step()
            update.zero_grad()
        n_steps += 1
    return (n_steps - 1) * SEQUENCES * length / (time.perf_counter() - started)


def main() -> None:
    latent = pathlib.Path(sys.argv[1]).resolve()
    torch.set_num_threads(1)
    rounds = []
    for _ in range(ROUNDS):
        ours, n_positions = train(latent)
        rounds.append((ours, train_in_pytorch(n_positions), n_positions))
    print(
        json.dumps(
            {
                "positions_of_a_batch": rounds[-1][2],
                "latent_positions_per_second": spread([ours for ours, _, _ in rounds]),
                "pytorch_positions_per_second": spread([theirs for _, theirs, _ in rounds]),
                "ratio": spread([ours / theirs for ours, theirs, _ in rounds]),
                "torch": torch.__version__,
            }
        )
    )


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


if __name__ == "__main__":
    main()
