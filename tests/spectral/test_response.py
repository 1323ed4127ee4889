import pytest
import torch

from snl_graph import nonlocal_block
from snl_graph.conv import SNLConv
from snl_graph.spectral import filter_response, spectrum


def naive(weights, lambdas, basis="monomial"):
    """Σ_k P_k W_k with P_k = (1 − λ)^k or T_k(λ − 1) = cos(k arccos(λ − 1))."""
    rows = []
    for value in lambdas:
        total = torch.zeros_like(weights[0])
        for k, weight in enumerate(weights):
            if basis == "monomial":
                factor = (1 - value) ** k
            else:
                factor = torch.cos(k * torch.arccos(value - 1))
            total = total + factor * weight
        rows.append(total)
    return torch.stack(rows)


LAMBDAS = torch.linspace(0, 2, 7, dtype=torch.float64)


@pytest.mark.parametrize("basis", ["monomial", "chebyshev"])
@pytest.mark.parametrize("K", [1, 2, 4])
def test_response_of_a_layer_is_the_polynomial_of_its_weights(basis, K):
    conv = SNLConv(3, 5, K=K, basis=basis).double()
    weights = [conv.get_parameter(f"lins.{k}.weight").detach() for k in range(K)]
    found = filter_response(conv, LAMBDAS)
    assert found.shape == (7, 5, 3)
    torch.testing.assert_close(found, naive(weights, LAMBDAS, basis), rtol=0, atol=1e-12)


def test_responses_of_the_rows_of_table_1():
    for name, taps in {"snl": "W0 + (1 − λ) W1", "nl": "(1 − λ) W1", "ns": "−λ W1"}.items():
        block = nonlocal_block(name, 6, hidden_channels=4).double()
        w = {key: module.weight.detach() for key, module in block.units[0].w.items()}
        at = LAMBDAS[:, None, None]
        expected = {
            "snl": lambda w=w, at=at: w["0"] + (1 - at) * w["1"],
            "nl": lambda w=w, at=at: (1 - at) * w["1"],
            "ns": lambda w=w, at=at: -at * w["1"],
        }[name]()
        torch.testing.assert_close(
            filter_response(block, LAMBDAS), expected, rtol=0, atol=1e-12, msg=taps
        )


def test_the_filter_multiplies_an_eigenvector_by_its_response():
    block = nonlocal_block(
        "gsnl", 4, K=4, hidden_channels=3, norm="none", representation="dense"
    ).double()
    x = torch.randn(1, 4, 3, 5, dtype=torch.float64)
    found = spectrum((block, x), vectors=True)[0]
    a = block.affinity_of(x).to_dense()[0].detach()
    g = filter_response(block, found.eigenvalues)
    for index in (0, 3, 14):
        v = found.eigenvectors[:, index]
        for channel in range(3):
            z = torch.zeros(15, 3, dtype=torch.float64)
            z[:, channel] = v
            filtered = sum(
                torch.linalg.matrix_power(a, k) @ z @ block.units[0].w[str(k)].weight.T
                for k in range(4)
            )
            torch.testing.assert_close(
                filtered, torch.outer(v, g[index, :, channel]), rtol=0, atol=1e-10
            )


def test_response_at_complex_eigenvalues():
    conv = SNLConv(2, 2, K=3).double()
    at = torch.tensor([0.3 + 0.4j, 1.0 + 0.0j], dtype=torch.complex128)
    weights = [conv.get_parameter(f"lins.{k}.weight").detach() for k in range(3)]
    torch.testing.assert_close(
        filter_response(conv, at), naive([w.to(at.dtype) for w in weights], at)
    )


def test_a_module_without_a_filter_is_refused():
    with pytest.raises(TypeError, match="Linear has no graph filter"):
        filter_response(torch.nn.Linear(2, 2), [0.0])
    with pytest.raises(ValueError, match=r"3 units.*block\.units\[i\]"):
        filter_response(nonlocal_block("snl", 4, depth=3), [0.0])
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        filter_response(nonlocal_block("snl", 4), torch.zeros(2, 2))


def test_a_unit_of_a_deep_block_has_a_response():
    block = nonlocal_block("snl", 4, depth=2)
    w = block.units[1].w
    torch.testing.assert_close(
        filter_response(block.units[1], [0.0])[0], w["0"].weight + w["1"].weight
    )
