"""The typed options of each stage: flag > environment or `.env` > `ventriloquist.toml` > default.

An option is declared once, here. The command line draws its flags from these classes and the app its forms.
Environment variables are `VENTRILOQUIST_<STAGE>_<OPTION>`; in `ventriloquist.toml` each stage has a table.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ventriloquist.faults import UsageFault, from_os_error
from ventriloquist.workspace import Workspace

MAIN: JsonDict = {"form": True}
"""Marks the options that the app's form shows first."""


class StageSettings(BaseSettings):
    """Settings of one stage, merged from all places by `load`."""

    stage: ClassVar[str] = ""
    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_file_encoding="utf-8", populate_by_name=True)

    @classmethod
    def load(cls, workspace: Workspace, **flags: Any) -> Self:
        """The settings for `workspace`; `flags` that are None count as not given."""
        table = _toml_table(workspace.settings_file, cls.stage)
        unknown = set(table) - set(cls.model_fields)
        if unknown:
            names = ", ".join(sorted(unknown))
            raise UsageFault(f"{workspace.settings_file}: [{cls.stage}] has no setting named {names}.")
        given = {name: value for name, value in flags.items() if value is not None}
        given["_env_file"] = workspace.env_file if workspace.env_file.is_file() else None
        given["_env_prefix"] = f"VENTRILOQUIST_{cls.stage.upper()}_"
        _current_toml.append(table)
        try:
            return cls(**given)
        except ValidationError as error:
            raise UsageFault(_explain(error)) from None
        except UnicodeDecodeError:
            raise UsageFault(f"{workspace.env_file} is not UTF-8.") from None
        except OSError as error:
            raise from_os_error(error, f"reading {workspace.env_file}") from None
        finally:
            _current_toml.pop()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, _TomlTable(settings_cls)

    @classmethod
    def argv(cls, **values: Any) -> list[str]:
        """The command line that gives these values: the stage's name and a flag for each that is not None."""
        words = [cls.stage]
        for name, value in values.items():
            flag = name.replace("_", "-")
            if name == "source" and value is not None:
                words.insert(1, str(value))  # the one that is given without a flag
            elif isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            elif value is not None:
                words += [f"--{flag}", str(value)]
        return words

    @property
    def shares_workspace(self) -> bool:
        """True for a run that holds the workspace only while it writes, and not all of its life."""
        return False

    @classmethod
    def options(cls) -> dict[str, FieldInfo]:
        """The fields that are flags and form entries, in their order; secrets come from the environment only."""
        return {
            name: field
            for name, field in cls.model_fields.items()
            if not (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("flag") is False)
        }

    def public(self) -> dict[str, Any]:
        """Everything but secrets, as JSON values."""
        return self.model_dump(mode="json")


_current_toml: list[dict[str, Any]] = []


class _TomlTable(PydanticBaseSettingsSource):
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        table = _current_toml[-1] if _current_toml else {}
        return table.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(_current_toml[-1]) if _current_toml else {}


