"""What can be set for each stage but training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator

from ventriloquist.faults import UsageFault
from ventriloquist.settings.merging import MAIN, StageSettings

Precision = Literal["auto", "bf16", "fp16", "fp32"]
_PRECISION: Any = Field(
    "auto", description="What the model computes in (auto: bf16 on a GPU that has it, else fp32; tiny: fp32)."
)
_IN_8BIT: Any = Field(
    False, description="Load the base in 8 bits (needs the extra quantized; default: as it was trained)."
)
_IN_4BIT: Any = Field(
    False, description="Load the base in 4 bits (needs the extra quantized; default: as it was trained)."
)
GEMINI_MODEL = "gemini-3.5-flash-lite"
LOCAL_SERVER = "http://127.0.0.1:11434/v1"


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

    provider: Literal["gemini", "local"] = Field(
        "gemini",
        description="Who describes: Google's Gemini, or a server of your own that speaks OpenAI's protocol.",
        json_schema_extra=MAIN,
    )
    gemini_api_key: SecretStr = Field(
        SecretStr(""),
        description="Key for Google's Gemini; without one nothing leaves this machine.",
        validation_alias=AliasChoices("GEMINI_API_KEY", "VENTRILOQUIST_DESCRIBE_GEMINI_API_KEY", "gemini_api_key"),
        json_schema_extra={"flag": False},
    )
    local_api_key: SecretStr = Field(
        SecretStr(""), description="Key for the local server, if it wants one.", json_schema_extra={"flag": False}
    )
    model: str = Field(
        "", description=f"Which model describes (default: {GEMINI_MODEL}, or the only one of a local server)."
    )
    base_url: str = Field("", description=f"Where the local server is (default: {LOCAL_SERVER}, where Ollama listens).")
    allow_remote: bool = Field(False, description="Let --base-url be outside of this machine and its private network.")
    limit: int = Field(0, description="Send at most this many files (0: all).", ge=0, json_schema_extra=MAIN)
    budget: float | None = Field(
        None,
        description="Spend at most so many dollars; a command that was stopped, failed or was killed goes on with what "
        "it left of them.",
        ge=0,
        allow_inf_nan=False,
        json_schema_extra=MAIN,
    )
    dry_run: bool = Field(False, description="Count what would be sent, and send nothing.", json_schema_extra=MAIN)
    yes: bool = Field(False, description="Send files without asking.", json_schema_extra=MAIN)
    only: str = Field(
        "",
        description="Send only from conversations, groups too, in which everyone but you is named here (names or "
        "numbers, separated by commas; your own name stands for notes to yourself).",
    )
    without: str = Field(
        "", description="Send nothing from any conversation, groups too, in which one of these people is or once wrote."
    )
    strangers: bool = Field(False, description="Send also from conversations in which nobody has a name.")
    retry_failed: bool = Field(False, description="Ask again about files that failed for good.")
    concurrency: int = Field(8, description="Requests at a time.", ge=1, le=64)
    prompts: dict[str, str] = Field(
        {},
        description="What is asked of each medium (image, video, audio, pdf, text), instead of the built-in words.",
        json_schema_extra={"flag": False},
    )
    prices: dict[str, tuple[float, float]] = Field(
        {},
        description="Dollars for a million tokens, input and output, by model, instead of the built-in table.",
        json_schema_extra={"flag": False},
    )

    @field_validator("base_url")
    @classmethod
    def _no_secret_address(cls, url: str) -> str:
        if "@" in url or "?" in url:
            raise ValueError("it holds no name, password or key; set VENTRILOQUIST_DESCRIBE_LOCAL_API_KEY")
        return url.strip()

    @field_validator("prices")
    @classmethod
    def _no_negative_prices(cls, prices: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        if not all(0 <= price < 1e6 for pair in prices.values() for price in pair):
            raise ValueError("a price is a number of dollars, 0 or more")
        return prices


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
    split: Literal["per-conversation", "global-time"] = Field(
        "per-conversation",
        description="What is held out: the latest messages of each conversation, or (global-time) the latest of all, "
        "so that nothing is learnt that was sent after a held-out message.",
    )
    holdout: float = Field(
        0.05,
        description="Share of the messages, the latest ones, held out twice: validation, then test.",
        ge=0.0,
        le=0.4,
    )
    max_holdout: int = Field(50, description="At most this many held-out messages a conversation and split.", ge=1)
    max_holdout_in_all: int = Field(
        500,
        description="At most this many held-out messages a split in all; if there were more, every conversation holds "
        "out fewer.",
        ge=1,
    )
    min_messages: int = Field(
        8, description="Leave out conversations with fewer messages than this that show something.", ge=1
    )
    only: str = Field(
        "",
        description="Only conversations, groups too, in which everyone but you is named here (names or numbers, "
        "separated by commas; your own name stands for notes to yourself).",
    )
    without: str = Field(
        "",
        description="Leave out every conversation, groups too, in which one of these people is or once wrote.",
    )
    base: str = Field(
        "", description="Count tokens as this base does, if its tokenizer is at hand (default: what train is set to)."
    )


class EvaluateSettings(StageSettings):
    """Measure the model on messages it never saw."""

    stage: ClassVar[str] = "evaluate"

    checkpoint: str = Field(
        "", description="Which checkpoint: a name, or a path (default: the newest).", json_schema_extra=MAIN
    )
    limit: int = Field(200, description="At most this many held-out messages.", ge=1, json_schema_extra=MAIN)
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    precision: Precision = _PRECISION
    load_in_8bit: bool = _IN_8BIT
    load_in_4bit: bool = _IN_4BIT
    threads: int = Field(0, description="CPU threads (0: all cores).", ge=0)
    with_base: bool = Field(True, description="Also measure the model as it was before training.")
    seed: int = Field(17, description="Seed of everything drawn.", ge=0)

    @property
    def bits(self) -> int | None:
        """See `chosen_bits`."""
        return chosen_bits(self)


class ChatSettings(StageSettings):
    """Talk with the people in the history."""

    stage: ClassVar[str] = "chat"

    checkpoint: str = Field("", description="Which checkpoint: a name, or a path (default: the newest).")
    target: str = Field("", description="Who answers (default: the first other member).")
    members: str = Field("", description="Who is in the conversation, separated by commas (default: you and target).")
    temperature: float = Field(0.8, description="0 takes the likeliest token; 1 samples as learnt.", ge=0, le=3)
    top_p: float = Field(0.95, description="Sample among the tokens that make up this share.", gt=0, le=1)
    min_p: float = Field(0.0, description="Leave out tokens less likely than this share of the likeliest.", ge=0, le=1)
    repetition_penalty: float = Field(
        1.0, description="Above 1, a message says its words over and over less.", ge=1, le=2
    )
    max_tokens: int = Field(160, description="Longest message, in tokens.", ge=8, le=4096)
    max_messages: int = Field(4, description="At most this many messages in a row.", ge=1, le=64)
    delay: float = Field(
        0.0,
        description="Wait before each message as long as they would, at most so many seconds (0: not at all).",
        ge=0,
        le=86_400,
    )
    seed: int = Field(-1, description="Same seed, same conversation (-1: a new one each time).", ge=-1)
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the model runs.")
    precision: Precision = _PRECISION
    load_in_8bit: bool = _IN_8BIT
    load_in_4bit: bool = _IN_4BIT
    threads: int = Field(0, description="CPU threads (0: all cores).", ge=0)

    @property
    def bits(self) -> int | None:
        """See `chosen_bits`."""
        return chosen_bits(self)


def chosen_bits(settings: EvaluateSettings | ChatSettings) -> int | None:
    """What the base's linear layers are rounded to while it is loaded: 8, 4, 0 (not at all: where either was turned
    off) or None (as the checkpoint was trained); raises UsageFault where both are asked for."""
    if settings.load_in_8bit and settings.load_in_4bit:
        raise UsageFault("Choose one of --load-in-8bit and --load-in-4bit.")
    given = settings.model_fields_set & {"load_in_8bit", "load_in_4bit"}
    return 8 if settings.load_in_8bit else 4 if settings.load_in_4bit else 0 if given else None
