"""Which files hold the weights of a model: one, or the pieces that an index lists."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerscope.io.errors import UserError

if TYPE_CHECKING:
    import torch

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
REMEDY = "pickled weights are not loaded: name a repository, revision or folder with safetensors"


def check_safetensors(name: str, source: str, files: set[str]) -> None:
    """Look among the names of a model's files for weights that cannot run code.

    Raises:
        UserError: there are none.
    """
    if not {WHOLE, INDEX} & files:
        raise UserError(f"models.{name}: {source} holds no {WHOLE} or {INDEX}; {REMEDY}")


def model_files(name: str, folder: Path, weights: str) -> list[Path]:
    """The files that a model is made of: its configuration and, of a trained one, its weights.

    Args:
        weights: trained or random.

    Raises:
        UserError: as :func:`weight_files`.
    """
    index = [folder / INDEX] if _in_pieces(folder) else []
    return [folder / "config.json", *([*index, *weight_files(name, folder)] if weights == "trained" else [])]


def weight_files(name: str, folder: Path) -> list[Path]:
    """The files that the weights of a model are loaded from.

    Raises:
        UserError: there are none, or what an index lists is not a file of this folder.
    """
    check_safetensors(name, str(folder), {path.name for path in folder.iterdir()})
    files = (
        sorted(folder / piece for piece in _pieces(name, folder / INDEX)) if _in_pieces(folder) else [folder / WHOLE]
    )
    for file in files:
        if file.exists() and not file.is_file():
            raise UserError(f"models.{name}: {file} is not a regular file; put the weights there")
    return files


def check_weights(name: str, folder: Path) -> None:
    """Read the headers of a model's weights: they say how long the files must be.

    Raises:
        UserError: as :func:`weight_files`, or a file is not whole.
    """
    from safetensors import SafetensorError, safe_open

    for file in weight_files(name, folder):
        try:
            with safe_open(file, "numpy"):
                pass
        except (SafetensorError, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"models.{name}: {file} is not a whole safetensors file ({reason}); copy it anew") from None


def check_plain(name: str, model_config: dict[str, Any]) -> None:
    """Look in a model's configuration for quantised weights, which other packages would load.

    Raises:
        UserError: they are.
    """
    if model_config.get("quantization_config") is not None:
        raise UserError(
            f"config: models.{name}.source: its config.json has quantization_config; quantised weights are not "
            "supported: name the model with its weights in full"
        )


def read_weights(name: str, folder: Path) -> dict[str, "torch.Tensor"]:
    """The weights of a model by name, mapped from their files.

    Raises:
        UserError: as :func:`weight_files`.
    """
    from safetensors.torch import load_file

    return {key: tensor for file in weight_files(name, folder) for key, tensor in load_file(file).items()}


class WeightFiles:
    """The weights of a model in its files, each read when it is asked for.

    Raises:
        UserError: as :func:`weight_files`, or a file cannot be read.
    """

    def __init__(self, name: str, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.name, self.folder = name, folder
        self._files: dict[str, Any] = {}  # by the name of each weight
        for path in weight_files(name, folder):
            try:
                file = safe_open(path, "pt")
            except (SafetensorError, OSError) as error:
                reason = " ".join(str(error).split())
                raise UserError(f"models.{name}: {path} cannot be read ({reason}); fetch the model again") from None
            self._files |= dict.fromkeys(file.keys(), file)

    def __contains__(self, weight: str) -> bool:
        return weight in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __getitem__(self, weight: str) -> "torch.Tensor":
        """A weight.

        Raises:
            UserError: there is none of this name.
        """
        if weight not in self._files:
            raise UserError(f"models.{self.name}: {self.folder} lacks the weight {weight}; fetch the model again")
        tensor: torch.Tensor = self._files[weight].get_tensor(weight)
        return tensor


def _in_pieces(folder: Path) -> bool:
    """Whether the weights are in pieces; where both are there, the one file is taken, as transformers does."""
    return not (folder / WHOLE).exists() and (folder / INDEX).exists()


def _pieces(name: str, index: Path) -> set[str]:
    """Names of the pieces.

    Raises:
        UserError: the index is damaged, or names what is not a file of its own folder.
    """
    if not index.is_file():
        raise UserError(f"models.{name}: {index} is not a regular file; put the list of the weights there")
    try:
        pieces = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pieces = []
    if not pieces:
        raise UserError(f"models.{name}: {index} is not the list of the model's weights; copy it anew")
    for piece in pieces:
        if not isinstance(piece, str) or Path(piece).name != piece or not piece.endswith(".safetensors"):
            raise UserError(
                f"models.{name}: {index} names {json.dumps(piece)[:80]} as a file of weights; only *.safetensors files "
                "of the same folder are loaded"
            )
    return set(pieces)
