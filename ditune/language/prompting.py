"""Tasks in natural language as a model reads them, and what it then says: prompts, measures, likelihoods, written
answers.

    Definition: ... Positive Example 1 - Input: ... Output: ... Now complete the following example - Input: ... Output:

is the paper's prompt (that of Tk-Instruct), put to the model as what a user says. A word of the definition or of an
example's input, with the space before it, is a unit that can be dropped. Each word, and each stretch that stays whole,
is encoded once.

Shapes: R tasks, n instances of a task, k perturbed prompts, B rows.
"""

import functools
from itertools import accumulate

import torch

from ..active.scorers import Prompts, Rows, stacked
from ..active.uncertainty import (
    PromptTask,
    Segment,
    UncertaintySpec,
    measure,
    perplexity,
    perturbed,
    probability,
    uncertainty,
)
from ..specs import SpecError
from .natural import Task, rouge_l
from .pretrained import Pretrained, Tokens
from .tuning import Example, LanguageScorer

MARK = "MARK"
MEASURES = (uncertainty, probability, perplexity)


# ---- prompts ---------------------------------------------------------------------------------------------------------


class Template:
    """How tasks are put to a model, as tokens."""

    def __init__(self, lm: Pretrained, most_head: int = 1 << 20):
        self.encode, self.most_head = functools.cache(lm.encode), most_head
        whole, mark = lm.question(MARK), lm.encode(MARK)
        at = next((i for i in range(len(whole)) if whole[i : i + len(mark)] == mark), None)
        if at is None:
            raise SpecError(f"the chat template of the model {lm.name!r} joins a user's words with its own in a token")
        self.before, self.after = whole[:at], whole[at + len(mark) :]

    def words(self, text: str, part: str) -> Segment:
        """A stretch whose words, each with the white space before it, can be dropped."""
        starts = [0, *(i for i in range(1, len(text)) if text[i].isspace() and not text[i - 1].isspace()), len(text)]
        return Segment(tuple(self.encode(text[a:b]) for a, b in zip(starts, starts[1:])), part)

    def fixed(self, text: str) -> Segment:
        """A stretch that stays."""
        return Segment((self.encode(text),))

    def task(self, task: Task, definition: str | None = None, n_examples: int | None = None) -> PromptTask:
        """A task with its definition, or a paraphrase in its place, its first n_examples positive examples, and its
        instances.

        Without n_examples, as many as the prompt before the input stays within most_head tokens (without a definition,
        the first in any case). Of a definition that fills more than half of that, the end is cut off."""
        parts, end = [Segment((self.before,))], self.fixed("Now complete the following example -\nInput:")
        if wording := task.definition if definition is None else definition:
            said = self.words(f" {wording}", "definition")
            units = [unit for unit, n in zip(said.units, accumulate(map(len, said.units))) if n <= self.most_head // 2]
            parts += [self.fixed("Definition:"), Segment(tuple(units), "definition"), self.fixed("\n\n")]
        for number, (text, output) in enumerate(task.examples, 1):
            said = self.words(f" {text}", "examples")
            begin, result = f"Positive Example {number} -\nInput:", f"\nOutput: {output}\n\n"
            example = [self.fixed(begin), said, self.fixed(result)]
            fits = length([*parts, *example, end]) <= self.most_head or (number == 1 and not wording)
            if fits if n_examples is None else number <= n_examples:
                parts += example
        inputs = tuple(self.encode(f" {text}\nOutput:") + self.after for text, _ in task.instances)
        golds = tuple(self.encode(outputs[0]) for _, outputs in task.instances)
        return PromptTask(task.name, (*parts, end), inputs, golds)

    def instruction(self, instruction: str, text: str, output: str) -> PromptTask:
        """An instruction as a task of its own: its words can be dropped, those of its input cannot."""
        prompt = (Segment((self.before,)), self.words(instruction, "definition"))
        tail = (self.encode(f"\n\n{text}") if text else ()) + self.after
        return PromptTask(f"{instruction}\n{text}", prompt, (tail,), (self.encode(output),))


def length(segments) -> int:
    """Tokens of segments."""
    return sum(len(unit) for segment in segments for unit in segment.units)


def n_units(prompt: PromptTask, part: str) -> int:
    """How many units of a part can be dropped."""
    return sum(len(segment.units) for segment in prompt.prompt if segment.part == part)


def n_examples(prompt: PromptTask) -> int:
    """How many positive examples a prompt has."""
    return sum(segment.part == "examples" for segment in prompt.prompt)


def pairs(prompt: PromptTask, n: int, eos: int, max_tokens: int) -> list[Example]:
    """The first n instances of a task to be trained on: whole prompt, first right answer with end-of-sequence. Of one
    longer than max_tokens the prompt loses its beginning."""
    head = tuple(token for segment in prompt.prompt for unit in segment.units for token in unit)
    answers = [gold[: max_tokens // 2] + (eos,) for gold in prompt.golds[:n]]
    return [((head + tail)[len(answer) - max_tokens :], answer) for tail, answer in zip(prompt.inputs, answers)]


# ---- what a model says -----------------------------------------------------------------------------------------------


class OwnScorer(LanguageScorer):
    """A scorer of a model's own answers, which counts its forward passes, and the tokens that these read.

    An answer of max_tokens was cut there. The model did not end it, so that of this answer no end is scored.
    """

    def __init__(self, lm: Pretrained, max_tokens: int):
        super().__init__(lm)
        self.max_tokens, self.n_passes, self.n_read = max_tokens, 0, 0
        lm.model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, module, arguments, inputs) -> None:
        """Called before each forward pass."""
        self.n_passes += 1
        self.n_read += inputs["input_ids"].numel()

    def costs(self) -> dict:
        """What was counted."""
        return {"n_passes": self.n_passes, "n_read": self.n_read}

    def ended(self, answers: Rows) -> torch.Tensor:
        """The answers that the model ended."""
        return answers.length < self.max_tokens


def answer_measures(
    scorer: OwnScorer,
    prompts: list[PromptTask],
    how: UncertaintySpec,
    seed: int,
    references: list[list[tuple[str, ...]]],
) -> tuple[dict[str, list], list[list[Tokens]]]:
    """What the model's own answers say of tasks, in columns:

    uncertainty, probability, perplexity; defined and n_droppable, the words of the definition, and those and the ones
    of the examples, that can be dropped; n_examples of the prompt; cut, the share of answers that reached the longest
    length; rouge_l of the answers against the references, mean over the instances, which none of the others knows;
    written, the first answer. Then the answers. Numbers have as many digits as a record holds: what is selected can be
    selected again.
    """
    scores = measure(scorer, prompts, how, seed)
    columns = {m.__name__: m(scores.p).round(decimals=7).tolist() for m in MEASURES}
    columns["n_examples"] = [n_examples(prompt) for prompt in prompts]
    columns["defined"] = [n_units(prompt, "definition") for prompt in prompts]
    columns["n_droppable"] = [n_units(prompt, "definition") + n_units(prompt, "examples") for prompt in prompts]
    cut = [[len(answer) >= how.max_tokens for answer in answers] for answers in scores.answers]
    columns["cut"] = [round(sum(each) / len(each), 5) for each in cut]
    texts = [[scorer.lm.decode(answer).strip() for answer in answers] for answers in scores.answers]
    columns["rouge_l"] = rouge_of_tasks(texts, references)
    columns["written"] = [said[0][:200] for said in texts]
    return columns, scores.answers


def rouge_of_tasks(texts: list[list[str]], references: list[list[tuple[str, ...]]]) -> list[float]:
    """ROUGE-L of each task's answers against the references, mean over its instances."""
    of_tasks = [[rouge_l(text, right) for text, right in zip(said, task)] for said, task in zip(texts, references)]
    return [round(sum(each) / len(each), 5) for each in of_tasks]


def by_paraphrases(
    scorer: LanguageScorer, template: Template, tasks: list[Task], answers: list[list[Tokens]], most: int
) -> list[float | None]:
    """Prompt uncertainty where the perturbed prompts are the task with each of its first `most` paraphrases in the
    place of its definition; None for tasks without any. The examples and the answers are those of the definition."""
    several = [i for i, task in enumerate(tasks) if task.paraphrases]
    out: list[float | None] = [None] * len(tasks)
    if not several:
        return out
    heads, head, tails, said, shapes = [], [], [], [], []
    for i in several:
        given = n_examples(template.task(tasks[i]))
        wordings = (tasks[i].definition, *tasks[i].paraphrases[:most])
        for prompt in [template.task(tasks[i], text, given) for text in wordings]:
            tails += prompt.inputs[: len(answers[i])]
            said += answers[i]
            head += [len(heads)] * len(answers[i])
            heads.append(perturbed(prompt.prompt, 0, 0.0, 0))
        shapes.append((len(wordings), len(answers[i])))
    p = scorer.log_likelihood(Prompts(stacked(heads), torch.tensor(head), Rows.of(tails)), Rows.of(said)).double().exp()
    for i, shape, of_task in zip(several, shapes, p.split([k * n for k, n in shapes])):
        out[i] = round(uncertainty(of_task.view(shape).T[None]).item(), 7)
    return out


def by_definition(
    scorer: OwnScorer, prompts: list[PromptTask], tasks: list[Task], how: UncertaintySpec, seed: int
) -> list[float | None]:
    """Prompt uncertainty where words of the definition alone are dropped, of the tasks with paraphrases; None for the
    others. What paraphrases are to be compared with."""
    several = [i for i, task in enumerate(tasks) if task.paraphrases]
    out: list[float | None] = [None] * len(tasks)
    if several:
        p = measure(scorer, [prompts[i] for i in several], how.replace(parts=("definition",)), seed).p
        for i, value in zip(several, uncertainty(p).tolist()):
            out[i] = round(value, 7)
    return out


def gold_nll(scorer: LanguageScorer, prompts: list[PromptTask], n: int) -> list[float]:
    """Negative log-likelihood of the right answer to each task's first n instances, mean over the answer's tokens and
    over instances."""
    p = measure(scorer, prompts, UncertaintySpec(n=n, k=1, drop_rate=0.0, answer="gold"), 0).p[..., 0]
    return [round(value, 6) for value in (-p.log()).nanmean(dim=1).tolist()]


def greedy_answers(scorer: LanguageScorer, prompts: list[PromptTask], n: int, max_tokens: int) -> list[list[str]]:
    """Greedy answers to each task's first n instances."""
    count = [min(n, len(prompt.inputs)) for prompt in prompts]
    heads = stacked([perturbed(prompt.prompt, 0, 0.0, 0) for prompt in prompts])
    tails = Rows.of([tail for prompt in prompts for tail in prompt.inputs[:n]])
    asked = Prompts(heads, torch.arange(len(prompts)).repeat_interleave(torch.tensor(count)), tails)
    answers = iter(scorer.greedy(asked, max_tokens).lists())
    return [[scorer.lm.decode(next(answers)).strip() for _ in range(m)] for m in count]
