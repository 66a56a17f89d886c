"""Data for a machine that has none: functions of Python's standard library, instructions and tasks made up here.

Code: the docstring of each plain function asks for the function. General and reasoning: templates over small word
lists in ten unrelated domains; example number i of a domain is a function of (domain, seed, i) alone. All are triples
(instruction, input, output).
"""

import ast
import functools
import sysconfig
from datetime import date, timedelta
from pathlib import Path
from random import Random

Triple = tuple[str, str, str]

# ---- code: the standard library --------------------------------------------------------------------------------------

NO_SOURCES = set("site-packages dist-packages test tests idlelib lib2to3 turtledemo pydoc_data encodings".split())
"""Folders of the library that hold tests, other packages, or tables."""
MOST_CODE, LEAST_WORDS = 1500, 4  # letters of a function; words of a docstring


@functools.lru_cache
def stdlib_functions() -> tuple[Triple, ...]:
    """The library's plain functions that have a docstring, in the order of files and lines; more than a thousand.

    They are those of the running Python, so another version has others.
    """
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted(f for f in root.rglob("*.py") if not NO_SOURCES & set(f.relative_to(root).parts))
    found = {}
    for file in files:
        for name, docstring, code in documented(file.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(code, (f"Write a Python function `{name}`.", docstring, code))
    return tuple(found.values())


def documented(source: str) -> list[Triple]:
    """Signature, docstring and code without docstring of each plain function of a source that is short and does
    something.

    >>> documented('def twice(x):\\n    "Twice the number that is given."\\n    return 2 * x')
    [('twice(x)', 'Twice the number that is given.', 'def twice(x):\\n    return 2 * x')]
    """
    try:
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError):  # a file that is meant to be broken
        return []
    lines, out = source.splitlines(), []
    for node in functions:
        docstring, first = ast.get_docstring(node) or "", node.body[0]
        code = "\n".join(lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno : node.end_lineno])
        does_something = any(not isinstance(statement, (ast.Pass, ast.Raise)) for statement in node.body[1:])
        if does_something and len(docstring.split()) >= LEAST_WORDS and max(len(code), len(docstring)) <= MOST_CODE:
            out.append((f"{node.name}({ast.unparse(node.args)})", docstring, code))
    return out


# ---- general tasks ---------------------------------------------------------------------------------------------------

NAMES = (
    "Ada Ben Chiara Dilan Edda Farid Greta Hugo Ines Jonas Kofi Lena Mira Nils Olga Pavel Rosa Sami Tessa Umar"
).split()
KINDS = {
    "fruit": "apple pear plum cherry banana lemon grape peach mango fig".split(),
    "animal": "horse otter falcon beetle salmon lizard badger heron goat moth".split(),
    "tool": "hammer saw chisel wrench drill pliers spade rake file axe".split(),
    "garment": "coat scarf glove shirt sock hat boot skirt belt vest".split(),
    "instrument": "violin flute drum harp trumpet cello piano oboe lute organ".split(),
    "vehicle": "bus tram ferry bicycle truck canoe train scooter van sledge".split(),
}
WORDS = [word for words in KINDS.values() for word in words]
COLOURS = "red blue green black white yellow brown grey pink purple".split()
PLACES = (
    "on the table|behind the house|in the garden|near the river|under the bridge|by the window|at the market|"
    "in the attic"
).split("|")
VERBS = (
    "walk walked|see saw|paint painted|carry carried|find found|draw drew|wash washed|buy bought|sell sold|lose lost|"
    "clean cleaned|hide hid|take took|keep kept|bring brought|repair repaired"
).split("|")
EVENTS = (
    "a concert|a walk by the lake|dinner|a chess evening|a trip to the museum|a film|breakfast|a reading|"
    "a bicycle tour|a picnic"
).split("|")
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
UNITS = [
    ("hours", "minutes", 60),
    ("metres", "centimetres", 100),
    ("kilograms", "grams", 1000),
    ("weeks", "days", 7),
    ("days", "hours", 24),
    ("dozens", "pieces", 12),
]


