"""What can be set for training, and what a setting is where nobody chose."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from ventriloquist.settings.merging import MAIN, StageSettings

TINY = "tiny"


class Recipe(NamedTuple):
    """What a preset stands for. `alpha` 0 is twice the rank."""

    r: int
    alpha: int
    dropout: float
    learning_rate: float
    epochs: float


PRESETS = {
    "default": Recipe(32, 0, 0.0, 2e-4, 3.0),
    "r128": Recipe(128, 256, 0.0, 2.5e-4, 3.0),
}
WHOLE = Recipe(0, 0, 0.0, 6e-3, 8.0)
"""How the tiny base is trained, which has no adapter."""


class TrainSettings(StageSettings):
    """Train the model on the windows."""

    stage: ClassVar[str] = "train"

    base: str = Field(
        TINY,
        description="The base model: tiny (built here), a folder, or a Hugging Face id (see: ventriloquist base list).",
        json_schema_extra=MAIN,
    )
    name: str = Field(
        "",
        description="The checkpoint's name (default: from the base, the data and the settings).",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$|^$",
    )
    plan: bool = Field(
        False, description="Only tell what the training would take: steps, tokens, memory, disk and time."
    )
    preset: Literal["default", "r128"] = Field(
        "default",
        description="What rank, alpha and learning rate are where they are 0: r128 is rank 128, alpha 256, 2.5e-4.",
    )
    epochs: float = Field(
        0.0, description="Passes over the windows (0: 8 for tiny, 3 for other bases).", ge=0, json_schema_extra=MAIN
    )
    max_steps: int = Field(0, description="Stop after this many optimizer steps (0: when the epochs are done).", ge=0)
    limit: int = Field(
        0,
        description="Learn from about this many messages only, sampled across all conversations (0: all).",
        ge=0,
    )
    learning_rate: float = Field(
        0.0, description="Peak learning rate (0: 6e-3 for tiny, 2e-4 for LoRA).", ge=0, json_schema_extra=MAIN
    )
    windows_per_step: int = Field(1, description="Windows that make one optimizer step.", ge=1)
    tokens_per_batch: int = Field(
        0,
        description="Windows of a step that go through the model at once hold at most this many tokens; less takes "
        "less memory (0: 8192 on CUDA, else one window).",
        ge=0,
    )
    lora_r: int = Field(0, description="Rank of the LoRA adapter (0: 32).", ge=0, le=1024, json_schema_extra=MAIN)
    lora_alpha: int = Field(0, description="LoRA alpha (0: twice the rank).", ge=0)
    lora_dropout: float = Field(0.0, description="LoRA dropout.", ge=0, lt=1)
    rslora: bool = Field(False, description="Scale the adapter by alpha over the root of the rank.")
    dora: bool = Field(False, description="Learn magnitudes apart from directions (DoRA); slower.")
    loraplus: float = Field(
        0.0, description="LoRA+: B matrices learn this many times as fast (0: no difference; 4 to 16 is usual).", ge=0
    )
    load_in_8bit: bool = Field(False, description="Load the base in 8 bits (needs the extra quantized).")
    load_in_4bit: bool = Field(False, description="Load the base in 4 bits (needs the extra quantized).")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="What the model computes in (auto: bf16 on a GPU that has it, else fp32)."
    )
    checkpointing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compute activations twice instead of keeping them (auto: where they would not fit into memory).",
    )
    save_steps: int = Field(0, description="Steps between checkpoints (0: ten times a training).", ge=0)
    validate_steps: int = Field(0, description="Steps between validations (0: at each checkpoint).", ge=0)
    validation_windows: int = Field(64, description="At most this many held-out messages in a validation.", ge=0)
    voices: bool = Field(True, description="Now and then, show a held-out exchange as the model would write it.")
    seed: int = Field(17, description="Seed of initial weights and of the order of windows.", ge=0, lt=2**32)
    threads: int = Field(0, description="CPU threads (0: all cores).", ge=0)
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to train.")
    shard: bool = Field(
        True, description="With several processes, shard the model over them; else each holds all of it."
    )
    continue_from: str = Field(
        "",
        description="Start from what another checkpoint has learnt (its name or path), on the windows as they are now.",
    )
    resume: bool = Field(False, description="Require a checkpoint to go on from (it is used anyway if it fits).")
    fresh: bool = Field(False, description="Start over, even where a checkpoint could be continued.")
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = Field(
        "none", description="Also send the numbers to one of these (needs the extra of that name)."
    )
    tiny_hidden: int = Field(128, description="Width of the tiny base.", ge=32, multiple_of=32)
    tiny_layers: int = Field(4, description="Layers of the tiny base.", ge=1, le=48)
    tiny_vocab: int = Field(4096, description="Vocabulary of the tiny base.", ge=384, le=65536)

    @property
    def is_tiny(self) -> bool:
        """True for the embedded base, which is trained whole."""
        return self.base == TINY

    @property
    def bits(self) -> Literal[0, 4, 8]:
        """What the base's linear layers are rounded to while it is loaded; 0: they are not."""
        return 8 if self.load_in_8bit else 4 if self.load_in_4bit else 0

    @property
    def recipe(self) -> Recipe:
        """What was chosen, and the preset's where nothing was."""
        if self.is_tiny:
            return WHOLE._replace(
                learning_rate=self.learning_rate or WHOLE.learning_rate, epochs=self.epochs or WHOLE.epochs
            )
        preset = PRESETS[self.preset]
        r = self.lora_r or preset.r
        return Recipe(
            r,
            self.lora_alpha or (preset.alpha if r == preset.r else 0) or 2 * r,
            self.lora_dropout or preset.dropout,
            self.learning_rate or preset.learning_rate,
            self.epochs or preset.epochs,
        )

    def of_the_model(self) -> dict[str, Any]:
        """Every setting that the trained weights depend on."""
        chosen = {name: value for name, value in self.public().items() if name not in _NOT_OF_THE_MODEL}
        return {**chosen, **self.recipe._asdict()}


_NOT_OF_THE_MODEL = {
    "name", "plan", "preset", "resume", "fresh", "threads", "device", "save_steps", "voices", "shard", "report_to",
    "tokens_per_batch", "checkpointing", "lora_r", "lora_alpha", "lora_dropout", "learning_rate", "epochs",
}  # fmt: skip
