"""The typed options of each stage: flag > environment or `.env` > `ventriloquist.toml` > default.

An option is declared once, here. The command line draws its flags from these classes and the app its forms.
Environment variables are `VENTRILOQUIST_<STAGE>_<OPTION>`; in `ventriloquist.toml` each stage has a table.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError
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
    known = [settings.stage for settings in StageSettings.__subclasses__()]
    unknown = set(document) - set(known)
    if unknown:
        raise UsageFault(f"{path}: unknown table {', '.join(sorted(unknown))}; it may hold {', '.join(known)}.")
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