def one(kind: str) -> str:
    """The kind with its article."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def rewriting(draw: Random) -> Triple:
    """A word of a sentence is replaced, where it stands first or wherever it stands."""
    old, other, new = draw.sample(COLOURS, 3)
    a, b, c = draw.sample(WORDS, 3)
    sentence = f"The {old} {a} and the {draw.choice([old, other])} {b} are {draw.choice(PLACES)}, and the {c} is {old}."
    if draw.random() < 0.5:
        return f'Replace the first "{old}" in the sentence with "{new}".', sentence, sentence.replace(old, new, 1)
    return f'Replace every "{old}" in the sentence with "{new}".', sentence, sentence.replace(old, new)


def lists(draw: Random) -> Triple:
    """A list of words or numbers is put in order, cut or counted."""
    words = draw.sample(WORDS, draw.randint(4, 8))
    n = draw.randint(2, len(words) - 1)
    tasks = [
        ("Sort the words alphabetically.", sorted(words)),
        ("Put the words in reverse order.", words[::-1]),
        ("Sort the words by length, the shortest first; equally long words keep their order.", sorted(words, key=len)),
        (f"Give the first {n} words.", words[:n]),
        (f"Leave out word number {n}.", words[: n - 1] + words[n:]),
        ("Swap the first and the last word.", [words[-1], *words[1:-1], words[0]]),
    ]
    task, answer = draw.choice(tasks)
    return task, ", ".join(words), ", ".join(answer)


def spelling(draw: Random) -> Triple:
    """Letters of words."""
    words = draw.sample(WORDS, 3)
    text, letter = " ".join(words), draw.choice("aeiorst")
    tasks = [
        ("Write each word backwards.", " ".join(word[::-1] for word in words)),
        ("Write the first letters of the words as one word, in capitals.", "".join(word[0] for word in words).upper()),
        (f'How often does the letter "{letter}" occur?', f'The letter "{letter}" occurs {text.count(letter)} times.'),
        ("Leave out the vowels.", "".join(sign for sign in text if sign not in "aeiou")),
        ("Begin each word with a capital.", text.title()),
    ]
    task, answer = draw.choice(tasks)
    return task, text, answer


def categories(draw: Random) -> Triple:
    """What kind of thing something is."""
    kind, other = draw.sample(sorted(KINDS), 2)
    words, odd = draw.sample(KINDS[kind], 3), draw.choice(KINDS[other])
    mixed = ", ".join(draw.sample([*words, odd], 4))
    if draw.random() < 0.5:
        why = f"The {odd}: it is {one(other)}, and each of the others is {one(kind)}."
        return "Which of these does not belong to the others, and why?", mixed, why
    return f"Which of these is {one(other)}?", mixed, odd.capitalize()


def grammar(draw: Random) -> Triple:
    """A sentence in another form."""
    present, past = draw.choice(VERBS).split()
    who, other = draw.sample(NAMES, 2)
    rest = f"the {draw.choice(COLOURS)} {draw.choice(WORDS)} {draw.choice(PLACES)}"
    if present == "walk":
        rest = f"to the {draw.choice(WORDS)} {draw.choice(PLACES)}"
    sentence = f"{who} and {other} {present} {rest}."
    tasks = [
        ("Put the sentence into the past tense.", f"{who} and {other} {past} {rest}."),
        ("Turn the sentence into a question.", f"Do {who} and {other} {present} {rest}?"),
        ("Negate the sentence.", f"{who} and {other} do not {present} {rest}."),
        ('Put the sentence into the future with "will".', f"{who} and {other} will {present} {rest}."),
    ]
    task, answer = draw.choice(tasks)
    return task, sentence, answer


def notes(draw: Random) -> Triple:
    """A short message to somebody."""
    to, by = draw.sample(NAMES, 2)
    event, day, hour = draw.choice(EVENTS), draw.choice(DAYS), draw.randint(8, 20)
    tasks = {
        "invite {to} to": "would you like to join me for {event} on {day} at {hour}:00? "
        "Let me know by the evening before.",
        "tell {to} that you cannot come to": "thank you for inviting me to {event}. "
        "I am sorry that I cannot come on {day} at {hour}:00. I hope that it goes well.",
        "remind {to} of": "this is to remind you of {event} on {day}. We begin at {hour}:00. "
        "I look forward to seeing you.",
    }
    task, answer = draw.choice(sorted(tasks.items()))
    ask = f"Write a short note in which you {task.format(to=to)} {event} on {day} at {hour}:00. Sign as {by}."
    return ask, "", f"Dear {to},\n{answer.format(event=event, day=day, hour=hour)}\n{by}"


# ---- reasoning tasks, answered in steps ------------------------------------------------------------------------------


def arithmetic(draw: Random) -> Triple:
    """A story with two operations."""
    who, what = draw.choice(NAMES), draw.choice(WORDS)
    boxes, each, given = draw.randint(3, 12), draw.randint(4, 15), draw.randint(2, 11)
    total = boxes * each
    left = total - given
    story = f"{who} has {boxes} boxes with {each} pictures of {one(what)} in each and gives {given} pictures away."
    steps = f"In the boxes are {boxes} * {each} = {total} pictures."
    steps += f" Without {given} there are {total} - {given} = {left}."
    return f"{story} How many are left?", "", f"{steps} The answer is {left}."


def dates(draw: Random) -> Triple:
    """A day some weeks and days later."""
    begin, weeks, rest = date(2000, 1, 1) + timedelta(draw.randrange(10_000)), draw.randint(1, 8), draw.randint(2, 6)
    n = 7 * weeks + rest
    end = begin + timedelta(n)
    first, last = (f"{day.day} {MONTHS[day.month - 1]} {day.year}" for day in (begin, end))
    ask = f"{first} is a {DAYS[begin.weekday()]}. Which day of the week, and which date, is {n} days later?"
    before, after = DAYS[begin.weekday()], DAYS[end.weekday()]
    steps = f"{n} days are {weeks} * 7 + {rest} days. {rest} days after a {before} is a {after}."
    return ask, "", f"{steps} The answer is {after}, {last}."


def ordering(draw: Random) -> Triple:
    """Who comes first, from comparisons of neighbours in any order."""
    people = draw.sample(NAMES, 4)
    words = [("taller", "tallest", "shortest"), ("older", "oldest", "youngest"), ("faster", "fastest", "slowest")]
    more, most, least = draw.choice(words)
    facts = [f"{a} is {more} than {b}." for a, b in zip(people, people[1:])]
    which, answer = draw.choice([(most, people[0]), (least, people[-1])])
    ask = f"{' '.join(draw.sample(facts, 3))} Who is the {which}?"
    return ask, "", f"From the {most} to the {least} they are {', '.join(people)}. The answer is {answer}."


def units(draw: Random) -> Triple:
    """A quantity in a smaller unit."""
    big, small, factor = draw.choice(UNITS)
    n, more = draw.randint(2, 60), draw.randint(1, factor - 1)
    whole = n * factor
    steps = f"{n} {big} are {n} * {factor} = {whole} {small}."
    steps += f" With {more} more there are {whole} + {more} = {whole + more}."
    return f"How many {small} are {n} {big} and {more} {small}?", "", f"{steps} The answer is {whole + more} {small}."


SETS = {
    "made_general": (rewriting, lists, spelling, categories, grammar, notes),
    "made_reasoning": (arithmetic, dates, ordering, units),
}
"""The domains of each set of instructions that is made here."""


def instructions(domains, n: int, seed: int = 0) -> list[tuple[str, Triple]]:
    """n different examples of each domain, with its name, the domains in turn."""
    columns = []
    for domain in domains:
        found, i = {}, 0
        while len(found) < n:
            found[domain(Random(f"{domain.__name__}/{seed}/{i}"))] = i
            i += 1
        columns.append([(domain.__name__, triple) for triple in found])
    return [example for row in zip(*columns) for example in row]


# ---- tasks with instances --------------------------------------------------------------------------------------------

N_INSTANCES, N_WORKED = 30, 2  # of a task, and the worked examples before them
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words}


def said(value) -> str:
    """An input or an answer as text."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, date):
        return f"{value.day} {MONTHS[value.month - 1]} {value.year}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def some_words(draw: Random) -> list[str]:
    return draw.sample(WORDS, draw.randint(3, 6))


