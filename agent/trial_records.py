"""What is known of the models of a pipeline: what was noted of a trial, and what they say."""

from __future__ import annotations

from agent.gates import bar_of
from agent.update_log import Tried, UpdateLog, What
from models import manifest
from models.manifest import Manifest
from models.pipelines import PipelineState
from models.store import Store
from wire.deployments import Gates, Rule
from wire.troubles import Trouble


class TrialRecords:
    """Looked up by digest."""

    def __init__(self, store: Store, words: UpdateLog) -> None:
        self._store = store
        self._words = words
        self._found: Tried | None = None

    def tried(self, digest: str, state: PipelineState) -> Tried:
        """What was noted of its trial; without that what the model itself says, and the store."""
        kept = self._words.tried
        if kept is not None and kept.what.digest == digest:
            return kept
        if self._found is None or self._found.what.digest != digest:
            self._found = self._read(digest, state)
        return self._found

    def is_version(self, digest: str, rule: Rule) -> bool:
        """Whether an installed model is the version that a rule names."""
        found = self._manifest(digest)
        return found is not None and (found.name, found.version) == (rule.model, rule.version)

    def _read(self, digest: str, state: PipelineState) -> Tried:
        wished, trial = Gates(), state.trial
        if trial is not None and trial.digest == digest:
            first_s = trial.first_result_s or None
            wished = Gates(trial_s=trial.length_s or None, first_result_s=first_s)
        found = self._manifest(digest)
        name, version = (found.name, found.version) if found else (digest[:12], "?")
        return Tried(What(name, version, digest, 0), 0, bar_of(found, wished), None)

    def _manifest(self, digest: str) -> Manifest | None:
        try:
            return manifest.load(self._store.folder(digest))
        except Trouble:
            return None
