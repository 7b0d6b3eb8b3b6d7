"""The encoder on packed batches against the same layers on padded ones, in useful tokens a second.

One run, the same weights and rows, forward and backward, CPU time, median of interleaved rounds; both must give the
same numbers. Padded means what is usual: all rows to the longest of the batch, all episodes to the longest, with a
mask. Lengths are drawn from what was measured on the rows of generated episodes (72 episodes, 8,000 pieces).
`--device cuda` measures on a GPU, with wall time, peak memory, and the share of what a large matrix product reaches
there. Usage: python -m benchmarks.network.encoder [--quick] [--device cuda]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rlstir_core.arrays import Array
from rlstir_core.investigator.network.encoder import InputWidths, LogEncoder
from rlstir_core.investigator.network.packing import Sequences, sequences
from rlstir_core.investigator.network.sage import Edges, batch_graphs
from rlstir_core.investigator.network.sizes import flops
from rlstir_core.investigator.reading.batches import Batch
from rlstir_core.learning.presets import Investigator, preset

BAR, BAR_EQUAL = 1.5, 1e-4
# every fortieth part of the measured lengths, in tokens, cut at 64
_LENGTHS = (
    3,
    8,
    8,
    8,
    8,
    13,
    15,
    19,
    21,
    21,
    23,
    24,
    26,
    26,
    26,
    27,
    28,
    29,
    31,
    32,
    32,
    34,
    34,
    34,
    35,
    36,
    36,
    38,
    38,
    40,
    41,
    43,
    45,
    47,
    50,
    52,
    54,
    58,
    62,
    64,
    64,
)
_EPISODE_ROWS = (211, 256)
_PIECES = 8_000
_WIDTHS = InputWidths(row=8, nodes=(3, 5, 4))
_CPU = {  # sizes, and episodes of a batch
    "width 48, 1 + 1 layers": (Investigator(row_tokens=64, row_layers=1, dropout=0.0), 2),
    "width 256, 2 + 1 layers": (Investigator(row_tokens=64, width=256, row_layers=2, heads=4, dropout=0.0), 1),
}


def make_batch(episodes: int, seed: int = 0) -> Batch:
    """Episodes of rows as long as measured, every row another; the graph is of one node of each kind."""
    rng = np.random.default_rng(seed)
    rows = [int(rng.integers(_EPISODE_ROWS[0], _EPISODE_ROWS[1] + 1)) for _ in range(episodes)]
    n_X = sum(rows)
    lengths = np.sort(np.interp(rng.random(n_X), np.linspace(0, 1, len(_LENGTHS)), _LENGTHS).round().astype(int))
    return Batch(
        tokens_N=torch.from_numpy(rng.integers(3, _PIECES, lengths.sum())),
        texts=sequences(lengths.tolist()),
        text_X=torch.from_numpy(rng.permutation(n_X)),
        text_P=torch.zeros(1, dtype=torch.int64),
        episodes=sequences(rows),
        aux_XA=torch.zeros(n_X, _WIDTHS.row),
        look_X=torch.zeros(n_X),
        process_X=torch.full((n_X,), -1),
        graph=batch_graphs([Edges((1, 1, 1), {})], [one_node_a_kind(_WIDTHS)]),
        prior_EK=torch.zeros(episodes, 1),
    )


def one_node_a_kind(widths: InputWidths) -> tuple[Array, Array, Array]:
    """Features of a graph with a process, a file and a socket."""
    process, file, sock = (np.zeros((1, n), np.float32) for n in widths.nodes)
    return process, file, sock


def _layer(layer: Any, x_BTD: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    B, T, D = x_BTD.shape
    q, k, v = layer.qkv(layer.norm_attention(x_BTD)).view(B, T, 3, layer.heads, -1).permute(2, 0, 3, 1, 4)
    said = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask_BT[:, None, None, :])
    x_BTD = x_BTD + layer.out(said.transpose(1, 2).reshape(B, T, D))
    return x_BTD + layer.forward_net(layer.norm_forward(x_BTD))


class Padded:
    """The peer: the encoder's own layers on padded arrays."""

    def __init__(self, network: LogEncoder, batch: Batch) -> None:
        self.network, self.batch = network, batch
        parts = torch.split(batch.tokens_N, batch.texts.offsets_S1.diff().tolist())
        self.tokens_RT = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        self.mask_RT = self._mask(batch.texts)
        self.mask_EM = self._mask(batch.episodes)
        self.place_X = self.mask_EM.flatten().nonzero()[:, 0]

    @staticmethod
    def _mask(of: Sequences) -> torch.Tensor:
        lengths = of.offsets_S1.diff()
        return torch.arange(of.longest, device=lengths.device) < lengths[:, None]

    def __call__(self) -> torch.Tensor:
        network, batch = self.network, self.batch
        x_RTD = network.pieces(self.tokens_RT) + network.place_in_text[: self.tokens_RT.shape[1]]
        for layer in network.row_layers:
            x_RTD = _layer(layer, x_RTD, self.mask_RT)
        x_RTD = network.row_norm(x_RTD) * self.mask_RT[..., None]
        x_RD = x_RTD.sum(dim=1) / self.mask_RT.sum(dim=1, keepdim=True)
        x_XD = x_RD[batch.text_X] + network.numbers(batch.aux_XA)
        E, M = self.mask_EM.shape
        x_EMD = x_XD.new_zeros(E * M, x_XD.shape[1]).index_copy(0, self.place_X, x_XD).view(E, M, -1)
        for layer in network.episode_layers:
            x_EMD = _layer(layer, x_EMD, self.mask_EM)
        x_XD = network.episode_norm(x_EMD).flatten(0, 1)[self.place_X]
        none_PG = x_XD.new_zeros(1, network.fuse.joined[1])
        return network.fuse(x_XD, none_PG, batch.process_X)


