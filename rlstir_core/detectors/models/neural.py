"""Neural detectors: a network with its standardiser, trained by the one loop, kept as safetensors.

What does not belong here: the networks, a file each, and the loop (`learning/loop.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rlstir_core.atomic import replacing
from rlstir_core.detectors.blocks import Blocks, one_block
from rlstir_core.detectors.inputs import Inputs, SequenceInputs, SummaryInputs
from rlstir_core.detectors.models.base import Detector, TrainingFacts
from rlstir_core.errors import CheckpointError
from rlstir_core.learning.devices import device, resident_bytes
from rlstir_core.learning.distort import Distortion
from rlstir_core.learning.examples import Batches, CacheBudget, ExampleBlock, Examples
from rlstir_core.learning.loop import predict, train
from rlstir_core.learning.memory import training_bytes
from rlstir_core.learning.presets import Net, Preset
from rlstir_core.learning.scores import class_weights
from rlstir_core.learning.shapes import shapes_alone
from rlstir_core.learning.standardise import Standardiser, fit_standardiser
from rlstir_core.progress import Tell
from rlstir_core.text import printable

# N windows, F columns, T bins, D input rows, L bins of a window, K phases, B windows of a batch
_WEIGHT = "network."
_SCORED = 512  # windows at a time
_COUNTED = 2  # windows on which activations are counted
_Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Network = Callable[[int, int, Net], nn.Module]  # inputs, phases, sizes


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `load` needs beside the weights."""

    n_inputs: _Size
    n_phases: _Size
    net: Net


