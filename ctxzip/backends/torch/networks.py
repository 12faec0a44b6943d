"""The neural network of `mini`: a trunk that reads texts without a question, and branches on it.

The trunk is the embedding layer and the first layers of all-MiniLM-L6-v2 and never sees the query,
so what it returns for a document can be cached. Each branch owns the upper layers: `Branch` ends in
token states (unit embeddings, late interaction) or in one keep logit per token; `CrossBranch`
joins the trunk states of a query and of a window (MacAvaney et al., "Efficient Document Re-Ranking
for Transformers by Precomputing Term Representations", SIGIR 2020).

Shapes: B batch, L tokens of a window, Q tokens of a query, H = 384 hidden units. Masks are 1 for a
token and 0 for padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BackboneConfig", "Branch", "CrossBranch", "Trunk", "load_layers", "load_trunk"]


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Sizes of the network; the defaults are those of all-MiniLM-L6-v2."""

    vocabulary: int = 30522
    positions: int = 512
    hidden: int = 384
    heads: int = 12
    feed_forward: int = 1536
    layers: int = 6
    trunk_layers: int = 3


def attention_bias(mask: Tensor) -> Tensor:
    """(B, L) mask → additive (B, 1, 1, L) bias: 0 where a token may be attended to."""
    return (1.0 - mask.to(torch.float32))[:, None, None, :] * -1e4


class Layer(nn.Module):
    """One BERT encoder layer (post-norm): (B, L, H) states and a (B, 1, 1, L) bias → (B, L, H)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key = nn.Linear(config.hidden, config.hidden)
        self.value = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)
        self.attention_norm = nn.LayerNorm(config.hidden, eps=1e-12)
        self.expand = nn.Linear(config.hidden, config.feed_forward)
        self.contract = nn.Linear(config.feed_forward, config.hidden)
        self.output_norm = nn.LayerNorm(config.hidden, eps=1e-12)

    def _split(self, states: Tensor) -> Tensor:
        batch, length, hidden = states.shape
        return states.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """Attend and transform; the shape stays."""
        query, key, value = (
            self._split(self.query(states)),
            self._split(self.key(states)),
            self._split(self.value(states)),
        )
        bias = bias.to(query.dtype)
        if self.training and query.device.type == "cpu":
            # The fused attention takes three times as long there, backwards.
            near = query * (query.shape[-1] ** -0.5) @ key.transpose(2, 3) + bias
            mixed = near.softmax(dim=-1).to(value.dtype) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(states.shape)
        states = self.attention_norm(states + self.output(mixed))
        result: Tensor = self.output_norm(
            states + self.contract(functional.gelu(self.expand(states)))
        )
        return result


class Trunk(nn.Module):
    """Embeddings and the lower layers: (B, L) token ids and mask → (B, L, H) states."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocabulary, config.hidden)
        self.positions = nn.Embedding(config.positions, config.hidden)
        self.segment = nn.Parameter(torch.zeros(config.hidden))
        self.norm = nn.LayerNorm(config.hidden, eps=1e-12)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.trunk_layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Read the windows; the positions run from 0 in each of them."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        states: Tensor = self.norm(self.words(ids) + self.positions(positions) + self.segment)
        bias = attention_bias(mask)
        for layer in self.layers:
            states = layer(states, bias)
        return states