def thing(draw: Random) -> str:
    return f"{draw.choice(COLOURS)} {draw.choice(WORDS)}"


def one_number(draw: Random) -> int:
    return draw.randint(1, 99)


def three_numbers(draw: Random) -> list[int]:
    return draw.sample(range(1, 50), 3)


def statement(draw: Random) -> str:
    return f"The {thing(draw)} is {draw.choice(PLACES)}."


def some_day(draw: Random) -> date:
    return date(1995, 1, 1) + timedelta(draw.randrange(11_000))


def two_years(draw: Random) -> list[int]:
    return draw.sample(range(1800, 2025), 2)


def one_odd(draw: Random) -> list[str]:
    kind, other = draw.sample(sorted(KINDS), 2)
    return draw.sample([*draw.sample(KINDS[kind], 3), draw.choice(KINDS[other])], 4)


def two_things(draw: Random) -> list[str]:
    kind, other = draw.sample(sorted(KINDS), 2)
    return draw.sample(KINDS[kind], 2) if draw.random() < 0.5 else [draw.choice(KINDS[kind]), draw.choice(KINDS[other])]


def odd(words: list[str]) -> str:
    kinds = [KIND_OF[word] for word in words]
    return next(word for word, kind in zip(words, kinds) if kinds.count(kind) == 1)


