"""Chapters 13 and 14: mixtures of instructions for a pretrained model, and a map of instruction sets."""

from ..chapters.common import listed, literal, seeds_of, without
from ..language.catalogue import DOMAINS, SETS, first_here, is_here
from ..language.pretrained import TuneSpec
from ..language.specs import InstructionMapSpec, LanguageSpec
from ..specs import SpecError


def code_generation(
    model, dtype, sets, mixtures, total, larger_total, passes, tune, benchmarks, n_held_out, n_generate, most_letters, most_written, first_seed, n_seeds
) -> list[LanguageSpec]:
    """13: a pretrained model tuned on mixtures of instructions (2405.19787, code generation; D12-D15).

    sets: of code, general and reasoning instructions, by name, or by domain for those at hand (`catalogue.first_here`);
    mixtures: the shares of the first one, two or three of them, a mixture each, of `total` examples; larger_total: examples of one
    more run on code alone, 0 for none; passes: how often each run passes over its examples; tune: fields of `TuneSpec`;
    benchmarks: {name: number of problems}; n_held_out: rows of each set that are tested on. One more run is the model untuned.
    """
    names = [first_here(name) if name in DOMAINS else name for name in listed("sets", sets, str)]
    tune = without("tune", tune, "n_steps")
    evals = [{"name": name, "n_examples": n} for name, n in literal("benchmarks", benchmarks, dict).items()]
    evals += [{"name": name, "n_examples": n_held_out} for name in names if literal("n_held_out", n_held_out, int)]
    shared = {"model": model, "dtype": dtype, "evals": evals, "n_generate": n_generate, "most_letters": most_letters, "most_written": most_written}
    parts = [(listed("mixtures", shares, (int, float)), literal("total", total, int)) for shares in listed("mixtures", mixtures, list)]
    if literal("larger_total", larger_total, int):
        parts.append(([1.0], larger_total))
    seeds = seeds_of(first_seed, n_seeds)
    specs = [LanguageSpec.of(**shared, sets=[], shares=[], total=0, seed=seeds[0])]
    for shares, n in parts:
        if len(shares) > len(names):
            raise SpecError(f"mixtures: {shares!r}; allowed: at most a share for each of {', '.join(names)}")
        how = TuneSpec.of(**tune, n_steps=max(1, round(literal("passes", passes, (int, float)) * n / TuneSpec.of(**tune).batch_size)))
        specs += [LanguageSpec.of(**shared, sets=names[: len(shares)], shares=shares, total=n, tune=how, seed=seed) for seed in seeds]
    return specs


def instruction_map(sets, n_texts, n_draws, embedding, seed) -> list[InstructionMapSpec]:
    """14: a map of instruction sets (2405.19787).

    sets: names of instruction sets and benchmarks, none for all that are here (`shown`); the rest: fields of `InstructionMapSpec`.
    """
    names = shown(listed("sets", sets, str) if literal("sets", sets, list) else [])
    return [InstructionMapSpec.of(sets=names, n_texts=n_texts, n_draws=n_draws, embedding=embedding, seed=seed)]


def shown(sets: list[str]) -> list[str]:
    """The named sets; without any, all that are here, and HumanEval."""
    return sets or [name for name, source in SETS.items() if is_here(name) and not source.eval_only] + ["humaneval"]
