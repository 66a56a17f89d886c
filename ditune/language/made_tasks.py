"""A pool of tasks for a machine that has none: small tasks of nine categories, with definitions and paraphrases, made
up here.

Instance number i of a task is a function of (task, i) alone. The categories of TEST are the pool's test tasks, so that
these are of kinds that no training task is of, as in Super-NaturalInstructions.
"""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from .made import COLOURS, DAYS, KINDS, MONTHS, NAMES, PLACES, VERBS, WORDS, one
from .natural import N_EXAMPLES, Task, kind_of

N_MADE = 30  # instances of a task, and two examples before them
TEST = ("dates", "categories of things")
MADE: dict[str, tuple[str, str, str, Callable[[Random], tuple[str, str]]]] = {}
"""Category, definition, paraphrase, and what draws an input with its output, by name."""


def made(category: str, definition: str, paraphrase: str):
    """Enter a function that draws an instance as a task of its name."""

    def enter(function):
        MADE[function.__name__] = (category, definition, paraphrase, function)
        return function

    return enter


def made_tasks() -> list[Task]:
    """The tasks, always the same."""
    return [task_of(name, *parts) for name, parts in MADE.items()]


def task_of(name: str, category: str, definition: str, paraphrase: str, function) -> Task:
    """A task with its first different instances."""
    found: dict[str, str] = {}
    for i in range(20 * N_MADE):
        if len(found) < N_EXAMPLES + N_MADE:
            found.setdefault(*function(Random(f"{name}/{i}")))
    pairs = list(found.items())
    instances = tuple((text, (answer,)) for text, answer in pairs[N_EXAMPLES:])
    split = "test" if category in TEST else "train"
    return Task(f"made_{name}", definition, tuple(pairs[:N_EXAMPLES]), instances, (paraphrase,), (category,), "ditune.made_tasks", "MIT", split, kind_of(instances))


# ---- material --------------------------------------------------------------------------------------------------------


def words(draw: Random, least: int = 3, most: int = 6) -> list[str]:
    """Different words."""
    return draw.sample(WORDS, draw.randint(least, most))


def numbers(draw: Random, n: int = 5, most: int = 99) -> list[int]:
    """Different numbers."""
    return draw.sample(range(1, most + 1), n)


def sentence(draw: Random) -> str:
    """A sentence about a thing of some colour."""
    return f"The {draw.choice(COLOURS)} {draw.choice(WORDS)} is {draw.choice(PLACES)}."


def day(draw: Random) -> date:
    """A day of thirty years."""
    return date(1995, 1, 1) + timedelta(draw.randrange(11_000))


def long(when: date) -> str:
    """A date in words."""
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def listing(values) -> str:
    """Values with commas between them."""
    return ", ".join(map(str, values))


def yes(true: bool) -> str:
    """The answer to a question."""
    return "Yes" if true else "No"


def rows(category: str, table: dict[str, tuple[str, str, Callable]]) -> None:
    """Enter several short tasks of a category, {name: (definition, paraphrase, function)}."""
    for name, (definition, paraphrase, function) in table.items():
        MADE[name] = (category, definition, paraphrase, function)


def of_words(answer: Callable[[list[str]], object], least: int = 3, most: int = 6):
    """Draws words, whose answer is a function of them."""
    return lambda draw: (lambda found: (listing(found), str(answer(found))))(words(draw, least, most))


def of_word(answer: Callable[[str], object]):
    """Draws one word with a colour before it, whose answer is a function of both."""
    return lambda draw: (lambda text: (text, str(answer(text))))(f"{draw.choice(COLOURS)} {draw.choice(WORDS)}")


def of_numbers(answer: Callable[[list[int]], object], n: int = 5, most: int = 99):
    """Draws numbers, whose answer is a function of them."""
    return lambda draw: (lambda found: (listing(found), str(answer(found))))(numbers(draw, n, most))


# ---- the tasks -------------------------------------------------------------------------------------------------------

