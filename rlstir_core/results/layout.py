"""Where every output lies under the data folder; no other module spells a path of DESIGN's output table.

What does not belong here: reading or writing any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The paths of one data folder."""

    data: Path

    def lock(self, *what: str) -> Path:
        """The lock of one result: of a host's rows, of a checkpoint, of a recipe's evaluation."""
        return self.data / ".locks" / f"{' '.join(what)}.lock"

    @property
    def index_lock(self) -> Path:
        return self.lock("index")

    def host_lock(self, host: str) -> Path:
        return self.lock("host", host)

    def checkpoint_lock(self, recipe: str, model: str, mode: str) -> Path:
        return self.lock("checkpoint", recipe, f"{model}_{mode}")

    def evaluation_lock(self, recipe: str) -> Path:
        return self.lock("evaluation", recipe)

    @property
    def store_identity(self) -> Path:
        """Which store this folder belongs to."""
        return self.data / "store.json"

    @property
    def processed(self) -> Path:
        return self.data / "processed"

    @property
    def index(self) -> Path:
        """The episode index as it was read: entries, and the faults with their places."""
        return self.processed / "episode_index_v1.json"

    def validation(self, host: str) -> Path:
        """A row per episode: verdict, reason, counts, clock offset, sha256."""
        return self.processed / "validation_v1.parquet" / f"host={host}" / "episodes.parquet"

    def rows(self, host: str, episode: str) -> Path:
        """The typed rows of one episode: what decoding gave, so that it is decoded once."""
        return self.processed / "rows_v1" / f"host={host}" / f"{episode}.safetensors"

    @property
    def feature_schema(self) -> Path:
        return self.processed / "feature_schema_v1.json"

    def features(self, host: str) -> Path:
        """Folder with Parquet files of some episodes each, a row per window."""
        return self.processed / "features_window_v1.parquet" / f"host={host}"

    def tensors(self, host: str) -> Path:
        """Folder with one safetensors file per episode, channel x time."""
        return self.processed / "tensor_window_v1" / f"host={host}"

    def log_events(self, host: str) -> Path:
        """Folder with one Parquet file per episode, a row per event of its logs."""
        return self.processed / "log_events_v1.parquet" / f"host={host}"

    @property
    def knowledge(self) -> Path:
        """The public technique texts as one table."""
        return self.processed / "knowledge_v1.parquet"

    @property
    def sigma(self) -> Path:
        """The user's Sigma rules as JSON lines."""
        return self.processed / "sigma_v1.jsonl"

    def graphs(self, host: str) -> Path:
        """Folder with one folder per episode: the nodes and edges of its provenance graph."""
        return self.processed / "graphs" / f"host={host}"

    def split(self, recipe: str) -> Path:
        """Who trains, validates and tests."""
        return self.processed / "splits" / f"{recipe}.json"

    @property
    def lab_checks(self) -> Path:
        """What the lab's own checks said of the generated episodes."""
        return self.processed / "lab_checks_v1.json"

    def artifacts(self, recipe: str) -> Path:
        return self.data / "artifacts" / recipe

    def checkpoint(self, recipe: str, model: str, mode: str) -> Path:
        return self.artifacts(recipe) / f"{model}_{mode}.ckpt.json"

    def champions(self, recipe: str) -> Path:
        """What the last report speaks of, until another is written."""
        return self.data / "champions" / recipe

    def reach(self, recipe: str) -> Path:
        """How far the train side reaches, by round."""
        return self.artifacts(recipe) / "range.json"

    def baselines(self, recipe: str) -> Path:
        """What the baselines were fitted on; their predictions lie with those of the checkpoints."""
        return self.artifacts(recipe) / "baselines.json"

    def tokenizer(self, recipe: str) -> Path:
        """SentencePiece's model; its manifest lies beside it."""
        return self.artifacts(recipe) / "tokenizer.model"

    def encoder(self, recipe: str) -> Path:
        """The investigator's checkpoint; its weights lie beside it."""
        return self.artifacts(recipe) / "encoder.ckpt.json"

    def acting(self, recipe: str) -> Path:
        """Who investigates: the belief and the policies lie beside it."""
        return self.artifacts(recipe) / "ppo_policy.ckpt.json"

    def acting_validation(self, recipe: str) -> Path:
        """What every policy did in the episodes that chose: thresholds come from there."""
        return self.artifacts(recipe) / "investigations_validation.parquet"

    def acting_evaluation(self, recipe: str) -> Path:
        """The figures of every policy."""
        return self.evaluation(recipe) / "investigation_eval.json"

    def evaluation(self, recipe: str) -> Path:
        return self.data / "reports" / "eval" / recipe

    def predictions(self, recipe: str, model: str, mode: str) -> Path:
        return self.evaluation(recipe) / "predictions" / f"{model}_{mode}.parquet"

    def encoder_predictions(self, recipe: str, what: str) -> Path:
        """What the encoder and what stands beside it say of the test side: `techniques` or `risk`."""
        return self.evaluation(recipe) / "predictions" / f"{what}.parquet"

    def encoder_evaluation(self, recipe: str) -> Path:
        """The figures of the encoder and of what stands beside it."""
        return self.evaluation(recipe) / "encoder_eval.json"

    def episode_sums(self, recipe: str, of: str) -> Path:
        """Of every test episode, the counts that macro F1 of `phases` or micro F1 of `techniques` is made from."""
        return self.evaluation(recipe) / f"{of}_by_episode.parquet"

    def former_sums(self, recipe: str) -> Path:
        """The counts of `phases` of the evaluation before: like a ledger, no result."""
        return self.evaluation(recipe) / "_phases_before.parquet"

    def strayed(self, recipe: str) -> Path:
        """Which train hosts record otherwise than what was trained on: what a training may be due by."""
        return self.evaluation(recipe) / "_strayed.json"

    def honesty(self, recipe: str) -> Path:
        """The figures of this recipe beside those of the other recipes that were made."""
        return self.evaluation(recipe) / "honesty.json"

    def report_inputs(self, recipe: str) -> Path:
        """Everything that the report is made of."""
        return self.evaluation(recipe) / "comparison_inputs.json"

    def costs(self, recipe: str) -> Path:
        """What scoring took on this machine: measured anew each time, so no result and in no hash."""
        return self.evaluation(recipe) / "cost.json"

    def report(self, recipe: str) -> Path:
        return self.evaluation(recipe) / "comparison_v2.md"
