"""The cross-encoder of `mini` as a module: who attends to whom, padding."""

import pytest

torch = pytest.importorskip("torch")

from ctxzip.backends.torch.networks import BackboneConfig, Branch, CrossBranch  # noqa: E402

CONFIG = BackboneConfig(hidden=48, heads=4, feed_forward=96, layers=3, trunk_layers=1)


@pytest.fixture
def network():
    torch.manual_seed(3)
    made = CrossBranch(CONFIG)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def states(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, CONFIG.hidden, generator=generator)


def ones(*shape):
    return torch.ones(*shape, dtype=torch.long)


def test_the_query_is_read_apart_from_the_window(network):
    apart = Branch(CONFIG)
    apart.layers.load_state_dict(network.layers.state_dict())
    joint = []
    network.layers[-1].register_forward_hook(lambda *given: joint.append(given[-1]))
    with torch.no_grad():
        query, window = states(2, 6), states(2, 9)
        _, similar, _ = network(query, ones(2, 6), window, ones(2, 9))
        asked = apart(query + network.asks, ones(2, 6))
        read = joint[0][:, 6:]
        cosine = torch.cosine_similarity(read[:, :, None], asked[:, None], dim=-1)
        weight = network.importance(asked[:, 1:-1]).squeeze(-1).softmax(-1) * network.strength
    assert torch.allclose(joint[0][:, :6], asked, atol=1e-5)
    assert torch.allclose(similar[:, :, 1:-1], cosine[:, :, 1:-1] * weight[:, None], atol=1e-4)
    assert similar[:, :, [0, -1]].abs().max() == 0, "special tokens say nothing"


def test_the_query_changes_the_window(network):
    window = states(1, 9).expand(2, -1, -1)
    with torch.no_grad():
        tokens, _, whole = network(states(2, 6), ones(2, 6), window, ones(2, 9))
    assert (tokens[0] - tokens[1]).abs().max() > 1e-3
    assert abs(float(whole[0] - whole[1])) > 1e-3


def test_padding_changes_nothing(network):
    query, window = states(1, 6), states(1, 9)
    wide_query, wide_window = states(2, 11), states(2, 20)
    wide_query[0, :6], wide_window[0, :9] = query[0], window[0]
    query_mask, window_mask = ones(2, 11), ones(2, 20)
    query_mask[0, 6:], window_mask[0, 9:] = 0, 0
    with torch.no_grad():
        alone = network(query, ones(1, 6), window, ones(1, 9))
        among = network(wide_query, query_mask, wide_window, window_mask)
    assert torch.allclose(alone[0][0], among[0][0, :9], atol=1e-5)
    assert torch.allclose(alone[1][0], among[1][0, :9, :6], atol=1e-5)
    assert torch.allclose(alone[2][0], among[2][0], atol=1e-5)
    assert among[1][0, :, 6:].abs().max() == 0


def test_training_takes_another_way_to_the_same_values(network):
    inputs = (states(2, 6), ones(2, 6), states(2, 9), ones(2, 9))
    with torch.no_grad():
        fused = network(*inputs)
        plain = network.train()(*inputs)
    for ours, theirs in zip(plain, fused, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
