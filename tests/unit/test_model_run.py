"""What reducers are given by a run, and that results which are merged are those of one run."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny_models import LAYERS, save_random_tokens, save_tiny_model

from layerscope.model.hooks import SiteError
from layerscope.model.run import MergeableReducer, ModelRun
from layerscope.studies.path_length.extract import PathReducer
from layerscope.studies.token_similarity.extract import ChosenVectors

SEQUENCES, LENGTH = 5, 16
PLACES = np.random.default_rng(0).integers(0, LENGTH, (SEQUENCES, 2))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("tokens") / "tokens.h5"
    return save_random_tokens(path, SEQUENCES, LENGTH).input_ids.reshape(SEQUENCES, LENGTH)


def run_over(model: dict, rows: np.ndarray, batch_size: int | str = 2) -> ModelRun:
    return ModelRun(model, {"dtype": "float32", "batch_size": batch_size}, "cpu", 1, rows)


class Recorder:
    """Keeps what it receives."""

    size = 0

    def __init__(self, *sites: str) -> None:
        self.sites = sites
        self.received: list[tuple[str, int, torch.Tensor, slice]] = []

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        self.received.append((site, layer, tensor.clone(), rows))

    def finish(self) -> None:
        """Nothing is left to do."""

    def of(self, site: str, layer: int) -> torch.Tensor:
        """What a site of a layer had, of all rows."""
        return torch.cat([tensor for s, at, tensor, _ in self.received if (s, at) == (site, layer)])


@pytest.mark.parametrize(
    ("batch_size", "ranges"),
    [
        (1, [(i, i + 1) for i in range(5)]),
        (2, [(0, 2), (2, 4), (4, 5)]),
        (3, [(0, 3), (3, 5)]),
        (5, [(0, 5)]),
        (8, [(0, 5)]),  # of which the checks see what fills it up
        ("auto", [(0, 5)]),
    ],
)
def test_each_tensor_comes_with_the_rows_it_holds_and_no_others(
    model: dict, rows: np.ndarray, batch_size: int | str, ranges: list[tuple[int, int]]
) -> None:
    recorder, whole = Recorder("resid_pre", "mlp_pre"), Recorder("resid_pre", "mlp_pre")
    run_over(model, rows, batch_size).reduce(recorder)
    run_over(model, rows, 5).reduce(whole)
    for site in recorder.sites:
        for layer in range(LAYERS["gpt2"]):
            of_layer = [(tensor, at) for s, where, tensor, at in recorder.received if (s, where) == (site, layer)]
            assert [(at.start, at.stop) for _, at in of_layer] == ranges
            assert [tensor.shape[:2] for tensor, _ in of_layer] == [(stop - start, LENGTH) for start, stop in ranges]
            for tensor, at in of_layer:
                torch.testing.assert_close(tensor, whole.of(site, layer)[at], rtol=0, atol=1e-5)


def test_each_reducer_receives_its_own_sites_alone(model: dict, rows: np.ndarray) -> None:
    reducers = Recorder("mlp_pre"), Recorder("q", "mlp_pre")
    run_over(model, rows).reduce(*reducers)
    for reducer in reducers:
        assert {site for site, *_ in reducer.received} == set(reducer.sites)
    for layer in range(LAYERS["gpt2"]):
        assert torch.equal(*(reducer.of("mlp_pre", layer) for reducer in reducers))


def test_a_check_that_fails_names_the_model(model: dict, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_over(model, rows)
    run.model.base.h[1].register_forward_hook(lambda module, args, output: output * 1.5)
    with pytest.raises(SiteError, match=r"^models\.gpt2: layer 1: resid_post differs"):
        run.reduce(Recorder("q"))


REDUCERS: dict[str, Callable[[ModelRun, slice], MergeableReducer]] = {
    "path lengths": lambda run, rows: PathReducer(run),
    "chosen vectors": lambda run, rows: ChosenVectors(run, PLACES[rows]),
}


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize("stops", [(2, 5), (1, 3, 5), (4, 5)])
def test_merged_results_are_those_of_one_run(model: dict, rows: np.ndarray, name: str, stops: tuple[int, ...]) -> None:
    def reduced(part: slice) -> MergeableReducer:
        run = run_over(model, rows[part], 2)  # in batches of one shape, which give the same bits
        reducer = REDUCERS[name](run, part)
        run.reduce(reducer)
        return reducer

    whole = reduced(slice(0, SEQUENCES))
    first, *others = (reduced(slice(start, stop)) for start, stop in zip((0, *stops), stops, strict=False))
    first.merge(*others)
    found, expected = first.finish(), whole.finish()
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values)
    assert first.size == whole.size == sum(values.nbytes for values in expected.values())
