"""Captioners with random weights, written as transformers writes them; they say nothing sensible.

Imports transformers, so only tests that need it import this module.
"""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = [
    "a",
    "red",
    "blue",
    "door",
    "dog",
    "cat",
    "house",
    "tree",
    "man",
    "woman",
    "wall",
    "table",
    "in",
    "on",
    "of",
    "the",
    "and",
    "with",
]
SIDE = 32


def _randomise(network: torch.nn.Module) -> None:
    """Draw weights large enough for the picture to make a difference."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            # a random bias of the last layer would say one word, whatever is seen
            if parameter.dim() > 1:
                parameter.normal_(0, 0.7, generator=generator)


def write_blip(folder: Path) -> None:
    """Write a BLIP of two small layers."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *WORDS]) + "\n")
    tokenizer = transformers.BertTokenizerFast.from_pretrained(folder)
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {
        "vocab_size": len(tokenizer),
        "encoder_hidden_size": 16,
        "max_position_embeddings": 128,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "pad_token_id": 0,
    }
    vision = {"image_size": SIDE, "patch_size": 16}
    config = transformers.BlipConfig(
        text_config=sizes | text,
        vision_config=sizes | vision,
        projection_dim=16,
        image_text_hidden_size=16,
    )
    network = transformers.BlipForConditionalGeneration(config)
    _randomise(network)
    network.save_pretrained(folder)
    pictures = transformers.BlipImageProcessor(size={"height": SIDE, "width": SIDE})
    transformers.BlipProcessor(pictures, tokenizer).save_pretrained(folder)


def write_florence(folder: Path) -> None:
    """Write a Florence-2 of small layers."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<image>"]
    prompt = ["What", "does", "the", "image", "describe", "?"]
    words = list(dict.fromkeys([*special, *WORDS, *prompt]))
    rules = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>")
    )
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=rules,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        extra_special_tokens={"image_token": "<image>"},
    )
    config = transformers.Florence2Config(
        image_token_id=special.index("<image>"),
        vision_config={
            "depths": (1, 1, 1, 1),
            "embed_dim": (8, 8, 8, 16),
            "num_heads": (1, 1, 1, 1),
            "num_groups": (1, 1, 1, 1),
            "window_size": 4,
            "projection_dim": 16,
        },
        text_config={
            "model_type": "bart",
            "vocab_size": len(words),
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "max_position_embeddings": 128,
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 2,
        },
    )
    network = transformers.Florence2ForConditionalGeneration(config)
    _randomise(network)
    # random weights would end at once, or say nothing but special tokens
    network.generation_config.min_new_tokens = 6
    network.generation_config.suppress_tokens = [0, 1, 3, 4, 5]
    network.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    pictures = transformers.CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False)
    # one for the place of the picture, one for its mean
    pictures.image_seq_length = 2
    transformers.Florence2Processor(pictures, tokenizer).save_pretrained(folder)
