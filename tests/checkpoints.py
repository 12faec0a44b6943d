"""Tiny checkpoints with random weights, made while the tests run: nothing is downloaded.

The weights are drawn with a wide standard deviation, so that probabilities spread and a wrong token
or a wrong mask changes them.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

SENTENCES = [
    "The pump was installed in May 2019 and inspected twice a year.",
    "Pressure must not exceed 4.5 bar (65 psi), otherwise the valve opens.",
    "Dr. O'Neill doesn't agree: \"That can't be the reason,\" she wrote.",
    "See https://example.org/a?b=1&c=2 or mail help@example.org for details.",
    "Order #A-4471/b costs $1,299.00, but the discount is 12.5 %.",
    "Nicht jede Straße führt nach Köln; manche enden im Wald.",
    "Les élèves n'ont jamais vu l'œuvre complète du poète.",
    "¿Cuándo llegó el último tren a Málaga?",
    "Насос не работает с пятницы, сообщил инженер.",
    "水泵在五月安装。压力不得超过四点五巴。",
    "ポンプは５月に設置された。",
    "The café menu lists naïve ﬁgs, ½ a melon and crème brûlée.",
    "Ship it 🚀🚀 now 👩‍👩‍👧‍👦 and smile 😀!",
    "def area(w, h=2):\n    return w * h  # square metres",
    '{\'id\': 7, "tags": ["a", "b"], \'ok\': True}',
    "| part | stock |\n|------|-------|\n| hose | 12 |",
    "- first item\n- second item\n\n1) third item",
    "Wait... what?! No -- really --- no.",
    "state-of-the-art end_to_end C++ <b>bold</b> ##heading A&B 50/50",
    "He said he would come. He did not. He never does.",
    "The committee's report, which nobody had read, was approved unanimously on 3 July.",
    "Temperatures fell to -12 °C overnight; roads were closed.",
    "x² + y² = r², ∑ i = n(n+1)/2, π ≈ 3.14159.",
    "A\tB\tC   D\u00a0E",
]


def texts(count: int, seed: int, longest: int = 12) -> list[str]:
    """Texts of one to ``longest`` pieces, in many scripts and kinds of markup."""
    rng = random.Random(seed)
    return [
        rng.choice([" ", "\n", "\n\n", ". "]).join(
            rng.choice(SENTENCES) for _ in range(rng.randint(1, longest))
        )
        for _ in range(count)
    ]


def wordpiece() -> Any:
    """A BERT-like tokenizer trained on the sentences above."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import WordPieceTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # Without the sentences in 🚀 and kana, so that some pieces are unknown.
    known = [s for s in SENTENCES if "🚀" not in s and "ポ" not in s]
    tokenizer.train_from_iterator(
        known, WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
    )


def unigram() -> Any:
    """An XLM-R-like tokenizer trained on the sentences above."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import UnigramTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    known = [s for s in SENTENCES if "🚀" not in s and "ポ" not in s]
    tokenizer.train_from_iterator(
        known,
        UnigramTrainer(
            vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_max_length=512,
    )


_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.3,
}


def bert(folder: Path, *, head: str = "TokenClassification", labels: int = 2) -> Path:
    """A BERT checkpoint with a WordPiece tokenizer; ``head=""`` for the bare encoder."""
    import torch
    import transformers

    tokenizer = wordpiece()
    torch.manual_seed(5)
    config = transformers.BertConfig(vocab_size=len(tokenizer), num_labels=labels, **_SIZE)
    kind = f"BertFor{head}" if head else "BertModel"
    return _save(folder, tokenizer, getattr(transformers, kind)(config))


def xlm_roberta(folder: Path) -> Path:
    """An XLM-R token classification checkpoint with a Unigram tokenizer."""
    import torch
    import transformers

    tokenizer = unigram()
    torch.manual_seed(5)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        num_labels=2,
        **_SIZE,
    )
    return _save(folder, tokenizer, transformers.XLMRobertaForTokenClassification(config))


def llama(folder: Path, *, positions: int = 2048) -> Path:
    """A causal language model whose tokenizer has one token each for Yes and No."""
    import torch
    import transformers

    tokenizer = unigram()
    tokenizer.add_tokens(["Yes", "No"])
    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=positions,
        num_key_value_heads=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **_SIZE,
    )
    return _save(folder, tokenizer, transformers.LlamaForCausalLM(config))


# Causal language models of other architectures: what their configs need beside the sizes.
CAUSAL: dict[str, dict[str, Any]] = {
    "qwen2": {"num_key_value_heads": 1},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 16},
    "gpt2": {},
    "gpt_neox": {},
    "phi3": {"num_key_value_heads": 1},
    "gemma2": {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8},
    "bloom": {},
    "falcon": {"alibi": True},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8, "num_layers": 2},
    "roberta": {"is_decoder": True},
    "jamba": {"num_key_value_heads": 1, "attn_layer_period": 2, "attn_layer_offset": 1},
    "mamba": {"state_size": 4},
}


def causal(folder: Path, kind: str) -> Path:
    """A causal language model; ``kind`` is one of ``CAUSAL``."""
    import torch
    import transformers

    tokenizer = unigram()
    tokenizer.add_tokens(["Yes", "No"])
    torch.manual_seed(5)
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), **special, **_SIZE, **CAUSAL[kind]
    )
    return _save(folder, tokenizer, transformers.AutoModelForCausalLM.from_config(config))


def t5(folder: Path) -> Path:
    """An encoder-decoder."""
    import torch
    import transformers

    tokenizer = unigram()
    torch.manual_seed(5)
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        initializer_factor=3.0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return _save(folder, tokenizer, transformers.T5ForConditionalGeneration(config))


def _save(folder: Path, tokenizer: Any, model: Any) -> Path:
    tokenizer.save_pretrained(folder)
    model.eval().save_pretrained(folder)
    return folder


def by_formula(folder: Path, kind: str) -> Path:
    """A checkpoint whose weights and vocabulary are written down, not drawn or trained.

    Numbers computed with it hold for every version of PyTorch and of the tokenizers.

    Args:
        folder: where to save it.
        kind: ``"encoder"`` (BERT) or ``"causal"`` (Llama).
    """
    import numpy as np
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?()'\"-"
    words = ["the", "pump", "was", "in", "of", "and", "valve", "Query", "Sentence", "Yes", "No"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<start_of_turn>", "<end_of_turn>"]
    vocabulary = [*special, *letters, *(f"##{c}" for c in letters), *words]
    tokenizer = Tokenizer(
        models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    suffix = " [SEP]" if kind == "encoder" else ""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"[CLS] $A{suffix}", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(special)
    saved = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        model_max_length=512 if kind == "encoder" else 1024,
    )
    sizes = {key: value for key, value in _SIZE.items() if key != "initializer_range"}
    if kind == "encoder":
        config = transformers.BertConfig(vocab_size=len(vocabulary), **sizes)
        model = transformers.BertModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=len(vocabulary), max_position_embeddings=1024, **sizes
        )
        model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for i, (name, parameter) in enumerate(sorted(model.named_parameters())):
            wave = np.sin(np.arange(parameter.numel()) * (1.7 + 0.01 * i) + i).astype(np.float32)
            wave = 1 + 0.1 * wave if "norm" in name.lower() and "weight" in name else 0.4 * wave
            parameter.copy_(torch.from_numpy(wave).reshape(parameter.shape))
    return _save(folder, saved, model)