rows("lists", {
    "sort_words": ("You are given a list of words. Sort the words alphabetically.", "Put the given words in the order of a dictionary.", of_words(lambda w: listing(sorted(w)))),
    "reverse_list": ("You are given a list of words. Write the list in reverse order, the last word first.", "Turn the list of words around, so that it begins with its last word.", of_words(lambda w: listing(w[::-1]))),
    "first_word": ("You are given a list of words. Answer with the first word of the list.", "Which word stands at the beginning of the list?", of_words(lambda w: w[0])),
    "last_word": ("You are given a list of words. Answer with the last word of the list.", "Which word stands at the end of the list?", of_words(lambda w: w[-1])),
    "second_word": ("You are given a list of words. Answer with the second word of the list.", "Name the word that follows the first one.", of_words(lambda w: w[1])),
    "longest_word": ("You are given a list of words. Answer with the word that has the most letters, the first of them if there are several.", "Find the longest of the given words; of equally long ones take the one that comes first.", of_words(lambda w: max(w, key=len))),
    "count_words": ("You are given a list of words. Answer with the number of words in the list.", "How many words are listed?", of_words(len, 2, 8)),
    "drop_first": ("You are given a list of words. Write the list without its first word.", "Leave out the first of the words and keep the others as they are.", of_words(lambda w: listing(w[1:]))),
    "swap_ends": ("You are given a list of words. Exchange the first word and the last word, and write the new list.", "Let the first and the last of the words change places.", of_words(lambda w: listing([w[-1], *w[1:-1], w[0]]))),
    "join_words": ("You are given a list of words. Write them as one word with hyphens between them.", "Put hyphens in the place of the commas, so that one long word results.", of_words("-".join)),
})  # fmt: skip
rows("letters", {
    "capitals": ("Write the given words in capital letters.", "Change all letters of the input to upper case.", of_word(str.upper)),
    "backwards": ("Write the letters of the whole input in reverse order.", "Spell the input from its end to its beginning.", of_word(lambda t: t[::-1])),
    "initials": ("Answer with the first letters of the two given words, written together in capitals.", "Which initials do the two words have?", of_word(lambda t: "".join(w[0] for w in t.split()).upper())),
    "vowels_out": ("Leave out the vowels a, e, i, o and u of the input, and keep everything else.", "Write the input without its vowels.", of_word(lambda t: "".join(c for c in t if c not in "aeiou"))),
    "first_letter": ("Answer with the first letter of the input.", "Which letter does the input begin with?", of_word(lambda t: t[0])),
    "count_letters": ("Count the letters of the second word of the input.", "How many letters has the second of the two words?", of_word(lambda t: len(t.split()[1]))),
    "spell": ("Write the letters of the second word of the input with a space after each.", "Spell out the second of the two words, letter by letter.", of_word(lambda t: " ".join(t.split()[1]))),
})  # fmt: skip
rows("numbers", {
    "largest": ("You are given a list of numbers. Answer with the largest one.", "Which of the numbers is the greatest?", of_numbers(max)),
    "smallest": ("You are given a list of numbers. Answer with the smallest one.", "Which of the numbers is the least?", of_numbers(min)),
    "add_two": ("Add the two given numbers.", "What is the sum of the two numbers?", of_numbers(sum, 2, 50)),
    "subtract": ("You are given two numbers. Subtract the smaller one from the larger one.", "What is the difference of the two numbers?", of_numbers(lambda n: max(n) - min(n), 2)),
    "times_ten": ("Multiply the given number by ten.", "Give ten times the number.", of_numbers(lambda n: 10 * n[0], 1)),
    "next_number": ("Answer with the number that comes directly after the given one.", "Add one to the number.", of_numbers(lambda n: n[0] + 1, 1)),
    "sort_numbers": ("You are given a list of numbers. Write them in ascending order.", "Sort the numbers, beginning with the smallest.", of_numbers(lambda n: listing(sorted(n)))),
    "double_each": ("You are given a list of numbers. Write the list with each number doubled.", "Multiply each of the numbers by two.", of_numbers(lambda n: listing(2 * m for m in n), 3, 40)),
})  # fmt: skip
rows("questions with yes or no", {
    "is_even": ("You are given a number. Answer Yes if it is even, and No if it is odd.", "Can the number be divided by two? Answer Yes or No.", of_numbers(lambda n: yes(n[0] % 2 == 0), 1)),
    "is_above_fifty": ("You are given a number. Answer Yes if it is larger than fifty, otherwise No.", "Is the number above 50? Answer Yes or No.", of_numbers(lambda n: yes(n[0] > 50), 1)),
    "is_ascending": ("You are given three numbers. Answer Yes if they stand in ascending order, otherwise No.", "Does each of the three numbers exceed the one before it? Answer Yes or No.", of_numbers(lambda n: yes(n == sorted(n)), 3)),
    "holds_e": ("You are given some words. Answer Yes if the letter e occurs in the second one, otherwise No.", "Is there an e in the second word? Answer Yes or No.", of_word(lambda t: yes("e" in t.split()[1]))),
    "is_long": ("You are given a colour and a thing. Answer Yes if the thing's name has more than five letters, otherwise No.", "Is the second word longer than five letters? Answer Yes or No.", of_word(lambda t: yes(len(t.split()[1]) > 5))),
})  # fmt: skip


@made("questions with yes or no", "You are given a list of words and, after a slash, one more word. Answer Yes if this word is in the list, otherwise No.", "Does the word after the slash occur before it? Answer Yes or No.")
def is_member(draw):
    found = words(draw, 3, 5)
    asked = draw.choice(found if draw.random() < 0.5 else sorted(set(WORDS) - set(found)))
    return f"{listing(found)} / {asked}", yes(asked in found)