def _toml_table(path: Path, name: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageFault(f"{path} is no valid TOML: {error}.") from None
    except OSError as error:
        raise from_os_error(error, f"reading {path}") from None
    unknown = set(document) - set(STAGES)
    if unknown:
        raise UsageFault(f"{path}: unknown table {', '.join(sorted(unknown))}; it may hold {', '.join(STAGES)}.")
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise UsageFault(f"{path}: {name} must be a table, [{name}].")
    return table


def _explain(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        option = "--" + "-".join(str(part) for part in item["loc"]).replace("_", "-")
        message = item["msg"].removeprefix("Value error, ")
        problems.append(f"{option}: {message[:1].lower()}{message[1:]}")
    return "; ".join(problems) + "."


class CollectSettings(StageSettings):
    """Read a message history into the workspace."""

    stage: ClassVar[str] = "collect"

    source: Literal["imessage"] = Field("imessage", description="Which history to read.")
    db: Path | None = Field(
        None,
        description="Apple's chat.db (default: ~/Library/Messages/chat.db).",
        json_schema_extra=MAIN,
    )
    backup: Path | None = Field(
        None,
        description="An iPhone backup that is not encrypted, or the folder that holds it; read instead of a chat.db.",
    )
    attachments: Path | None = Field(
        None,
        description="The folder that holds the attachments (default: Attachments beside chat.db).",
        json_schema_extra=MAIN,
    )
    address_book: Path | None = Field(
        None,
        description="Names: the folder of Contacts' databases, or a .vcf file (default: "
        "~/Library/Application Support/AddressBook, or AddressBook beside a --db of your own).",
    )
    region: str = Field(
        "",
        description="Two-letter region of phone numbers written without a country code (default: your system's).",
        pattern="^([A-Za-z]{2})?$",
    )
    my_name: str = Field(
        "",
        description="What the model calls you (default: the name on your own contact card, else Me).",
        validation_alias=AliasChoices("MY_NAME", "VENTRILOQUIST_COLLECT_MY_NAME", "my_name"),
        json_schema_extra=MAIN,
    )
    user_identifiers: str = Field(
        "",
        description="Your own phone numbers and addresses, separated by commas (default: found in chat.db).",
        validation_alias=AliasChoices("USER_IDENTIFIERS", "VENTRILOQUIST_COLLECT_USER_IDENTIFIERS", "user_identifiers"),
    )
    include_deleted: bool = Field(False, description="Also keep recently deleted messages.")
    watch: bool = Field(False, description="Stay, and collect again whenever Messages has written something.")

    @property
    def shares_workspace(self) -> bool:
        """True for a run that lets other stages work while it waits."""
        return self.watch


class DescribeSettings(StageSettings):
    """Turn photos, videos, voice memos and documents into words."""

    stage: ClassVar[str] = "describe"

    gemini_api_key: SecretStr = Field(
        SecretStr(""),
        description="Key for Google's Gemini; without one nothing leaves this machine.",
        validation_alias=AliasChoices("GEMINI_API_KEY", "VENTRILOQUIST_DESCRIBE_GEMINI_API_KEY", "gemini_api_key"),
        json_schema_extra={"flag": False},
    )
    model: str = Field("gemini-3.5-flash-lite", description="Which Gemini model describes.", min_length=1)
    limit: int = Field(0, description="Send at most this many files (0: all).", ge=0, json_schema_extra=MAIN)
    dry_run: bool = Field(False, description="Count what would be sent, and send nothing.", json_schema_extra=MAIN)
    yes: bool = Field(False, description="Send files to Gemini without asking.", json_schema_extra=MAIN)
    concurrency: int = Field(8, description="Requests at a time.", ge=1, le=64)


class PreprocessSettings(StageSettings):
    """Cut the conversations into training windows."""

    stage: ClassVar[str] = "preprocess"

    size: int = Field(64, description="Messages in a window.", ge=2, le=4096, json_schema_extra=MAIN)
    stride: int = Field(
        56,
        description="Messages from one window's start to the next; each message is a target once.",
        ge=1,
        json_schema_extra=MAIN,
    )
    holdout: float = Field(
        0.05,
        description="Share of each conversation, its latest part, held out twice: validation, then test.",
        ge=0.0,
        le=0.4,
    )
    max_holdout: int = Field(50, description="At most this many held-out messages a conversation and split.", ge=1)
    min_messages: int = Field(8, description="Leave out conversations with fewer messages than this.", ge=1)
    only: str = Field("", description="Only conversations with these people (names separated by commas).")
    without: str = Field("", description="Leave out conversations with these people.")


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


class EvaluateSettings(StageSettings):
    """Measure the model on messages it never saw."""

    stage: ClassVar[str] = "evaluate"

    checkpoint: str = Field(
        "", description="Which checkpoint: a name, or a path (default: the newest).", json_schema_extra=MAIN
    )
    limit: int = Field(200, description="At most this many held-out messages.", ge=1, json_schema_extra=MAIN)
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    threads: int = Field(0, description="CPU threads (0: all cores).", ge=0)
    with_base: bool = Field(True, description="Also measure the model as it was before training.")
    seed: int = Field(17, description="Seed of everything drawn.", ge=0)


class ChatSettings(StageSettings):
    """Talk with the people in the history."""

    stage: ClassVar[str] = "chat"

    checkpoint: str = Field("", description="Which checkpoint: a name, or a path (default: the newest).")
    target: str = Field("", description="Who answers (default: the first other member).")
    members: str = Field("", description="Who is in the conversation, separated by commas (default: you and target).")
    temperature: float = Field(0.8, description="0 takes the likeliest token; 1 samples as learnt.", ge=0, le=3)
    top_p: float = Field(0.95, description="Sample among the tokens that make up this share.", gt=0, le=1)
    max_tokens: int = Field(160, description="Longest message, in tokens.", ge=8)
    max_messages: int = Field(4, description="At most this many messages in a row.", ge=1, le=64)
    seed: int = Field(-1, description="Same seed, same conversation (-1: a new one each time).", ge=-1)
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the model runs.")
    threads: int = Field(0, description="CPU threads (0: all cores).", ge=0)


STAGES: dict[str, type[StageSettings]] = {
    settings.stage: settings
    for settings in (
        CollectSettings,
        DescribeSettings,
        PreprocessSettings,
        TrainSettings,
        EvaluateSettings,
        ChatSettings,
    )
}
PIPELINE = ("collect", "describe", "preprocess", "train", "evaluate")
"""The five stages in their order."""
