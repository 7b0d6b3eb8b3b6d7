"""The neural detectors: `mlp` on summary features, `cnn gru lstm transformer` on sequences.

What does not belong here: the networks (`networks.py`) and the loop (`training.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlstir_core.atomic import replacing
from rlstir_core.detectors.base import Detector, TrainingFacts, class_weights, clear
from rlstir_core.detectors.inputs import Inputs, SequenceInputs, SummaryInputs
from rlstir_core.detectors.networks import build
from rlstir_core.errors import CheckpointError
from rlstir_core.learning.loop import Batches, Fold, predict, train
from rlstir_core.learning.presets import Net, Preset
from rlstir_core.learning.standardise import Standardiser, fit_standardiser
from rlstir_core.progress import Tell
from rlstir_core.text import printable

# N windows, F columns, T bins, D input rows, L bins of a window, K phases, B windows of a batch
_WEIGHT = "network."
_Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `load` needs beside the weights."""

    n_inputs: _Size
    n_phases: _Size
    net: Net


class NeuralDetector(Detector):
    """A network with its standardiser."""

    suffix: ClassVar[str] = ".safetensors"

    def __init__(self) -> None:
        self.network: torch.nn.Module | None = None
        self.standardiser: Standardiser | None = None
        self.settings: dict[str, Any] = {}
        self.batch = 256

    def fit(
        self, train_views: Sequence[Inputs], validation: Sequence[Inputs], n_phases: int, preset: Preset, tell: Tell
    ) -> TrainingFacts:
        """See `Detector.fit`."""
        training, device = preset.training, _device(preset.training.device)
        torch.manual_seed(preset.seed)
        self.standardiser = fit_standardiser(np.concatenate([_raw(view) for view in train_views]))
        labels = [view.windows.label_N for view in train_views]
        weights_K = class_weights(np.concatenate(labels), n_phases, training.max_class_weight)
        folds = [self._fold(view, device, clear(view, training.min_purity)) for view in train_views]
        held = [self._fold(view, device) for view in validation]
        n_inputs = held[0].batch(np.arange(1)).shape[-1]
        self.settings = {
            "n_inputs": n_inputs,
            "n_phases": n_phases,
            "net": {name: getattr(preset.net, name) for name in Net.__dataclass_fields__},
        }
        self.network = build(self.name, n_inputs, n_phases, preset.net).to(device)
        result = train(self.network, folds, held, weights_K, training, preset.seed, tell)
        return TrainingFacts(
            n_train_windows=sum(len(fold.label_N) for fold in folds),
            n_validation_windows=sum(len(fold.label_N) for fold in held),
            rounds=result.rounds,
            best_round=result.best_round,
            best_validation_macro_f1=result.best_macro_f1,
            n_parameters=sum(parameter.numel() for parameter in self.network.parameters()),
            class_weights=tuple(round(float(weight), 4) for weight in weights_K),
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
        fold = self._fold(inputs, _device(next(self.network.parameters()).device.type))
        wanted, given = self.settings["n_inputs"], fold.batch(np.arange(1)).shape[-1]
        if given != wanted:
            raise CheckpointError(f"a checkpoint of {self.name} takes {wanted} inputs, not {given}; train it again")
        proba_NK = predict(self.network, fold, self.batch)
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
            said = msgspec.convert(settings, _Settings)
            tensors = load_file(path)
            with torch.device("meta"):  # takes no memory, whatever sizes the settings claim
                network = build(self.name, said.n_inputs, said.n_phases, said.net)
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
        n_inputs, n_columns = said.n_inputs, mean.numel()
        fits = n_inputs == n_columns if self.kind == "summary" else n_columns < n_inputs <= 2 * n_columns
        if not fits or mean.shape != spread.shape or mean.ndim != 1 or not (spread > 0).all():
            raise CheckpointError(f"{path} has a standardiser that does not fit its network; train it again")
        self.network, self.settings = network, settings
        self.standardiser = Standardiser(mean.numpy(), spread.numpy())

    def _fold(self, inputs: Inputs, device: torch.device, keep: NDArray[np.intp] | None = None) -> Fold:
        assert self.standardiser is not None
        label_N = inputs.windows.label_N
        batch = _batches(inputs, self.standardiser, device)
        if keep is None:
            return Fold(batch=batch, label_N=label_N)
        return Fold(batch=lambda places: batch(keep[places]), label_N=label_N[keep])


class MlpDetector(NeuralDetector):
    """Two hidden layers on summary features."""

    name: ClassVar[str] = "mlp"
    kind: ClassVar[str] = "summary"


class CnnDetector(NeuralDetector):
    """Dilated convolutions on sequences."""

    name: ClassVar[str] = "cnn"
    kind: ClassVar[str] = "sequence"


class GruDetector(NeuralDetector):
    """A GRU on sequences."""

    name: ClassVar[str] = "gru"
    kind: ClassVar[str] = "sequence"


class LstmDetector(NeuralDetector):
    """An LSTM on sequences."""

    name: ClassVar[str] = "lstm"
    kind: ClassVar[str] = "sequence"


class TransformerDetector(NeuralDetector):
    """A transformer encoder on sequences."""

    name: ClassVar[str] = "transformer"
    kind: ClassVar[str] = "sequence"


def _raw(inputs: Inputs) -> NDArray[np.float32]:
    return inputs.x_NF if isinstance(inputs, SummaryInputs) else inputs.series_TD


def _batches(inputs: Inputs, standardiser: Standardiser, device: torch.device) -> Batches:
    if isinstance(inputs, SummaryInputs):
        x_NF = torch.as_tensor(standardiser(inputs.x_NF), device=device)
        return lambda places: x_NF[torch.as_tensor(places, device=device)]
    return _sequence_batches(inputs, standardiser, device)


def _sequence_batches(inputs: SequenceInputs, standardiser: Standardiser, device: torch.device) -> Batches:
    """Rows of D standardised values with their mask beside them, gathered from one series in memory."""
    known_TD = np.isfinite(inputs.series_TD).astype(np.float32)
    joined = np.concatenate([standardiser(inputs.series_TD), known_TD[:, : inputs.n_levels]], axis=1)
    series_TD = torch.as_tensor(joined, device=device)
    start_N = torch.as_tensor(inputs.start_N, device=device)
    step_L = torch.arange(inputs.length, device=device)

    def gather(places: NDArray[np.intp]) -> Tensor:
        index_BL = start_N[torch.as_tensor(places, device=device)][:, None] + step_L
        return series_TD.index_select(0, index_BL.reshape(-1)).reshape(len(places), inputs.length, -1)

    return gather


def _device(wanted: str) -> torch.device:
    """The device, with one thread a process on the CPU: sums in another order would give other weights."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        torch.set_num_threads(1)
    return torch.device(wanted)
