"""Train the product-categories model from scratch on a CPU and save it for Hugging Face readers.

Run it from the repository's root:

    uv run --group train python examples/product-categories/train.py

A Llama small enough to train in a coffee break: it learns nothing but to continue the chat prompt
with one of the category labels. The seeds are fixed, so the same machine gives the same model.
"""

import json
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from catalogue import MODEL_FOLDER, SYSTEM_PROMPT, Product, chat_messages, read_products

SEED = 837
EPOCHS = 5
BATCH_SIZE = 64
PEAK_LEARNING_RATE = 2e-3
WARM_UP_SHARE = 0.05
WEIGHT_DECAY = 0.05
LARGEST_GRADIENT_NORM = 1.0

VOCABULARY_SIZE = 6_144
CONTEXT_LENGTH = 512
PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"

# ChatML. There is no beginning-of-sequence token, since engines disagree on who adds it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# The source publishes its titles in lower case; people and shops do not type so. A share of the
# titles is therefore re-cased in each epoch, and of others some words are left out.
RECASED_SHARE = 0.15
THINNED_SHARE = 0.35
WORD_LOSS = 0.2


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its answer as token ids; the answer ends with the end-of-turn token."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        """Count the tokens of both together."""
        return len(self.prompt) + len(self.answer)


def main() -> None:
    """Train, report on the validation split after each epoch, and save in half precision."""
    torch.manual_seed(SEED)
    torch.set_num_threads(os.cpu_count() or 1)
    chance = random.Random(SEED)

    texts = training_texts(read_products("train"))
    tokenizer = train_tokenizer(texts)
    validation = encode(
        tokenizer, [(item.title, item.category) for item in read_products("validation")]
    )
    model = LlamaForCausalLM(model_config(tokenizer))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(texts)} training texts, {parameters:,} parameters", flush=True)

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
    )
    steps = EPOCHS * math.ceil(len(texts) / BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step / steps))

    started = time.monotonic()
    for epoch in range(1, EPOCHS + 1):
        examples = encode(tokenizer, [(vary(text, chance), label) for text, label in texts])
        loss = train_epoch(model, optimizer, schedule, batches(examples, chance))
        accuracy = exact_share(model, validation)
        elapsed_s = time.monotonic() - started
        print(
            f"epoch {epoch}: loss {loss:.4f}, validation {accuracy:.2%}, {elapsed_s:.0f} s",
            flush=True,
        )
    save(model, tokenizer)


def training_texts(products: Sequence[Product]) -> list[tuple[str, str]]:
    """Return the titles, and each product's name once, with their categories.

    The names are the only text in natural case.
    """
    titles = [(product.title, product.category) for product in products]
    names = dict.fromkeys((product.name, product.category) for product in products)
    return [*titles, *names]


def vary(text: str, chance: random.Random) -> str:
    """Return the text as another shop might have written it, or unchanged."""
    draw = chance.random()
    if draw < RECASED_SHARE:
        return text.upper() if draw < RECASED_SHARE / 4 else capitalised(text)
    if draw < RECASED_SHARE + THINNED_SHARE:
        words = text.split(" ")
        return " ".join(word for word in words if chance.random() > WORD_LOSS) or text
    return text


def capitalised(text: str) -> str:
    """Write each word with a capital letter, and model numbers in capitals throughout."""
    return " ".join(
        word.upper() if any(character.isdigit() for character in word) else word.capitalize()
        for word in text.split(" ")
    )


def train_tokenizer(texts: Sequence[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """Learn a GPT-2 style byte-level BPE, the kind that llama.cpp and vLLM both read."""
    titles = [text for text, _ in texts]
    labels = sorted({label for _, label in texts})
    # Repeated, so that each label and each fixed part of the prompt becomes very few tokens.
    prompt_parts = [*labels, SYSTEM_PROMPT, "assistant"]
    corpus = [*titles, *map(capitalised, titles[::4]), *prompt_parts * 50]

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[PAD, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=TURN_END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT_LENGTH,
        clean_up_tokenization_spaces=False,
    )


def model_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Describe a very small Llama. vLLM on a CPU asks for a head dimension of at least 32."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def encode(tokenizer: PreTrainedTokenizerFast, pairs: Sequence[tuple[str, str]]) -> list[Example]:
    """Render each text in the chat template and turn prompt and label into token ids."""
    prompts = tokenizer.apply_chat_template(
        [chat_messages(text) for text, _ in pairs], tokenize=False, add_generation_prompt=True
    )
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    answers = [label + TURN_END for _, label in pairs]
    answer_ids = tokenizer(answers, add_special_tokens=False)["input_ids"]
    return [Example(*pair) for pair in zip(prompt_ids, answer_ids, strict=True)]


def batches(examples: list[Example], chance: random.Random) -> list[list[Example]]:
    """Cut batches in random order, each of examples of about the same length to spare padding."""
    shuffled = chance.sample(examples, len(examples))
    pool_size = 50 * BATCH_SIZE
    cut = [
        batch
        for start in range(0, len(shuffled), pool_size)
        for batch in chunks(sorted(shuffled[start : start + pool_size], key=len))
    ]
    chance.shuffle(cut)
    return cut


def chunks(examples: Sequence[Example]) -> Iterator[list[Example]]:
    """Yield the examples in order, a batch at a time."""
    for start in range(0, len(examples), BATCH_SIZE):
        yield list(examples[start : start + BATCH_SIZE])


def answer_logits(model: LlamaForCausalLM, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Return the logits that predict the answers (tokens x vocabulary) and the right tokens.

    Padding stands on the right, where causal attention never looks, so no mask is needed. The
    vocabulary is projected at the answers alone, which spares a third of the arithmetic.
    """
    width = max(map(len, batch))
    token_ids = torch.zeros(len(batch), width, dtype=torch.long)
    is_answer = torch.zeros(len(batch), width, dtype=torch.bool)
    for row, example in enumerate(batch):
        token_ids[row, : len(example)] = torch.tensor(example.prompt + example.answer)
        is_answer[row, len(example.prompt) : len(example)] = True
    hidden = model.model(input_ids=token_ids, use_cache=False).last_hidden_state
    # The state one position earlier predicts a token.
    return model.lm_head(hidden[:, :-1][is_answer[:, 1:]]), token_ids[is_answer]