@made("sentences", "Replace the colour in the sentence by white, and keep everything else.", "Say that the thing in the sentence is white instead of the colour that it has.")
def paint_white(draw):
    text = sentence(draw)
    return text, " ".join(["The", "white", *text.split()[2:]])


@made("sentences", "Turn the statement into a question that can be answered by yes or no.", "Ask whether the statement is true.")
def into_question(draw):
    text = sentence(draw)
    return text, f"Is the {text[4:-1].replace(' is ', ' ', 1)}?"


@made("sentences", "Negate the sentence.", "Say that the sentence is not the case.")
def negate(draw):
    text = sentence(draw)
    return text, text.replace(" is ", " is not ", 1)


@made("sentences", "Put the sentence into the past tense.", "Say that this happened yesterday.")
def past(draw):
    (present, before), who, other = draw.choice(VERBS).split(), *draw.sample(NAMES, 2)
    rest = f"to the {draw.choice(PLACES).split()[-1]}" if present == "walk" else f"the {draw.choice(WORDS)}"
    return f"{who} and {other} {present} {rest}.", f"{who} and {other} {before} {rest}."


@made("facts in a text", "Read the sentence and answer with the colour that it names.", "Which colour is mentioned?")
def which_colour(draw):
    text = sentence(draw)
    return text, text.split()[1]


@made("facts in a text", "Read the sentence and answer with the place where the thing is.", "Where is the thing that the sentence is about?")
def which_place(draw):
    text = sentence(draw)
    return text, text[:-1].split(" is ")[1]


@made("facts in a text", "Two people are compared. Answer with the name of the older one.", "Who of the two was born first?")
def who_is_older(draw):
    a, b = draw.sample(NAMES, 2)
    older = draw.random() < 0.5
    return f"{a} is {'older' if older else 'younger'} than {b}.", a if older else b


@made("facts in a text", "Read how many things somebody has and gets, and answer with the number that results.", "How many things does the person have in the end?")
def how_many(draw):
    what, (has, gets) = draw.choice(WORDS), numbers(draw, 2, 20)
    return f"{draw.choice(NAMES)} has {has} pictures of {one(what)} and gets {gets} more.", str(has + gets)


@made("dates", "You are given a date. Answer with its month.", "In which month is the date?")
def which_month(draw):
    when = day(draw)
    return long(when), MONTHS[when.month - 1]


@made("dates", "You are given a date. Write it as year-month-day, with two digits for month and day.", "Change the date to the form YYYY-MM-DD.")
def iso_date(draw):
    when = day(draw)
    return long(when), when.isoformat()


@made("dates", "You are given a day of the week and a number of days. Answer with the day of the week that comes so many days later.", "Which day of the week is it when so many days have passed?")
def later_day(draw):
    i, n = draw.randrange(7), draw.randint(1, 6)
    return f"{DAYS[i]}, {n} days later", DAYS[(i + n) % 7]


@made("dates", "You are given two years. Answer with the earlier one.", "Which of the two years came first?")
def earlier_year(draw):
    a, b = draw.sample(range(1800, 2025), 2)
    return f"{a}, {b}", str(min(a, b))


@made("dates", "You are given a date. Answer Yes if it is in the first half of the year, from January to June, otherwise No.", "Is the date before July? Answer Yes or No.")
def first_half(draw):
    when = day(draw)
    return long(when), yes(when.month <= 6)


@made("categories of things", "You are given a word. Answer with the kind of thing that it is: fruit, animal, tool, garment, instrument or vehicle.", "Is this a fruit, an animal, a tool, a garment, an instrument or a vehicle?")
def which_kind(draw):
    kind = draw.choice(sorted(KINDS))
    return draw.choice(KINDS[kind]), kind


@made("categories of things", "You are given four words. Three of them are of one kind. Answer with the word that is not.", "Which of the words does not belong to the others?")
def odd_one_out(draw):
    kind, other = draw.sample(sorted(KINDS), 2)
    odd = draw.choice(KINDS[other])
    return listing(draw.sample([*draw.sample(KINDS[kind], 3), odd], 4)), odd


@made("categories of things", "You are given two words. Answer Yes if they name things of the same kind, such as two fruits or two tools, otherwise No.", "Are both words names of the same kind of thing? Answer Yes or No.")
def same_kind(draw):
    kind, other = draw.sample(sorted(KINDS), 2)
    pair = draw.sample(KINDS[kind], 2) if draw.random() < 0.5 else [draw.choice(KINDS[kind]), draw.choice(KINDS[other])]
    return listing(pair), yes(not set(pair) - set(KINDS[kind]))
