"""A checkpoint is loaded as it was trained, on its own base, and one sentence says why where it cannot be."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraModel, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from tests.basing import own_cache
from tests.loading import (
    COMMIT,
    LINES,
    change,
    refused,
    reseal,
    save_adapter,
    save_base,
    save_tiny,
)
from ventriloquist.faults import Exit, UsageFault
from ventriloquist.model import base as bases
from ventriloquist.model import hub, tiny
from ventriloquist.model import load as loading
from ventriloquist.model.load import load
from ventriloquist.settings import ChatSettings, EvaluateSettings
from ventriloquist.workspace import Workspace


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base in a folder. Nobody may write to it."""
    return save_base(tmp_path_factory.mktemp("bases") / "base").resolve()


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of that base. Nobody may write to it."""
    return save_adapter(base, tmp_path_factory.mktemp("made") / "final")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The checkpoint, to be damaged freely; its base is not."""
    return Path(shutil.copytree(made, tmp_path / "run" / "final"))


@pytest.fixture
def own(tmp_path: Path, base: Path) -> tuple[Path, Path]:
    """A base to be damaged freely, and its checkpoint."""
    copy = Path(shutil.copytree(base, tmp_path / "own base")).resolve()
    return copy, save_adapter(copy, tmp_path / "own" / "final")


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A trained tiny base."""
    return save_tiny(tmp_path / "tiny" / "final")


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=torch.arange(3, 40)[None]).logits.float()
    return found


# --- as it was trained -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [{}, {"use_rslora": True, "lora_alpha": 32}, {"use_dora": True}, {"lora_dropout": 0.3, "r": 16}],
    ids=["plain", "rslora", "dora", "dropout"],
)
def test_a_merged_adapter_computes_what_anyone_else_would(
    base: Path, tmp_path: Path, given: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    made = save_adapter(base, tmp_path / "final", **given)
    capfd.readouterr()
    loaded = load(made, "cpu", 1)
    assert capfd.readouterr() == ("", "")
    assert (loaded.merged, loaded.precision, loaded.bits, loaded.notice) == (True, "fp32", 0, "")
    assert loaded.seconds > 0 and loaded.description.me == "Ann"
    assert type(loaded.model) is Qwen3ForCausalLM and not loaded.model.training
    assert not any("lora" in name or weight.requires_grad for name, weight in loaded.model.named_parameters())
    plain = AutoModelForCausalLM.from_pretrained(base)
    untrained = logits(plain)
    expected = logits(PeftModel.from_pretrained(plain, str(made)))
    assert (logits(loaded.model) - expected).abs().max() < 1e-5
    assert (untrained - expected).abs().max() > 1e-2, "the adapter does something"
    assert torch.equal(logits(load(made, "cpu", 1, trained=False).model), untrained)


def test_what_libraries_say_is_not_heard(
    made: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = AutoTokenizer.from_pretrained

    def loud(*given: Any, **more: Any) -> Any:
        warnings.warn("a warning", stacklevel=1)
        logging.getLogger("peft.somewhere").warning("a warning")
        return opened(*given, **more)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", loud)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        load(made, "cpu", 1)
        assert not warned and not caplog.records
        logging.getLogger("peft.somewhere").warning("afterwards")
        assert len(caplog.records) == 1


def test_a_base_in_a_folder_is_named_by_where_it_is(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base.parent)
    assert bases.find_base("base").described["id"] == str(base)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precision(made: Path, tiny_folder: Path, precision: str) -> None:
    for folder in (made, tiny_folder):
        exact, rough = load(folder, "cpu", 1, precision="fp32"), load(folder, "cpu", 1, precision=precision)
        assert (exact.precision, rough.precision) == ("fp32", precision)
        assert {weight.dtype for weight in rough.model.parameters()} == {bases.DTYPES[precision]}
        difference = (logits(exact.model) - logits(rough.model)).abs().max()
        assert 0 < difference < (0.2 if precision == "bf16" else 0.03)


def test_fp16_where_pytorch_cannot(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*given: Any) -> None:
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'")

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", cannot)
    refused(made, r"cannot compute in fp16 on this cpu\. Choose another --precision", Exit.USAGE, precision="fp16")


def test_weights_too_large_for_fp16(tiny_folder: Path) -> None:
    weights = load_file(tiny_folder / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 1e7
    save_file(weights, tiny_folder / "model.safetensors", {"format": "pt"})
    reseal(tiny_folder)
    assert load(tiny_folder, "cpu", 1).precision == "fp32"
    refused(tiny_folder, "computes no numbers.*Choose another --precision", precision="fp16")


def test_bits_that_cannot_be_had(folder: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # importing it raises ModuleNotFoundError
    for bits in (8, 4):
        change(folder / "ventriloquist.json", settings={"load_in_8bit": bits == 8, "load_in_4bit": bits == 4})
        loaded = load(folder, "cpu", 1)
        assert (loaded.bits, loaded.merged) == (0, True)
        assert loaded.notice.startswith(
            f"This checkpoint was trained on its base in {bits} bits and is loaded without: "
        )
        assert "pip install 'ventriloquist[quantized]'" in loaded.notice
        assert load(folder, "cpu", 1, bits=0).notice == ""
        refused(folder, f"cannot be loaded in {bits} bits: bitsandbytes is not installed", Exit.USAGE, bits=bits)
        refused(tiny_folder, "leave --load-in-8bit", Exit.USAGE, bits=bits)


@pytest.mark.parametrize("bits", [8, 4])
def test_into_few_bits_nothing_is_merged(folder: Path, base: Path, bits: int) -> None:
    pytest.importorskip("bitsandbytes")
    change(folder / "ventriloquist.json", settings={"load_in_8bit": bits == 8, "load_in_4bit": bits == 4})
    loaded = load(folder, "cpu", 1)
    assert (loaded.bits, loaded.merged, loaded.notice) == (bits, False, "")
    assert type(loaded.model) is Qwen3ForCausalLM
    assert load(folder, "cpu", 1, bits=0).merged and load(folder, "cpu", 1, bits=12 - bits).bits == 12 - bits
    exact = logits(load(folder, "cpu", 1, bits=0).model)
    far = (logits(load(folder, "cpu", 1, trained=False).model) - exact).abs().mean()
    assert 0 < (logits(loaded.model) - exact).abs().mean() < far


def test_settings_of_chat_and_evaluate(workspace: Workspace) -> None:
    for settings in (ChatSettings, EvaluateSettings):
        for given, bits in (
            ({}, None), ({"load_in_8bit": True}, 8), ({"load_in_4bit": True}, 4), ({"load_in_4bit": False}, 0),
        ):  # fmt: skip
            assert settings.load(workspace, **given).bits == bits
        with pytest.raises(UsageFault, match="Choose one of --load-in-8bit and --load-in-4bit"):
            _ = settings.load(workspace, load_in_8bit=True, load_in_4bit=True).bits
        with pytest.raises(UsageFault, match="--precision"):
            settings.load(workspace, precision="int3")


# --- the base ----------------------------------------------------------------------------------------------------


def test_a_base_from_the_hub(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = own_cache(tmp_path / "hf", monkeypatch)
    snapshot = cache / "snapshots" / COMMIT
    shutil.copytree(base, snapshot)
    made = save_adapter(snapshot, tmp_path / "final", known_as="Example/Small-Base", revision=COMMIT)
    assert load(made, "cpu", 1).merged
    (snapshot / "model.safetensors").rename(tmp_path / "aside")
    refused(made, f"only in part.*ventriloquist base fetch Example/Small-Base --revision {COMMIT}", Exit.NO_INPUT)
    shutil.rmtree(snapshot)
    told = refused(made, "Example/Small-Base at cccccccccccc, is not on this machine", Exit.NO_INPUT)
    assert told.endswith(f"Get it with: ventriloquist base fetch Example/Small-Base --revision {COMMIT}")
    change(made / "ventriloquist.json", base={"kind": "hf", "id": "Example/../../x", "hash": "h", "revision": COMMIT})
    refused(made, "no base on Hugging Face is called so", Exit.NO_INPUT)


def test_a_base_that_has_moved_or_changed(own: tuple[Path, Path]) -> None:
    base, folder = own
    base.rename(base.with_name("elsewhere"))
    refused(folder, f"was in {base} and is there no more", Exit.NO_INPUT)
    base.symlink_to(base.with_name("elsewhere"))
    assert load(folder, "cpu", 1).merged
    change(base / "config.json", rope_theta=5e5)
    refused(folder, "its files have changed")


def damage_base(base: Path, kind: str) -> None:
    weights = base / "model.safetensors"
    tensors = load_file(weights)
    if kind == "truncated":
        os.truncate(weights, weights.stat().st_size - 1000)
    elif kind == "no safetensors":
        weights.write_bytes(b"these are no weights")
    elif kind == "an index without its file":
        (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    elif kind == "an index that names a pickle":
        (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model.bin"}}))
        weights.rename(base / "model.bin")  # its name is what says how transformers would read it
        save_file({}, base / "other.safetensors")
    elif kind == "a layer is missing":
        save_file(
            {name: each for name, each in tensors.items() if "layers.1.mlp" not in name}, weights, {"format": "pt"}
        )
    elif kind == "another shape":
        tensors["model.layers.0.mlp.up_proj.weight"] = torch.zeros(8, 64)
        save_file(tensors, weights, {"format": "pt"})
    elif kind == "no numbers":
        tensors["model.norm.weight"][3] = float("nan")
        save_file(tensors, weights, {"format": "pt"})
    elif kind == "an unknown family":
        change(base / "config.json", model_type="nobodys-model", architectures=["Nobodys"])
    elif kind == "a config of nonsense":
        change(base / "config.json", hidden_size="wide", num_attention_heads=-1)
    elif kind == "code":
        change(base / "config.json", auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"})
        (base / "modeling_evil.py").write_text("open('ran', 'w')")
    elif kind == "an adapter":
        (base / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/somewhere/else"}))
    elif kind == "no config":
        (base / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("kind", "words", "code"),
    [
        ("truncated", "model.safetensors are damaged: fetch or copy", Exit.NO_INPUT),
        ("no safetensors", "model.safetensors are damaged: fetch or copy", Exit.NO_INPUT),
        ("an index without its file", "not whole: model-1.safetensors is missing", Exit.NO_INPUT),
        ("an index that names a pickle", "model.bin are damaged", Exit.NO_INPUT),
        ("a layer is missing", "are not those that its config.json tells", Exit.NO_INPUT),
        ("another shape", "are not those that its config.json tells", Exit.NO_INPUT),
        ("no numbers", "computes no numbers: its weights are damaged", Exit.FAILED),
        ("an unknown family", "cannot be loaded", Exit.NO_INPUT),
        ("a config of nonsense", "cannot be loaded", Exit.NO_INPUT),
        ("code", "wants to run code of its own", Exit.FAILED),
        ("an adapter", "holds an adapter where a whole model should be", Exit.FAILED),
        ("no config", "config.json cannot be read", Exit.NO_INPUT),
    ],
)
def test_a_damaged_base(
    own: tuple[Path, Path], tmp_path: Path, kind: str, words: str, code: Exit,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    base, folder = own
    monkeypatch.chdir(tmp_path)
    damage_base(base, kind)
    described = json.loads((folder / "ventriloquist.json").read_text())["base"]
    if kind != "no config":  # as if it had been so from the beginning
        change(folder / "ventriloquist.json", base={**described, "hash": hub.fingerprint(base)})
    reseal(folder)
    capfd.readouterr()
    refused(folder, words, code)
    assert capfd.readouterr() == ("", "") and not (tmp_path / "ran").exists()


# --- memory ------------------------------------------------------------------------------------------------------


def test_what_cannot_fit_is_refused_before_it_is_loaded(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "free_memory", lambda device: 300_000)
    monkeypatch.setattr(loading, "load_base", lambda *given: pytest.fail("it is loaded"))
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    told = refused(made, r"does not fit into the memory of this machine \(its weights alone take 0\.\d GB\)")
    assert told.endswith("Close other programs, load it with --precision bf16, or train on a smaller base.")
    monkeypatch.setattr(loading, "why_not_quantised", lambda device: "")
    assert "load it with --load-in-4bit" in refused(made, "does not fit")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=["python", "cuda", "cpu", "mps", "system"],
)
@pytest.mark.parametrize("at", ["base", "adapter", "tokenizer", "first token"])
def test_memory_that_runs_out(made: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, at: str) -> None:
    def fail(*given: Any, **more: Any) -> None:
        raise error

    owner, name = {
        "base": (AutoModelForCausalLM, "from_pretrained"),
        "adapter": (LoraModel, "merge_and_unload"),
        "tokenizer": (AutoTokenizer, "from_pretrained"),
        "first token": (Qwen3ForCausalLM, "forward"),
    }[at]
    monkeypatch.setattr(owner, name, fail)
    refused(made, "does not fit into the memory of this machine.*Close other programs")


LIMITED = """
import resource, sys
from pathlib import Path
import psutil
import ventriloquist.model.load as loading
from ventriloquist.faults import Fault
import torch
def load(limit):
    if limit:
        room = psutil.Process().memory_info().vms + int(limit)
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    try:
        loading.load(Path(sys.argv[1]), "cpu", 1)
        print("loaded")
    except Fault as fault:
        print(int(fault.exit), fault)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
load(0)
for megabytes in (1, 20, 60, 100):
    load(megabytes << 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_memory_that_really_runs_out(tmp_path: Path) -> None:
    tokenizer = tiny.build_tokenizer(LINES, 400)
    config = Qwen3Config(vocab_size=20_000, hidden_size=1024, intermediate_size=2048, num_hidden_layers=1,
                         num_attention_heads=8, num_key_value_heads=4, head_dim=64)  # fmt: skip
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    made = save_adapter((tmp_path / "base").resolve(), tmp_path / "final")
    gc.collect()
    done = subprocess.run([sys.executable, "-c", LIMITED, str(made)], capture_output=True, text=True, timeout=120)
    told = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "" and told[0] == "loaded", done
    assert len(told) == 5 and all(line.startswith("1 The model does not fit into the memory") for line in told[1:]), (
        told
    )
