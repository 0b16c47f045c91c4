"""What can be set for training."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ventriloquist.settings.merging import MAIN, StageSettings


class TrainSettings(StageSettings):
    """Train the model on the windows."""

    stage: ClassVar[str] = "train"

    base: str = Field(
        "tiny",
        description="The base model: tiny (built here), a folder, or a Hugging Face id that is already downloaded.",
        json_schema_extra=MAIN,
    )
    name: str = Field(
        "",
        description="The checkpoint's name (default: from the base, the data and the settings).",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$|^$",
    )
    epochs: float = Field(0.0, description="Passes over the windows (0: 8 for tiny, 3 for other bases).", ge=0)
    max_steps: int = Field(0, description="Stop after this many optimizer steps (0: when the epochs are done).", ge=0)
    learning_rate: float = Field(
        0.0, description="Peak learning rate (0: 6e-3 for tiny, 2e-4 for LoRA).", ge=0, json_schema_extra=MAIN
    )
    tokens_per_row: int = Field(
        0,
        description="Windows are packed into rows of at most this many tokens (0: 8192 on a GPU, else one window).",
        ge=0,
    )
    rows_per_step: int = Field(1, description="Rows that make one optimizer step.", ge=1)
    lora_r: int = Field(32, description="Rank of the LoRA adapter.", ge=1, le=1024, json_schema_extra=MAIN)
    lora_alpha: int = Field(0, description="LoRA alpha (0: twice the rank).", ge=0)
    lora_dropout: float = Field(0.0, description="LoRA dropout.", ge=0, lt=1)
    save_steps: int = Field(0, description="Steps between checkpoints (0: ten times a training).", ge=0)
    validate_steps: int = Field(0, description="Steps between validations (0: at each checkpoint).", ge=0)
    seed: int = Field(17, description="Seed of initial weights and of the order of windows.", ge=0)
    threads: int = Field(0, description="CPU threads (0: all cores).", ge=0)
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to train.")
    resume: bool = Field(False, description="Require a checkpoint to go on from (it is used anyway if it fits).")
    fresh: bool = Field(False, description="Start over, even where a checkpoint could be continued.")
    tiny_hidden: int = Field(128, description="Width of the tiny base.", ge=32, multiple_of=32)
    tiny_layers: int = Field(4, description="Layers of the tiny base.", ge=1, le=48)
    tiny_vocab: int = Field(4096, description="Vocabulary of the tiny base.", ge=384, le=65536)