TASKS = {
    "lists": {
        "sort_words": ("Sort the words.", "Put them in alphabetical order.", some_words, sorted),
        "reverse_list": ("Write the list in reverse order.", "Begin with its end.", some_words, lambda w: w[::-1]),
        "first_word": ("Answer with the first word.", "Which word begins the list?", some_words, lambda w: w[0]),
        "last_word": ("Answer with the last word.", "Which word ends the list?", some_words, lambda w: w[-1]),
        "longest": ("Which word is longest?", "Find the word of most letters.", some_words, lambda w: max(w, key=len)),
        "count_words": ("Count the words of the list.", "How many words are listed?", some_words, len),
        "drop_first": ("Leave out the first word.", "Write all words but the first.", some_words, lambda w: w[1:]),
        "swap_ends": ("Exchange the first and the last word.", "Let the two ends change places.",
                      some_words, lambda w: [w[-1], *w[1:-1], w[0]]),
        "join_words": ("Join the words with hyphens.", "Put hyphens for commas.", some_words, "-".join),
    },
    "letters": {
        "capitals": ("Write the words in capital letters.", "Change all letters to upper case.", thing, str.upper),
        "backwards": ("Write all letters in reverse order.", "Spell it from the end.", thing, lambda t: t[::-1]),
        "first_letter": ("Answer with the first letter.", "Which letter begins the text?", thing, lambda t: t[0]),
        "count_letters": ("Count the letters of the second word.", "How many letters has the second word?",
                          thing, lambda t: len(t.split()[1])),
        "spell": ("Write all letters with spaces between them.", "Spell the words letter by letter.",
                  thing, lambda t: " ".join(t.replace(" ", ""))),
    },
    "numbers": {
        "largest": ("Answer with the largest number.", "Which number is the greatest?", three_numbers, max),
        "smallest": ("Answer with the smallest number.", "Which number is the least?", three_numbers, min),
        "add": ("Add the three numbers.", "What is the sum of the numbers?", three_numbers, sum),
        "sort_numbers": ("Write the numbers in ascending order.", "Sort them.", three_numbers, sorted),
        "next_number": ("Which number comes next?", "Add one to the number.", one_number, lambda n: n + 1),
        "times_ten": ("Multiply the number by ten.", "Give ten times the number.", one_number, lambda n: 10 * n),
    },
    "questions with yes or no": {
        "is_even": ("Is the number even? Answer Yes or No.", "Can the number be divided by two? Answer Yes or No.",
                    one_number, lambda n: n % 2 == 0),
        "is_above_50": ("Answer Yes if the number is above 50, otherwise No.", "Is the number larger than fifty?",
                        one_number, lambda n: n > 50),
        "is_ascending": ("Do the numbers ascend? Answer Yes or No.", "Is each number larger than the one before it?",
                         three_numbers, lambda n: n == sorted(n)),
        "holds_e": ("Answer Yes if one of the letters is e, otherwise No.", "Is there an e in the words?",
                    thing, lambda t: "e" in t),
        "is_long": ("Have the words more than ten letters? Answer Yes or No.", "Are there more than ten letters?",
                    thing, lambda t: len(t) > 11),
    },
    "sentences": {
        "negate": ("Negate the sentence.", "Say that the sentence is not the case.",
                   statement, lambda t: t.replace(" is ", " is not ", 1)),
        "which_colour": ("Answer with the colour.", "Which colour is named?", statement, lambda t: t.split()[1]),
        "which_place": ("Where is the thing?", "Name the place.", statement, lambda t: t[:-1].split(" is ")[1]),
    },
    "dates": {
        "which_month": ("Answer with the month.", "In which month is it?", some_day, lambda d: MONTHS[d.month - 1]),
        "iso_date": ("Write the date as YYYY-MM-DD.", "Change the date to ISO's form.", some_day, date.isoformat),
        "earlier_year": ("Answer with the earlier year.", "Which year came first?", two_years, min),
        "first_half": ("Is the date before July? Answer Yes or No.", "Is the date in the first half of its year?",
                       some_day, lambda d: d.month <= 6),
    },
    "categories of things": {
        "odd_one_out": ("Three things are of one kind. Which is not?", "Which does not belong?", one_odd, odd),
        "same_kind": ("Are both of one kind, such as two fruits? Answer Yes or No.", "Do both name the same kind?",
                      two_things, lambda w: KIND_OF[w[0]] == KIND_OF[w[1]]),
    },
}  # fmt: skip
"""By category and name: definition, paraphrase, what draws an input, and its answer."""
TEST = ("dates", "categories of things")
"""The categories of the test: no training task is of their kind, as in Super-NaturalInstructions."""


def tasks() -> list[dict]:
    """The tasks in the form of Super-NaturalInstructions. Instance i of a task is a function of (task, i) alone."""
    found = []
    for category, named in TASKS.items():
        for name, (definition, paraphrase, draw, answer) in named.items():
            inputs = [draw(Random(f"{name}/{i}")) for i in range(20 * N_INSTANCES)]
            pairs = list({said(value): said(answer(value)) for value in inputs}.items())[: N_WORKED + N_INSTANCES]
            found.append({
                "name": f"made_{name}",
                "Definition": definition,
                "alt_definitions": [paraphrase],
                "Positive Examples": [{"input": text, "output": output} for text, output in pairs[:N_WORKED]],
                "Instances": [{"input": text, "output": output} for text, output in pairs[N_WORKED:]],
                "Categories": [category],
                "Source": "ditune.language.made",
                "license": "MIT",
                "split": "test" if category in TEST else "train",
            })  # fmt: skip
    return found