def _clock(once: Callable[[], torch.Tensor], cuda: bool) -> float:
    if cuda:
        torch.cuda.synchronize()
    clock = time.perf_counter if cuda else time.process_time
    start = clock()
    once().square().sum().backward()
    if cuda:
        torch.cuda.synchronize()
    return clock() - start


def measure(name: str, numbers: Investigator, episodes: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Useful tokens a second, packed and padded, of one size of network."""
    torch.manual_seed(0)
    cuda = device.type == "cuda"
    batch = make_batch(episodes).to(device)
    network = LogEncoder(numbers, _PIECES, _WIDTHS).to(device)
    padded = Padded(network, batch)

    def inside(once: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        def run() -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
                return once()

        return run

    ways = {"packed": inside(lambda: network(batch)), "padded": inside(padded)}
    with torch.no_grad():
        apart = float((network(batch) - padded()).abs().max())
    times: dict[str, list[float]] = {way: [] for way in ways}
    peaks = dict.fromkeys(ways, 0)
    for _ in range(rounds):
        for way, once in ways.items():
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            times[way].append(_clock(once, cuda))
            peaks[way] = torch.cuda.max_memory_allocated() if cuda else 0
    n = batch.texts.n_tokens
    median = {way: statistics.median(values[1:]) for way, values in times.items()}
    found = {
        "network": name,
        "useful_tokens": n,
        "padded_tokens": padded.tokens_RT.numel(),
        "tokens_per_s": {way: round(n / each) for way, each in median.items()},
        "speedup": round(median["padded"] / median["packed"], 2),
        "max_abs_difference": apart,
    }
    if cuda:
        reached = 3 * flops(numbers, batch.texts.groups, batch.episodes.groups) / median["packed"]
        found |= {"peak_gib": {way: round(peak / 2**30, 2) for way, peak in peaks.items()}}
        found |= {"device": torch.cuda.get_device_name(), "share_of_matrix_product": round(reached / _fastest(), 3)}
    return found


def _fastest() -> float:
    """Operations a second of a large bf16 matrix product on this GPU."""
    x = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    took = []
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        x @ x
        torch.cuda.synchronize()
        took.append(time.perf_counter() - start)
    return float(2 * 8192**3 / min(took))


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="the encoder: packed and padded batches")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    device = torch.device(args.device)
    if device.type == "cuda":
        sizes = {name: preset(name, ["investigator.dropout=0"]).investigator for name in ("rtx4060", "rtx3090x2")}
        found = [measure(name, numbers, 4, 6, device) for name, numbers in sizes.items()]
    else:
        found = [measure(name, *size, 4 if args.quick else 9, device) for name, size in _CPU.items()]
    result = {
        "benchmark": "encoder",
        "networks": found,
        "bars": {"speedup": BAR, "max_abs_difference": BAR_EQUAL},
        "passed": all(each["speedup"] >= BAR and each["max_abs_difference"] <= BAR_EQUAL for each in found),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
