"""Token sequences that transformers' own greedy and beam search choose from made-up logits.

The model is a function of the decoded tokens alone (a hash), so that the same logits can be made anywhere and only
the search is compared. Versions: transformers 5.23.0, torch 2.15.0.

    python make_search_goldens.py > ../../testdata/search_goldens.json
"""

import json
import sys

import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

MASK = (1 << 64) - 1


def mixed(z: int) -> int:
    """splitmix64's finaliser."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def logits(seed: int, window: int, eos_bonus: float, vocabulary: int, history: list[int]) -> list[float]:
    """24-bit fractions times 6, from the seed and the last `window` tokens; the end token gets a bonus."""
    state = mixed(seed)
    for token in history[-window:]:
        state = mixed((state * 31 + token + 1) & MASK)
    row = [(mixed((state + 0x9E3779B97F4A7C15 * (i + 1)) & MASK) >> 40) / float(1 << 24) * 6.0 for i in range(vocabulary)]
    row[2] += eos_bonus
    return row


class TableConfig(PretrainedConfig):
    model_type = "table"

    def __init__(self, **kwargs):
        super().__init__(is_encoder_decoder=True, **kwargs)
        self.vocab_size = kwargs.get("vocab_size", 12)
        self.num_hidden_layers = 1
        self.hidden_size = 4
        self.num_attention_heads = 1


class Encoder(torch.nn.Module):
    main_input_name = "input_ids"

    def forward(self, input_ids=None, **_):
        return BaseModelOutput(last_hidden_state=torch.zeros(*input_ids.shape, 4))


class Table(PreTrainedModel, GenerationMixin):
    config_class = TableConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.encoder = Encoder()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.case = None

    def get_encoder(self, *_, **__):
        return self.encoder

    def prepare_inputs_for_generation(self, decoder_input_ids, encoder_outputs=None, **_):
        return {"decoder_input_ids": decoder_input_ids, "encoder_outputs": encoder_outputs}

    def forward(self, decoder_input_ids=None, encoder_outputs=None, **_):
        seed, window, bonus, vocabulary = self.case
        rows = [[logits(seed, window, bonus, vocabulary, row)] for row in decoder_input_ids.tolist()]
        return Seq2SeqLMOutput(logits=torch.tensor(rows, dtype=torch.float32))


def main():
    torch.manual_seed(0)
    cases = []
    number = 0
    for vocabulary in (12, 60):
        for beams in (1, 2, 3, 5):
            for early in (True, False, "never"):
                for penalty in (1.0, 0.0, 2.0, -1.0):
                    if beams == 1 and (early is not True or penalty != 1.0):
                        continue
                    for max_new_tokens in (2, 3, 20):
                        for window, bonus in ((6, 0.0), (4, 1.5), (30, -2.0)):
                            number += 1
                            cases.append((number, vocabulary, beams, early, penalty, max_new_tokens, 0, window, bonus))
    # Bounds from below: on the way, at the end, beyond it; where the end would come early, and where not.
    for vocabulary in (12, 60):
        for beams in (1, 3, 5):
            for early in (True, False) if beams > 1 else (True,):
                for max_new_tokens, min_new_tokens in ((20, 3), (20, 12), (20, 19), (20, 20), (3, 3), (8, 20)):
                    for window, bonus in ((6, 0.0), (4, 4.0)):
                        number += 1
                        cases.append(
                            (number, vocabulary, beams, early, 1.0, max_new_tokens, min_new_tokens, window, bonus))
    results = []
    for seed, vocabulary, beams, early, penalty, max_new_tokens, min_new_tokens, window, bonus in cases:
        model = Table(TableConfig(vocab_size=vocabulary)).eval()
        model.case = (seed, window, bonus, vocabulary)
        config = GenerationConfig(
            num_beams=beams, early_stopping=early if beams > 1 else False, length_penalty=penalty, do_sample=False,
            max_new_tokens=max_new_tokens, min_new_tokens=min_new_tokens, no_repeat_ngram_size=3, forced_bos_token_id=0, forced_eos_token_id=2,
            bos_token_id=0, eos_token_id=2, pad_token_id=1, decoder_start_token_id=2, use_cache=False,
            output_scores=True, return_dict_in_generate=True, output_logits=False,
        )
        with torch.no_grad():
            out = model.generate(input_ids=torch.tensor([[0, 2]]), generation_config=config)
        scores = model.compute_transition_scores(
            out.sequences, out.scores, getattr(out, "beam_indices", None), normalize_logits=beams == 1)
        tokens = out.sequences[0].tolist()
        results.append({
            "seed": seed, "vocabulary": vocabulary, "beams": beams, "early_stopping": str(early).lower(),
            "length_penalty": penalty, "max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens, "window": window, "eos_bonus": bonus,
            "token_ids": tokens, "log_probs": [round(s, 5) for s in scores[0].tolist()][: len(tokens) - 1],
        })
    header = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    sys.stdout.write(json.dumps({**header, "cases": []})[:-2] + "\n")
    sys.stdout.write(",\n".join(json.dumps(result) for result in results))
    sys.stdout.write("\n]}\n")


main()