class Branch(nn.Module):
    """The upper layers over trunk states: token states (B, L, H), or logits (B, L)."""

    def __init__(self, config: BackboneConfig, *, logits: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(config) for _ in range(config.layers - config.trunk_layers)
        )
        self.logit = nn.Linear(config.hidden, 1) if logits else None

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Continue from the trunk."""
        bias = attention_bias(mask)
        for layer in self.layers:
            states = layer(states, bias)
        if self.logit is None:
            return states
        result: Tensor = self.logit(states).squeeze(-1)
        return result


class CrossBranch(nn.Module):
    """Relevance of a window to a query, from the trunk states of both.

    The window attends to the query, the query only to itself. With the layers of the `late` branch
    it begins near late interaction (Khattab and Zaharia, "ColBERT", SIGIR 2020), whose query is
    the same for every window.

    Attributes:
        asks: added to the states of the query, shape (H,).
        holds: added to the states of the window, shape (H,).
        importance: of a query token among those of its query, as a logit.
        strength: of the similarities; their sum over the query is at most this.
        match: weight of the cosine with the query's mean state in a token's logits.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        upper = config.layers - config.trunk_layers
        self.layers = nn.ModuleList(Layer(config) for _ in range(upper))
        self.asks = nn.Parameter(torch.zeros(config.hidden))
        self.holds = nn.Parameter(torch.zeros(config.hidden))
        self.importance = nn.Linear(config.hidden, 1)
        self.strength = nn.Parameter(torch.tensor([20.0]))
        self.logit = nn.Linear(config.hidden, 2)
        self.match = nn.Parameter(torch.tensor([6.0, 0.0]))
        self.passage = nn.Linear(config.hidden, 1)

    def forward(
        self, query: Tensor, query_mask: Tensor, window: Tensor, window_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read B pairs.

        Args:
            query: trunk states with special tokens, (B, Q, H).
            query_mask: (B, Q).
            window: trunk states, (B, L, H).
            window_mask: (B, L).

        Returns:
            Token logits (B, L, 2), of relevance and of belonging to an answer; similarities of
            window tokens with query tokens, weighted (B, L, Q), of which a unit's relevance adds
            the largest for each query token; and a logit of the window (B,).
        """
        size = query.shape[1]
        states = torch.cat([query + self.asks, window + self.holds], dim=1)
        asks = torch.cat([torch.ones_like(query_mask[0]), torch.zeros_like(window_mask[0])])
        asks = asks.to(torch.float32)
        bias = attention_bias(torch.cat([query_mask, window_mask], dim=1))
        bias = torch.minimum(bias, -1e4 * asks[:, None] * (1 - asks)[None, :])
        for layer in self.layers:
            states = layer(states, bias)
        asked, read = states[:, :size], states[:, size:]
        weight = query_mask.to(asked.dtype)[:, :, None]
        near = functional.normalize(read, dim=-1)
        pooled = functional.normalize((asked * weight).sum(dim=1), dim=-1)
        match = (near * pooled[:, None, :]).sum(dim=-1)
        token = self.logit(read) + self.match * match[:, :, None]
        similar = near @ functional.normalize(asked, dim=-1).transpose(1, 2)
        similar = similar * (self.strength * self._importance(asked, query_mask))[:, None, :]
        return token, similar, self.passage(read[:, 0]).squeeze(-1)

    def _importance(self, asked: Tensor, mask: Tensor) -> Tensor:
        """Weights of the query tokens, (B, Q): 0 for special tokens and padding, 1 in sum."""
        inner = mask.to(torch.float32)
        after = functional.pad(inner[:, 1:], (0, 1))  # the last token of a query is [SEP]
        inner = inner * after * functional.pad(torch.ones_like(inner[:, 1:]), (1, 0))
        logit = self.importance(asked).squeeze(-1).to(torch.float32)
        weight: Tensor = (logit + (inner - 1.0) * 1e4).softmax(dim=-1)
        return weight


def load_layers(layers: nn.ModuleList, weights: Mapping[str, Tensor], first: int) -> None:
    """Fill `layers` from a Hugging Face BERT state dict, from its encoder layer `first` on."""
    names = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "output": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "expand": "intermediate.dense",
        "contract": "output.dense",
        "output_norm": "output.LayerNorm",
    }
    for number, layer in enumerate(layers, start=first):
        layer.load_state_dict(
            {
                f"{ours}.{kind}": weights[f"encoder.layer.{number}.{theirs}.{kind}"]
                for ours, theirs in names.items()
                for kind in ("weight", "bias")
            }
        )


def load_trunk(trunk: Trunk, weights: Mapping[str, Tensor]) -> None:
    """Fill the trunk, embeddings included, from a Hugging Face BERT state dict."""
    with torch.no_grad():
        trunk.words.weight.copy_(weights["embeddings.word_embeddings.weight"])
        trunk.positions.weight.copy_(weights["embeddings.position_embeddings.weight"])
        trunk.segment.copy_(weights["embeddings.token_type_embeddings.weight"][0])
        trunk.norm.weight.copy_(weights["embeddings.LayerNorm.weight"])
        trunk.norm.bias.copy_(weights["embeddings.LayerNorm.bias"])
    load_layers(trunk.layers, weights, 0)
