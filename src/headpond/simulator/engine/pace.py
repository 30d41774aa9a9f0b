"""How long an iteration takes.

    base + max(weights, per_token * tokens) + per_sequence * sequences + per_kv_token * kv_tokens
         + per_attended * attended

An iteration reads all weights once, or computes for longer than that takes; it reads the keys and
values of every sequence that decodes; a prompt's tokens attend to those before them. That is the
roofline model with what is left of it as `base` (S. Williams et al., CACM 52, 2009).
"""

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; `per_attended_s` is for a million pairs of tokens."""

    base_s: float
    weights_s: float
    per_token_s: float
    per_sequence_s: float
    per_kv_token_s: float
    per_attended_s: float = 0.0
    reading_s: float = 0.0
    """The least that an iteration takes in which a prompt is read: no CUDA graph serves it."""

    def decode_s(self, sequences: int) -> float:
        """One iteration in which each sequence says a token, without the reading of its cache."""
        compute_s = max(self.weights_s, self.per_token_s * sequences)
        return self.base_s + compute_s + self.per_sequence_s * sequences

    def mixed_s(self, sequences: int, tokens: int, attended: float) -> float:
        """One iteration that reads prompts, too, without the reading of the decoders' cache."""
        compute_s = max(self.weights_s, self.reading_s, self.per_token_s * tokens)
        others_s = self.per_sequence_s * sequences + self.per_attended_s * attended / 1e6
        return self.base_s + compute_s + others_s
