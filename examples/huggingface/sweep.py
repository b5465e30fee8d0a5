"""Which models of transformers break a graph, tiny and with random weights, and what `graphfix apply` makes of those.

    .venv/bin/python examples/huggingface/sweep.py                 # all base models: which run here, which break
    .venv/bin/python examples/huggingface/sweep.py --apply         # and graphfix on each that breaks (an hour)
    .venv/bin/python examples/huggingface/sweep.py pixtral aria_text --apply

No model is named in here: each is built from the configuration that transformers has for it, made small. Models that
do not come out of that (they want more than one kind of input, or other sizes) are left. In eval mode, first call.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import multiprocessing
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SMALL: dict[str, Any] = (
    dict.fromkeys("hidden_size d_model n_embd embed_dim embedding_size dim emb_dim moe_intermediate_size".split(), 16)
    | dict.fromkeys("num_hidden_layers num_layers n_layer n_layers encoder_layers decoder_layers".split(), 2)
    | dict.fromkeys("num_attention_heads n_head n_heads num_heads num_key_value_heads".split(), 2)
    | dict.fromkeys("encoder_attention_heads decoder_attention_heads num_experts_per_tok type_vocab_size".split(), 2)
    | dict.fromkeys("intermediate_size encoder_ffn_dim decoder_ffn_dim ffn_dim d_ff hidden_dim".split(), 32)
    | dict.fromkeys("max_position_embeddings n_positions".split(), 64)
    | dict.fromkeys("num_local_experts num_experts n_routed_experts num_conv_pos_embeddings".split(), 4)
    | dict.fromkeys("d_kv head_dim patch_size num_mel_bins".split(), 8)
    | dict.fromkeys("image_size max_source_positions max_target_positions".split(), 16)
    | {"vocab_size": 99, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_conv_pos_embedding_groups": 2}
    | {"conv_dim": (16, 16), "conv_stride": (2, 2), "conv_kernel": (3, 3)}
)
PARTS = ("text_config", "vision_config", "audio_config", "encoder", "decoder")
TARGETS = """import sys

import graphfix

sys.path.insert(0, {here!r})


@graphfix.target
def model():
    from sweep import calls

    for module, arguments in calls({key!r}):
        yield graphfix.Call(module, **arguments)
"""


def shrunk(config: Any, depth: int = 0) -> Any:
    """The configuration with small sizes, its parts too."""
    for name, value in SMALL.items():
        if isinstance(getattr(config, name, None), int | tuple | list) and not isinstance(getattr(config, name), bool):
            setattr(config, name, value)
    for part in (getattr(config, name, None) for name in PARTS):
        if depth < 2 and hasattr(part, "to_dict"):
            shrunk(part, depth + 1)
    return config


def calls(key: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A tiny model by its name in transformers, with the arguments of two calls: a batch of 2, and one of 4."""
    import torch
    from transformers import CONFIG_MAPPING, MODEL_MAPPING

    config = shrunk(CONFIG_MAPPING[key]())
    config._experts_implementation = "eager"
    torch.manual_seed(0)
    kind = MODEL_MAPPING[type(config)]
    model = (kind[0] if isinstance(kind, tuple) else kind)(config).eval().requires_grad_(False)
    ids = torch.randint(3, 99, (2, 8))
    inputs = {"pixel_values": (2, 3, 16, 16), "input_values": (2, 400), "input_features": (2, 8, 32)}
    name = model.main_input_name
    arguments = {name: torch.randn(inputs[name]) if name in inputs else ids}
    wanted = inspect.signature(model.forward).parameters
    if "attention_mask" in wanted and name == "input_ids":
        arguments["attention_mask"] = torch.tensor([[1] * 8, [1] * 6 + [0] * 2])
    if "decoder_input_ids" in wanted and getattr(config, "is_encoder_decoder", False):
        arguments["decoder_input_ids"] = ids[:, :5]
    yield model, arguments
    yield model, {name: torch.cat([value, value]) for name, value in arguments.items()}


def breaks_of(key: str, answer: Connection) -> None:
    """Send how many graph breaks a model has, None where it does not run."""
    import torch

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    try:
        model, arguments = next(calls(key))
        with torch.no_grad():
            model(**arguments)
            answer.send(torch._dynamo.explain(model)(**arguments).graph_break_count)
    except Exception:
        answer.send(None)


def looked_at(keys: list[str], seconds: float = 90) -> Iterator[tuple[str, int | None]]:
    """Each model that has a base model, and its breaks; each in a process of its own."""
    import torch
    from transformers import CONFIG_MAPPING, MODEL_MAPPING

    torch.set_num_threads(1)
    processes = multiprocessing.get_context("fork")
    for key in keys or list(CONFIG_MAPPING):
        if CONFIG_MAPPING[key] not in MODEL_MAPPING:
            continue
        mine, its = processes.Pipe()
        process = processes.Process(target=breaks_of, args=(key, its))
        process.start()
        yield key, mine.recv() if mine.poll(seconds) else None
        process.kill()
        process.join()


def applied(key: str) -> str:
    """What graphfix makes of a model: graphs and places before and after, and the rules it kept."""
    with tempfile.TemporaryDirectory() as folder:
        targets = Path(folder, "targets.py")
        targets.write_text(TARGETS.format(here=str(Path(__file__).parent), key=key))
        command = [sys.executable, "-m", "graphfix", "apply", str(targets), "--scope", "transformers"]
        command += ["--overlay", f"{folder}/overlay", "--backend", "aot_eager", "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        return f"no report: {done.stderr.strip().splitlines()[-1]}"
    (target,) = report["targets"]
    rules = ", ".join(sorted({fix["rule"] for fix in report["fixes"] if fix["status"] == "kept"}))
    left = "; ".join(f"{Path(site['path']).name}:{site['line']} {site['id']}" for site in target["sites"])
    before = target["before"] or {"graphs": target["graphs"], "sites": len(target["sites"])}
    after = target["after"] or before
    counts = f"{before['graphs']} → {after['graphs']} | {before['sites']} → {after['sites']}"
    return f"{counts} | {rules or '–'} | {left or '–'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names of configurations in transformers; all by default")
    parser.add_argument("--apply", action="store_true", help="run graphfix on those that break")
    chosen = parser.parse_args()
    ran, breaking = 0, list[str]()
    for key, breaks in looked_at(chosen.models):
        ran += breaks is not None
        if breaks:
            breaking.append(key)
        print(f"{key}: {'does not run here' if breaks is None else breaks}", file=sys.stderr, flush=True)
    print(f"{ran} models run, {len(breaking)} of them break: {', '.join(breaking)}\n")
    if chosen.apply:
        print("| model | graphs | places | kept rules | what stays |\n|---|---|---|---|---|")
        for key in breaking:
            print(f"| {key} | {applied(key)} |", flush=True)


if __name__ == "__main__":
    main()
