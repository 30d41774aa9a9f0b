"""Ask the Hugging Face folder through `transformers`, the implementation it was trained with."""

from collections.abc import Sequence

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from answers import Answer
from catalogue import MODEL_FOLDER, chat_messages

BATCH_SIZE = 64
LONGEST_ANSWER_TOKENS = 12


@torch.inference_mode()
def ask_all(titles: Sequence[str]) -> list[Answer]:
    """Answer every title, in order, by greedy decoding in single precision."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_FOLDER, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(MODEL_FOLDER, dtype=torch.float32).eval()
    answers: list[Answer] = []
    for start in range(0, len(titles), BATCH_SIZE):
        prompts = tokenizer.apply_chat_template(
            [chat_messages(title) for title in titles[start : start + BATCH_SIZE]],
            add_generation_prompt=True,
            padding=True,
            return_dict=True,
            return_tensors="pt",
        )
        generated = model.generate(
            **prompts,
            max_new_tokens=LONGEST_ANSWER_TOKENS,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens = generated.sequences[:, prompts["input_ids"].shape[1] :]
        steps = torch.stack(generated.logits, dim=1).log_softmax(dim=-1)
        chosen = steps.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        # Rows that end early are filled up with padding, which counts as little as the end token.
        counted = (tokens != model.config.eos_token_id) & (tokens != model.config.pad_token_id)
        probabilities = (chosen * counted).sum(dim=1).exp().tolist()
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        answers.extend(map(Answer, texts, probabilities))
    return answers