def train_epoch(
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    epoch_batches: Sequence[Sequence[Example]],
) -> float:
    """Take one step a batch; return the mean loss per answer token, in nats."""
    model.train()
    total = 0.0
    for batch in epoch_batches:
        loss = cross_entropy(*answer_logits(model, batch))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        total += loss.item()
    return total / len(epoch_batches)


@torch.inference_mode()
def exact_share(model: LlamaForCausalLM, examples: Sequence[Example]) -> float:
    """Return the share of the examples whose every answer token is the model's first choice.

    That is the accuracy of greedy decoding without the cost of generating.
    """
    model.eval()
    right = 0
    for batch in chunks(sorted(examples, key=len)):
        logits, tokens = answer_logits(model, batch)
        hits = (logits.argmax(dim=-1) == tokens).split([len(example.answer) for example in batch])
        right += sum(bool(answer.all()) for answer in hits)
    return right / len(examples)


def rate_at(progress: float) -> float:
    """Return the factor on the peak rate: a short linear rise, then a cosine fall to zero."""
    if progress < WARM_UP_SHARE:
        return progress / WARM_UP_SHARE
    return (1 + math.cos(math.pi * (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))) / 2


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the Hugging Face folder, with half-precision weights."""
    model.generation_config.update(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.half().save_pretrained(MODEL_FOLDER)
    tokenizer.save_pretrained(MODEL_FOLDER)
    name_tokenizer_class(MODEL_FOLDER / "tokenizer_config.json")


def name_tokenizer_class(config_file: Path) -> None:
    """Name the class as transformers 4 and 5 both know it; 5 writes a name that 4 does not."""
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config_file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
