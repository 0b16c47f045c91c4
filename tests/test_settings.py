"""Settings: where each value comes from, what is refused and how, and command lines that say the same again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ventriloquist.cli.stages import flags
from ventriloquist.faults import Exit, Fault, UsageFault
from ventriloquist.settings import PIPELINE, STAGES, CollectSettings, PreprocessSettings, StageSettings, TrainSettings
from ventriloquist.workspace import Workspace

FLAG, ENVIRONMENT, DOTENV, TOML = "flag", "environment", ".env", "toml"
PLACES = (FLAG, ENVIRONMENT, DOTENV, TOML)


def set_in(workspace: Workspace, place: str, stage: str, option: str, value: Any, monkeypatch: Any) -> dict[str, Any]:
    """Put an option somewhere; returns the flags to load with."""
    variable = f"VENTRILOQUIST_{stage}_{option}".upper()
    if place == FLAG:
        return {option: value}
    if place == ENVIRONMENT:
        monkeypatch.setenv(variable, str(value))
    elif place == DOTENV:
        workspace.env_file.write_text(f"{variable}={value}\n")
    else:
        workspace.settings_file.write_text(f"[{stage}]\n{option} = {value!r}\n")
    return {}


@pytest.mark.parametrize("lowest", range(len(PLACES)))
@pytest.mark.parametrize(
    ("stage", "option", "values"),
    [("preprocess", "size", (11, 12, 13, 14)), ("collect", "my_name", ("A", "B", "C", "D"))],
)
def test_the_higher_place_wins(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, stage: str, option: str, values: tuple[Any, ...], lowest: int
) -> None:
    given: dict[str, Any] = {}
    for place, value in zip(PLACES[lowest:], values, strict=False):
        given |= set_in(workspace, place, stage, option, value, monkeypatch)
    assert getattr(STAGES[stage].load(workspace, **given), option) == values[0]


def test_short_names_in_the_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.settings_file.write_text('[collect]\nmy_name = "from toml"\nuser_identifiers = "a@example.com"\n')
    assert CollectSettings.load(workspace).my_name == "from toml"
    workspace.env_file.write_text("MY_NAME=from .env\nUSER_IDENTIFIERS=b@example.com\nOTHER=1\n")
    assert CollectSettings.load(workspace).my_name == "from .env"
    assert CollectSettings.load(workspace).user_identifiers == "b@example.com"
    monkeypatch.setenv("MY_NAME", "from the environment")
    assert CollectSettings.load(workspace).my_name == "from the environment"
    assert CollectSettings.load(workspace, my_name="from a flag").my_name == "from a flag"


def test_defaults_where_nothing_is_given(workspace: Workspace) -> None:
    assert PreprocessSettings.load(workspace).model_dump() == PreprocessSettings.model_construct().model_dump()
    assert PreprocessSettings.load(workspace, size=None).size == 64


def test_stages_do_not_hear_each_other(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENTRILOQUIST_EVALUATE_SEED", "5")
    monkeypatch.setenv("SEED", "6")
    monkeypatch.setenv("SIZE", "7")
    workspace.settings_file.write_text("[chat]\nseed = 8\n")
    assert TrainSettings.load(workspace).seed == 17 and PreprocessSettings.load(workspace).size == 64


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[preprocess]\nsizes = 5\n", "has no setting named sizes"),
        ("[preprocces]\nsize = 5\n", "unknown table preprocces"),
        ("size = 5\n", "unknown table size"),
        ("preprocess = 5\n", "must be a table"),
        ("[preprocess\n", "no valid TOML"),
        ("[preprocess]\nsize = 5\nsize = 6\n", "no valid TOML"),
        ('[preprocess]\nsize = "many"\n', "--size: "),
        ("[preprocess]\nsize = 1\n", "--size: input should be greater than or equal to 2"),
        ("[preprocess]\nsize = 5000\n", "--size: "),
        ("[preprocess]\nsize = 2.5\n", "--size: "),
        ("[preprocess]\nsize = [64]\n", "--size: "),
        ("[preprocess]\nholdout = 0.9\nstride = 0\n", "--holdout: .*; --stride: |--stride: .*; --holdout: "),
        ("[preprocess]\nholdout = nan\n", "--holdout: "),
    ],
)
def test_a_wrong_file_is_one_sentence(workspace: Workspace, written: str, said: str) -> None:
    workspace.settings_file.write_text(written)
    with pytest.raises(UsageFault, match=said) as caught:
        PreprocessSettings.load(workspace)
    assert caught.value.exit == Exit.USAGE and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(workspace: Workspace) -> None:
    workspace.settings_file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageFault, match="no valid TOML"):
        PreprocessSettings.load(workspace)
    workspace.settings_file.unlink()
    workspace.settings_file.mkdir()
    with pytest.raises(Fault, match=r"ventriloquist\.toml"):
        PreprocessSettings.load(workspace)
    workspace.settings_file.rmdir()
    workspace.env_file.write_bytes(b"MY_NAME=\xff\xfe\n")
    with pytest.raises(UsageFault, match="not UTF-8"):
        PreprocessSettings.load(workspace)


@pytest.mark.parametrize(
    ("stage", "given", "said"),
    [
        ("preprocess", {"size": 1}, "--size: "),
        ("train", {"name": "../escape"}, "--name: "),
        ("train", {"name": ".hidden"}, "--name: "),
        ("train", {"tiny_hidden": 33}, "--tiny-hidden: "),
        ("train", {"device": "abacus"}, "--device: "),
        ("train", {"learning_rate": -1.0}, "--learning-rate: "),
        ("collect", {"region": "usa"}, "--region: "),
        ("collect", {"source": "carrier-pigeon"}, "--source: "),
        ("describe", {"concurrency": 0}, "--concurrency: "),
        ("chat", {"top_p": 0.0}, "--top-p: "),
    ],
)
def test_out_of_range(workspace: Workspace, stage: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageFault, match=said) as caught:
        STAGES[stage].load(workspace, **given)
    assert "\n" not in str(caught.value)


def test_secrets_stay_out_of_what_is_shown(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-canary")
    loaded = STAGES["describe"].load(workspace)
    assert loaded.gemini_api_key.get_secret_value() == "AIza-canary"  # type: ignore[attr-defined]
    assert "canary" not in str(loaded.public()) + repr(loaded) + str(loaded)
    assert "gemini_api_key" not in STAGES["describe"].options()


# --- command lines ----------------------------------------------------------------------------------------------


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)


def values_of(name: str, annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """Values that a field takes, from its type and its bounds."""
    bounds = {key: getattr(each, key) for each in metadata for key in ("ge", "le", "lt", "gt") if hasattr(each, key)}
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        step = next((each.multiple_of for each in metadata if hasattr(each, "multiple_of")), 1)
        low, high = bounds.get("ge", 0), bounds.get("le", 10_000)
        return st.integers(-(-low // step), high // step).map(lambda n: n * step)
    if float in (annotation, *get_args(annotation)):
        return st.floats(
            bounds.get("ge", bounds.get("gt", 0.0)),
            bounds.get("le", bounds.get("lt", 10.0)),
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
        )
    if Path in (annotation, *get_args(annotation)):
        return NAMES.map(lambda word: Path("/somewhere") / word)
    special = {"region": st.sampled_from(["", "US", "de"]), "name": NAMES, "model": NAMES, "base_url": NAMES}
    return special.get(name, TEXT)


@pytest.mark.parametrize("stage", STAGES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_argv_says_the_same_settings_again(workspace: Workspace, stage: str, data: st.DataObject) -> None:
    kind: type[StageSettings] = STAGES[stage]
    values = {
        name: data.draw(values_of(name, field.annotation, field.metadata), label=name)
        for name, field in kind.options().items()
        if data.draw(st.booleans(), label=f"with {name}")
    }
    word, *rest = kind.argv(**values)
    assert word == stage
    heard = click.Command(stage, params=flags(kind)).make_context(stage, rest).params
    assert {name: value for name, value in heard.items() if value is not None} == values
    assert kind.load(workspace, **heard).public() == kind.load(workspace, **values).public()


def test_every_option_is_a_flag_with_words(workspace: Workspace) -> None:
    for stage in STAGES.values():
        parameters = {each.name: each for each in flags(stage)}
        assert list(parameters) == list(stage.options())
        for name, field in stage.options().items():
            assert field.description and field.description.endswith("."), name
            shown = parameters[name]
            assert isinstance(shown, click.Argument) or (shown.help and shown.help.endswith(".")), name


def test_the_pipeline_is_the_stages(workspace: Workspace) -> None:
    assert set(PIPELINE) == set(STAGES) - {"chat"}


# --- the workspace ----------------------------------------------------------------------------------------------


def test_where_the_workspace_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Workspace.at().root == tmp_path.resolve()
    monkeypatch.setenv("VENTRILOQUIST_WORKSPACE", "by variable")
    assert Workspace.at().root == tmp_path.resolve() / "by variable"
    assert Workspace.at("by flag").root == tmp_path.resolve() / "by flag"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workspace.at("~/home").root == tmp_path.resolve() / "home"


@pytest.mark.parametrize("root", ["~nobody-has-this-name/x", "nul\x00inside", "loop/x", "file", "file/below"])
def test_places_that_can_be_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Fault) as caught:
        Workspace.at(root).prepare()
    assert "\n" not in str(caught.value) and "\x00" not in str(caught.value)


def test_prepare_makes_private_folders(tmp_path: Path) -> None:
    (tmp_path / "w" / "data").mkdir(parents=True, mode=0o755)
    before = os.umask(0o022)
    try:
        workspace = Workspace(tmp_path / "w").prepare()
    finally:
        os.umask(before)
    for folder in (workspace.data, workspace.runs, workspace.checkpoints):
        assert folder.stat().st_mode & 0o777 == 0o700, folder.name