class NeuralDetector(Detector):
    """A network with its standardiser. `kind` is "summary" or "sequence": which inputs it takes."""

    suffix: ClassVar[str] = ".safetensors"

    def __init__(self, name: str, kind: str, network: Network) -> None:
        self.name, self.kind, self.build = name, kind, network
        self.network: torch.nn.Module | None = None
        self.standardiser: Standardiser | None = None
        self.settings: dict[str, Any] = {}
        self.room: CacheBudget | None = None  # on a device with memory of its own: what inputs may take of it

    def fit(
        self, train_views: Sequence[Blocks], validation: Sequence[Blocks], n_phases: int, preset: Preset, tell: Tell
    ) -> TrainingFacts:
        """See `Detector.fit`."""
        training, on = preset.train, device(preset.train.device)
        torch.manual_seed(preset.seed)
        free = resident_bytes(on)
        self.room = None if free is None else CacheBudget(free)
        self.standardiser = fit_standardiser(_raw(inputs) for view in train_views for inputs in view)
        weights_K = class_weights(np.sum([view.count_K for view in train_views], axis=0), training.max_class_weight)
        examples = [self._examples(view, on, self._distortion(view, on)) for view in train_views]
        held = [self._examples(view, on) for view in validation]
        one_B = next(held[0].in_order(_COUNTED, on))
        n_inputs = one_B.shape[-1]
        self.settings = {
            "n_inputs": n_inputs,
            "n_phases": n_phases,
            "net": {name: getattr(preset.net, name) for name in Net.__dataclass_fields__},
        }
        self.network = self.build(n_inputs, n_phases, preset.net).to(on)
        step_bytes = training_bytes(self.network, one_B, training.batch)
        result = train(self.network, examples, held, weights_K, training, preset.seed, tell)
        return TrainingFacts(
            n_train_windows=sum(len(view.label_N) for view in examples),
            n_validation_windows=sum(len(view.label_N) for view in held),
            n_left_out_windows=sum(view.n_undrawn for view in train_views),
            unit="epochs",
            done=result.epochs,
            best=result.best_epoch,
            best_validation_macro_f1=result.best_macro_f1,
            n_parameters=sum(parameter.numel() for parameter in self.network.parameters()),
            class_weights=tuple(round(float(weight), 4) for weight in weights_K),
            step_bytes=step_bytes,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """See `Detector.shape`."""
        assert self.standardiser is not None
        return len(self.standardiser.mean_F), int(self.settings["n_phases"])

    def predict_proba(self, inputs: Inputs) -> NDArray[np.float64]:
        """See `Detector.predict_proba`."""
        assert self.network is not None
        if not len(inputs.windows.label_N):
            return np.empty((0, self.settings["n_phases"]))
        on = next(self.network.parameters()).device
        examples = self._examples(one_block(inputs, self.settings["n_phases"]), on)
        proba_NK = predict(self.network, self._checked(examples.in_order(_SCORED, on)))
        if not np.isfinite(proba_NK).all():
            raise CheckpointError(f"a checkpoint of {self.name} has weights too large to compute with; train it again")
        return proba_NK

    def save(self, path: Path) -> dict[str, Any]:
        """See `Detector.save`."""
        assert self.network is not None and self.standardiser is not None
        tensors = {
            _WEIGHT + name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()
        }
        tensors["standardiser.mean"] = torch.as_tensor(self.standardiser.mean_F)
        tensors["standardiser.spread"] = torch.as_tensor(self.standardiser.spread_F)
        with replacing(path) as temporary:
            save_file(tensors, temporary)
        return self.settings

    def load(self, path: Path, settings: dict[str, Any]) -> None:
        """See `Detector.load`."""
        try:
            checked = msgspec.convert(settings, _Settings)
            tensors = load_file(path)
            with shapes_alone():  # takes no memory, whatever sizes the settings claim
                network = self.build(checked.n_inputs, checked.n_phases, checked.net)
            mean, spread = tensors.pop("standardiser.mean"), tensors.pop("standardiser.spread")
            if strays := [name for name in tensors if not name.startswith(_WEIGHT)]:
                raise ValueError(f"{len(strays)} tensors that are no weight of the network")
            weights = {name.removeprefix(_WEIGHT): tensor for name, tensor in tensors.items()}
            values = (*weights.values(), mean, spread)
            if not all(tensor.dtype == torch.float32 and torch.isfinite(tensor).all() for tensor in values):
                raise CheckpointError(f"{path} holds weights that are not finite float32; train the checkpoint again")
            network.load_state_dict(weights, assign=True)
        except CheckpointError:
            raise
        except (SafetensorError, msgspec.ValidationError, KeyError, TypeError, ValueError, RuntimeError) as error:
            words = printable(" ".join(str(error).split()))[:200]
            raise CheckpointError(
                f"{path} does not fit its checkpoint ({type(error).__name__}: {words}); train it again"
            ) from None
        n_inputs, n_columns = checked.n_inputs, mean.numel()
        fits = n_inputs == n_columns if self.kind == "summary" else n_columns < n_inputs <= 2 * n_columns
        if not fits or mean.shape != spread.shape or mean.ndim != 1 or not (spread > 0).all():
            raise CheckpointError(f"{path} has a standardiser that does not fit its network; train it again")
        self.network, self.settings = network.to(device("auto")), settings
        self.standardiser = Standardiser(mean.numpy(), spread.numpy())

    def _checked(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        for x_B in batches:
            if x_B.shape[-1] != self.settings["n_inputs"]:
                wanted = self.settings["n_inputs"]
                raise CheckpointError(
                    f"a checkpoint of {self.name} takes {wanted} inputs, not {x_B.shape[-1]}; train it again"
                )
            yield x_B

    def _examples(self, view: Blocks, on: torch.device, change: Distortion | None = None) -> Examples:
        blocks = [ExampleBlock(label_N=view.labels(k), open=_opener(self, view, k, on)) for k in range(len(view))]
        return Examples(blocks, change)

    def _distortion(self, view: Blocks, on: torch.device) -> Distortion | None:
        if view.draws is None:
            return None
        assert self.standardiser is not None
        return Distortion(view.draws, self.standardiser.spread_F[: len(view.draws.log_C)], on)

    def batches(self, inputs: Inputs, on: torch.device) -> tuple[Batches, int]:
        """Standardised inputs on the device as batches, and their size in bytes."""
        assert self.standardiser is not None
        if isinstance(inputs, SummaryInputs):
            x_NF = torch.as_tensor(self.standardiser(inputs.x_NF), device=on)
            return lambda places_B: x_NF.index_select(0, places_B), x_NF.nbytes
        return _sequence_batches(inputs, self.standardiser, on)


def _opener(detector: NeuralDetector, view: Blocks, k: int, on: torch.device) -> Callable[[], Batches]:
    """Makes the batches of block `k`; they stay on the device where its memory, or the budget, allows it."""
    held: list[Batches] = []

    def opened() -> Batches:
        if held:
            return held[0]
        batches, n_bytes = detector.batches(view.inputs(k), on)
        room = detector.room or view.budget
        if room is not None and room.take(n_bytes):
            held.append(batches)
        return batches

    return opened


def _raw(inputs: Inputs) -> NDArray[np.float32]:
    return inputs.x_NF if isinstance(inputs, SummaryInputs) else inputs.series_TD


def _sequence_batches(inputs: SequenceInputs, standardiser: Standardiser, on: torch.device) -> tuple[Batches, int]:
    """Rows of D standardised values with their mask beside them, gathered from one series in memory."""
    known_TD = np.isfinite(inputs.series_TD).astype(np.float32)
    joined = np.concatenate([standardiser(inputs.series_TD), known_TD[:, : inputs.n_levels]], axis=1)
    series_TD = torch.as_tensor(joined, device=on)
    start_N = torch.as_tensor(inputs.start_N, device=on)
    step_L = torch.arange(inputs.length, device=on)

    def gather(places_B: Tensor) -> Tensor:
        index_BL = start_N[places_B][:, None] + step_L
        return series_TD.index_select(0, index_BL.reshape(-1)).reshape(len(places_B), inputs.length, -1)

    return gather, series_TD.nbytes
